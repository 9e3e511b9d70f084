"""Networks whose gradients are known, for the tests of this folder."""

import numpy as np
import tensorflow as tf

from tfselfsup.models.multi_head import FoldTime

SHAPE = (1, 8, 8, 3)


def linear(num_outputs=2, shape=SHAPE, seed=0):
    """A linear network on bytes with the outputs `label` and `other`; returns its kernels too.

    The kernels, float32 [H, W, T*C, num_outputs] by output, are the gradients.
    """
    frames = tf.keras.Input(shape, dtype=tf.uint8)
    flat = tf.keras.layers.Flatten()(FoldTime(name="pixels")(frames))
    time, height, width, channels = shape
    random, kernels, outputs = np.random.default_rng(seed), {}, {}
    for name in ("label", "other"):
        kernel = random.normal(size=(flat.shape[-1], num_outputs)).astype(np.float32)
        layer = tf.keras.layers.Dense(num_outputs, name=f"{name}_layer")
        outputs[name] = layer(flat)
        layer.set_weights([kernel, random.normal(size=num_outputs)])
        kernels[name] = kernel.reshape(height, width, time * channels, num_outputs)
    return tf.keras.Model(frames, outputs), kernels


def frames_of(shape=SHAPE, count=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def bright_square_detector(side=16, top=4, left=6):
    """A hand-set convolutional network: its second logit is the brightness of one 4x4 square.

    A convolution averages 4x4 squares, and the class head looks at one of them.
    """
    frames = tf.keras.Input((1, side, side, 1), dtype=tf.uint8)
    squares = tf.keras.layers.Conv2D(1, 4, use_bias=False, name="average", activation="relu")
    found = squares(FoldTime(name="pixels")(frames))
    head = tf.keras.layers.Dense(2, name="head")
    model = tf.keras.Model(frames, {"label": head(tf.keras.layers.Flatten()(found))})
    squares.set_weights([np.full((4, 4, 1, 1), 1 / 16, np.float32)])
    kernel = np.zeros((side - 3, side - 3, 2), np.float32)
    kernel[top, left, 1] = 8.0
    head.set_weights([kernel.reshape(-1, 2), np.array([6.0, 0.0], np.float32)])
    return model
