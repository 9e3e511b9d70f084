"""The convolutional trunk of the Atari agents."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models.initializers import rectifier_initializer


def build(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds the convolutional trunk of Mnih et al. (2015), doi:10.1038/nature14236.

    Args:
        pixels: float [B, H, W, T*C] in [0, 1].

    Returns:
        `map`: float [B, h, w, 64], for 84x84 pixels [B, 7, 7, 64]; `pooled`: its values, flattened.
    """
    x = pixels
    for index, (filters, kernel, stride) in enumerate(((32, 8, 4), (64, 4, 2), (64, 3, 1)), 1):
        x = tf.keras.layers.Conv2D(
            filters,
            kernel,
            stride,
            activation="relu",
            kernel_initializer=rectifier_initializer(),
            name=f"conv{index}",
        )(x)
    return {"map": x, "pooled": tf.keras.layers.Flatten(name="flatten")(x)}
