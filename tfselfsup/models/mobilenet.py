"""MobileNet."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models import preprocessing


def build(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds version 1, width 1.0, of Howard et al. (2017), arXiv:1704.04861.

    The layers are those of Keras Applications.

    Args:
        pixels: float [B, H, W, 3], RGB in [0, 1].

    Returns:
        `map`: float [B, h, w, 1024], for 224x224 pixels [B, 7, 7, 1024]; `pooled`: its average over
        the places, [B, 1024].
    """
    network = tf.keras.applications.MobileNet(
        include_top=False, weights=None, input_tensor=preprocessing.symmetric()(pixels)
    )
    average = tf.keras.layers.GlobalAveragePooling2D(name="pooled")
    return {"map": network.output, "pooled": average(network.output)}
