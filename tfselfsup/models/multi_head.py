"""One functional model: pixels, a trunk, and a dict of named heads on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import tensorflow as tf

from tfselfsup.models import trunks


@tf.keras.utils.register_keras_serializable("tfselfsup")
class FoldTime(tf.keras.layers.Layer):
    """Folds time into channels and scales bytes to [0, 1].

    Call with uint8 [B, T, H, W, C]; returns float [B, H, W, T*C] in the layer's compute type, with
    frame t's channel c at index t*C + c.
    """

    def __init__(self, **kwargs):
        """Switches off the casting of the input, which are bytes."""
        super().__init__(autocast=False, **kwargs)

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        """Returns the pixels."""
        _, time, height, width, channels = frames.shape
        # Bytes are moved before they become floats: a quarter of the traffic.
        moved = tf.transpose(frames, (0, 2, 3, 1, 4))
        folded = tf.reshape(moved, (-1, height, width, time * channels))
        return tf.cast(folded, self.compute_dtype) * tf.cast(1.0 / 255.0, self.compute_dtype)


def multi_head(
    frame_shape: tuple[int, int, int, int],
    trunk: str,
    heads: Mapping[str, Callable[[], tf.keras.layers.Layer]],
    precision: str = "float32",
) -> tf.keras.Model:
    """Builds a trunk with heads on it, out of fresh layers.

    Args:
        frame_shape: (T, H, W, C) of the input.
        trunk: Name of the trunk.
        heads: For each output's name a function that makes a fresh layer, whose attribute `reads`
            names the trunk's feature it is called with.
        precision: Keras' mixed-precision policy of the layers, `float32` or `mixed_bfloat16`.

    Returns:
        A functional model from uint8 [B, T, H, W, C] to a dict of float32 outputs.

    Raises:
        ValueError: If a head reads what the trunk does not have.
    """
    with _policy(precision):
        frames = tf.keras.Input(frame_shape, dtype=tf.uint8, name="frames")
        features = trunks.get(trunk)(FoldTime(name="pixels")(frames))
        outputs = {}
        for name, make_head in heads.items():
            head = make_head()
            if head.reads not in features:
                raise ValueError(
                    f"head '{name}' reads '{head.reads}', but trunk '{trunk}' has only "
                    f"{', '.join(features)}; choose another trunk or task"
                )
            # Named as its output, so that its variables can be told from those of other heads.
            outputs[name] = tf.keras.Sequential([head], name)(features[head.reads])
    return tf.keras.Model(frames, outputs)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
