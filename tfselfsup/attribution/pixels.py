"""From a network on bytes to one that can be differentiated with respect to its pixels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

PIXELS = "pixels"


def differentiable(model: tf.keras.Model, output: str) -> tf.keras.Model:
    """Cuts a network off before its bytes became floats, and at one of its outputs.

    Args:
        model: Functional, from uint8 [B, T, H, W, C] to a dict of outputs, with a layer `pixels`
            as `models.encoders` and `models.hub_encoders` make it.
        output: Name of an output.

    Returns:
        A functional model from float [B, H, W, T*C] in [0, 1] to that output. It has the network's
        own layers: when their weights change, so do its answers.

    Raises:
        ValueError: If there is no such output.
    """
    outputs = model.output
    if output not in outputs:
        raise ValueError(f"expected an output among {', '.join(outputs)}, got '{output}'")
    return tf.keras.Model(model.get_layer(PIXELS).output, outputs[output])


def of_frames(frames: np.ndarray) -> np.ndarray:
    """Computes what the layer `pixels` does, in float32.

    Args:
        frames: uint8 [N, T, H, W, C].

    Returns:
        float32 [N, H, W, T*C] in [0, 1], frame t's channel c at index t*C + c.
    """
    count, time, height, width, channels = frames.shape
    moved = np.transpose(frames, (0, 2, 3, 1, 4))
    return moved.reshape(count, height, width, time * channels) * np.float32(1 / 255)


def by_frame(maps: np.ndarray, time: int) -> np.ndarray:
    """Gives maps the axes of the frames they are of.

    Args:
        maps: [N, H, W, T*C].
        time: T.

    Returns:
        [N, T, H, W, C].
    """
    *shape, folded = maps.shape
    return np.transpose(maps.reshape(*shape, time, folded // time), (0, 3, 1, 2, 4))
