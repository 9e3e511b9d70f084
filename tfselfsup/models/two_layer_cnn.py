"""A small trunk for digits."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models.initializers import rectifier_initializer


def build(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds two convolutions, each with a max pooling, and a dense layer of 128.

    Args:
        pixels: float [B, H, W, T*C] in [0, 1], at least 10x10.

    Returns:
        `map`: the second convolution after its rectifier, float [B, h, w, 64], for 16x16 pixels
        [B, 5, 5, 64]; `pooled`: the dense layer after its rectifier, [B, 128].
    """
    x = pixels
    for number, filters in enumerate((32, 64), 1):
        last_map = tf.keras.layers.Conv2D(
            filters,
            3,
            activation="relu",
            kernel_initializer=rectifier_initializer(),
            name=f"conv{number}",
        )(x)
        x = tf.keras.layers.MaxPooling2D(name=f"pool{number}")(last_map)
    dense = tf.keras.layers.Dense(
        128, "relu", kernel_initializer=rectifier_initializer(), name="hidden"
    )
    return {"map": last_map, "pooled": dense(tf.keras.layers.Flatten(name="flatten")(x))}
