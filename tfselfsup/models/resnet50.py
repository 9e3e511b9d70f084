"""ResNet-50."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models import preprocessing


def build(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds the network of He et al. (2015), arXiv:1512.03385, as Keras Applications has it.

    Args:
        pixels: float [B, H, W, 3], RGB in [0, 1].

    Returns:
        `map`: float [B, h, w, 2048], for 224x224 pixels [B, 7, 7, 2048]; `pooled`: its average over
        the places, [B, 2048].
    """
    network = tf.keras.applications.ResNet50(
        include_top=False, weights=None, input_tensor=preprocessing.caffe()(pixels)
    )
    average = tf.keras.layers.GlobalAveragePooling2D(name="pooled")
    return {"map": network.output, "pooled": average(network.output)}
