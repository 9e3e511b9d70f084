"""SqueezeNet."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models import preprocessing
from tfselfsup.models.initializers import rectifier_initializer

# What stands between the max poolings: widths of the squeezing and of each expanding convolution.
FIRE_STAGES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)


def build(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds version 1.1 of Iandola et al. (2016), arXiv:1602.07360, up to its last fire module.

    Layers are named, and pixels are treated, as in the weights published by R. C. Malli
    (github.com/rcmalli/keras-squeezenet, release 1.0).

    Args:
        pixels: float [B, H, W, 3], RGB in [0, 1].

    Returns:
        `map`: float [B, h, w, 512], for 227x227 pixels [B, 13, 13, 512]; `pooled`: its average over
        the places, [B, 512].
    """
    x = _convolution(preprocessing.caffe()(pixels), 64, 3, "conv1", strides=2)
    number = 2
    for stage in FIRE_STAGES:
        x = tf.keras.layers.MaxPooling2D(3, 2, name=f"pool{number - 1}")(x)
        for squeeze, expand in stage:
            x = _fire(x, squeeze, expand, f"fire{number}")
            number += 1
    return {"map": x, "pooled": tf.keras.layers.GlobalAveragePooling2D(name="pooled")(x)}


def _fire(x: tf.Tensor, squeeze: int, expand: int, name: str) -> tf.Tensor:
    x = _convolution(x, squeeze, 1, f"{name}/squeeze1x1")
    sides = [_convolution(x, expand, size, f"{name}/expand{size}x{size}") for size in (1, 3)]
    return tf.keras.layers.Concatenate(name=f"{name}/concat")(sides)


def _convolution(x: tf.Tensor, filters: int, size: int, name: str, strides: int = 1) -> tf.Tensor:
    return tf.keras.layers.Conv2D(
        filters,
        size,
        strides,
        # The first layer has no padding; those of a fire module keep height and width.
        padding="valid" if strides > 1 else "same",
        activation="relu",
        kernel_initializer=rectifier_initializer(),
        name=name,
    )(x)
