"""Networks as functions of images, compiled."""

from __future__ import annotations

import tensorflow as tf


def compiled_output(network: tf.keras.Model, output: str) -> tf.types.experimental.GenericFunction:
    """Compiles an output of a network, once for batches of every size.

    Args:
        network: From frames, uint8 [B, 1, H, W, C], to a dict of outputs. Whatever weights it has
            when the function is called are used.
        output: Name of an output.

    Returns:
        A function from images, uint8 [B, H, W, C], to the output as float32, as after training.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, *network.input_shape[2:]), tf.uint8)])
    def answer(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(network(images[:, tf.newaxis], training=False)[output], tf.float32)

    return answer
