"""AlexNet, in the two layouts whose weights are published."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models import preprocessing
from tfselfsup.models.initializers import rectifier_initializer

# Filters and kernel of each convolution, and whether a max pooling follows.
CONVOLUTIONS = ((64, 11, True), (192, 5, True), (384, 3, False), (256, 3, False), (256, 3, True))
WIDTH = 4096
POOL5_SIDE = 6


def build(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds AlexNet as torchvision has it: Krizhevsky (2014), arXiv:1404.5997, one tower.

    Args:
        pixels: float [B, H, W, 3], RGB in [0, 1]; 224x224, or what else gives a pool5 of 6x6.

    Returns:
        `map`: the last max pooling (pool5), float [B, 6, 6, 256]; `pool5`: the same, flattened,
        [B, 9216]; `fc6` and `pooled` (fc7): after their rectifiers, [B, 4096].

    Raises:
        ValueError: If the pixels give another pool5, on which fc6 would have other weights.
    """
    pool5 = _convolutions(pixels, batch_norm=False)
    flat = tf.keras.layers.Flatten(name="pool5_flat")(pool5)
    fc6 = _dense(tf.keras.layers.Dropout(0.5, name="drop6")(flat), 6, batch_norm=False)
    fc7 = _dense(tf.keras.layers.Dropout(0.5, name="drop7")(fc6), 7, batch_norm=False)
    return {"map": pool5, "pool5": flat, "fc6": fc6, "pooled": fc7}


def build_batch_norm(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
    """Builds AlexNet with batch normalisation, as RotNet has it.

    Gidaris et al. (2018), arXiv:1803.07728, github.com/gidariss/FeatureLearningRotNet. It has no
    dropout, and no biases in fc6 and fc7.

    Args:
        pixels: As `build` takes them.

    Returns:
        The features that `build` returns.

    Raises:
        ValueError: As `build` does.
    """
    pool5 = _convolutions(pixels, batch_norm=True)
    flat = tf.keras.layers.Flatten(name="pool5_flat")(pool5)
    fc6 = _dense(flat, 6, batch_norm=True)
    return {"map": pool5, "pool5": flat, "fc6": fc6, "pooled": _dense(fc6, 7, batch_norm=True)}


def _convolutions(pixels: tf.Tensor, batch_norm: bool) -> tf.Tensor:
    """Builds all up to pool5."""
    # PyTorch pads by 2 on every side; `same` would pad by 3 and 4.
    x = tf.keras.layers.ZeroPadding2D(2, name="pad1")(preprocessing.standardised()(pixels))
    for number, (filters, kernel, pooled) in enumerate(CONVOLUTIONS, 1):
        first = number == 1
        x = tf.keras.layers.Conv2D(
            filters,
            kernel,
            strides=4 if first else 1,
            padding="valid" if first else "same",
            kernel_initializer=rectifier_initializer(),
            name=f"conv{number}",
        )(x)
        x = _rectified(x, number, batch_norm)
        if pooled:
            x = tf.keras.layers.MaxPooling2D(3, 2, name=f"pool{number}")(x)
    if x.shape[1:3] != (POOL5_SIDE, POOL5_SIDE):
        raise ValueError(
            "expected pictures of 223 to 254 pixels a side for AlexNet, whose fc6 reads a pool5 of "
            f"{POOL5_SIDE}x{POOL5_SIDE}, got {pixels.shape[1]}x{pixels.shape[2]}; scale them to 224"
        )
    return x


def _dense(x: tf.Tensor, number: int, batch_norm: bool) -> tf.Tensor:
    x = tf.keras.layers.Dense(
        WIDTH,
        use_bias=not batch_norm,
        kernel_initializer=rectifier_initializer(),
        name=f"fc{number}",
    )(x)
    return _rectified(x, number, batch_norm)


def _rectified(x: tf.Tensor, number: int, batch_norm: bool) -> tf.Tensor:
    if batch_norm:
        # PyTorch's constants; its momentum is 1 less Keras'.
        x = tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"bn{number}")(x)
    return tf.keras.layers.ReLU(name=f"relu{number}")(x)
