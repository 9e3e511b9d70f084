"""SavedModel signatures of an agent: from the last frames to Q values and the action."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from tf_agents.policies import policy_saver, tf_policy

from tfselfsup.serving.layout import DEFAULT, FRAMES
from tfselfsup.serving.warm_up import Request

POLICY = "policy"  # folder of TF-Agents' policy, beside the SavedModel's own files
_SEED = 0  # of a policy that draws nothing


def only(network: tf.keras.Model, head: str) -> tf.keras.Model:
    """Makes a model with one output of a network, without its other heads.

    Args:
        network: From frames, uint8 [B, T, H, W, C], to a dict of outputs.
        head: Name of the output.

    Returns:
        A model from the same frames to this output alone.
    """
    return tf.keras.Model(network.input, network.output[head], name="agent")


def signatures(model: tf.keras.Model) -> dict[str, tf.types.experimental.GenericFunction]:
    """Makes the function of an agent's SavedModel.

    `serving_default` takes `frames`, uint8 [N, H, W, T*C], for Atari [N, 84, 84, 4], oldest frame
    first, and returns `q_values`, float32 [N, A], and `action`, int64 [N], the one with the largest
    value.

    Args:
        model: From frames, uint8 [N, T, H, W, C], to Q values.

    Returns:
        The function by its signature's name.
    """
    time, height, width, channels = model.input_shape[1:]
    stack = tf.TensorSpec([None, height, width, time * channels], tf.uint8, FRAMES)

    @tf.function(input_signature=[stack], autograph=False)
    def act(frames: tf.Tensor) -> Mapping[str, tf.Tensor]:
        apart = tf.reshape(frames, (-1, height, width, time, channels))
        q_values = model(tf.transpose(apart, (0, 3, 1, 2, 4)), training=False)
        return {"action": tf.argmax(q_values, -1), "q_values": tf.cast(q_values, tf.float32)}

    return {DEFAULT: act}


def requests(model: tf.keras.Model) -> list[Request]:
    """Returns a request for the signature of an agent: frames of a game that has not begun."""
    time, height, width, channels = model.input_shape[1:]
    return [Request(DEFAULT, {FRAMES: np.zeros((1, height, width, time * channels), np.uint8)})]


def save_policy(policy: tf_policy.TFPolicy, agent_steps: int, folder: Path) -> None:
    """Writes TF-Agents' own form of a policy, which needs tensorflow_probability to be loaded.

    Args:
        policy: Of any batch size.
        agent_steps: It was trained for.
        folder: To write to.
    """
    step = tf.Variable(agent_steps, dtype=tf.int64, trainable=False)
    with _without_notices():
        policy_saver.PolicySaver(policy, train_step=step, seed=_SEED).save(str(folder))


@contextmanager
def _without_notices() -> Iterator[None]:
    """Keeps back what TensorFlow says about any policy: its names with slashes, and its types."""

    def matters(record: logging.LogRecord) -> bool:
        return "is not a valid tf.function parameter name" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(matters)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Encoding a StructuredValue with type tfp")
            yield
    finally:
        logger.removeFilter(matters)
