"""Shared trunks: from pixels to the features that every head reads."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Features = dict[str, tf.Tensor]


def nature_cnn(pixels: tf.Tensor) -> Features:
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


def rectifier_initializer() -> tf.keras.initializers.Initializer:
    """Returns the initialiser for layers with a rectifier: He et al. (2015), arXiv:1502.01852."""
    return tf.keras.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal")


TRUNKS: dict[str, Callable[[tf.Tensor], Features]] = {"nature_cnn": nature_cnn}


def get(name: str) -> Callable[[tf.Tensor], Features]:
    """Finds a trunk by its name.

    Raises:
        ValueError: If there is none; the message lists those there are.
    """
    if name not in TRUNKS:
        raise ValueError(f"expected a trunk among {', '.join(TRUNKS)}, got '{name}'")
    return TRUNKS[name]
