"""Keras' convolution and dense layer, whose float32 gradients TensorFlow is slow at on a CPU."""

from __future__ import annotations

import tensorflow as tf


class Conv2D(tf.keras.layers.Conv2D):
    """Keras' convolution, with its kernel's gradient from a forward convolution in float32.

    Call with float [B, H, W, C]; returns float [B, h, w, filters]. With padding, dilations or
    groups it is Keras' own.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves; Keras calls it.

        Args:
            inputs: float [B, H, W, C].
            kernel: float [k, l, C, filters].

        Returns:
            float [B, h, w, filters], before the bias and the activation.
        """
        plain = self.padding == "valid" and self.dilation_rate == (1, 1) and self.groups == 1
        if self.compute_dtype != "float32" or not plain:
            return super().convolution_op(inputs, kernel)
        return _convolution(self.strides)(inputs, tf.convert_to_tensor(kernel))


class Dense(tf.keras.layers.Dense):
    """Keras' dense layer, with its inputs' gradient from a product in another order in float32.

    Call with float [B, d]; returns float [B, units].
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the activations."""
        if self.compute_dtype != "float32":
            return super().call(inputs)
        product = _product(inputs, tf.convert_to_tensor(self.kernel))
        return self.activation(tf.nn.bias_add(product, self.bias))


@tf.custom_gradient
def _product(inputs, kernel):
    """Multiplies [B, d] by [d, units]."""

    def gradient(upstream):
        # TensorFlow's own, upstream @ kernel^T, reads the kernel by columns: with a power of two
        # of units their values lie so far apart that they throw each other out of the caches.
        of_inputs = tf.transpose(tf.matmul(kernel, upstream, transpose_b=True))
        of_kernel = tf.matmul(inputs, upstream, transpose_a=True)
        return of_inputs, of_kernel

    return tf.matmul(inputs, kernel), gradient


def _convolution(strides):
    """Returns a convolution without padding that takes [B, H, W, C] and [k, l, C, filters]."""

    @tf.custom_gradient
    def convolve(inputs, kernel):
        def gradient(upstream):
            of_inputs = tf.nn.conv2d_transpose(
                upstream, kernel, tf.shape(inputs), strides, padding="VALID"
            )
            return of_inputs, _kernel_gradient(inputs, upstream, kernel.shape, strides)

        return tf.nn.conv2d(inputs, kernel, strides, padding="VALID"), gradient

    return convolve


def _kernel_gradient(inputs, upstream, shape, strides):
    """Returns the gradient of a convolution's kernel, float32 `shape`, [k, l, C, filters].

    sum over b, i, j of inputs[b, i s + k, j s + l, C] upstream[b, i, j, filters]: a convolution,
    too, of the inputs with `upstream` as the kernel, the strides as its dilations and the batch in
    the place of the channels. Columns and channels, l and C, stay one axis, as they lie in memory,
    so that the inputs need no more than one transposition of a matrix.
    """
    height, width, channels = inputs.shape[1:]
    batch_last = tf.transpose(tf.reshape(inputs, [-1, height * width * channels]))
    summed = tf.nn.conv2d(
        tf.reshape(batch_last, [1, height, width * channels, -1]),
        tf.transpose(upstream, [1, 2, 0, 3]),
        strides=1,
        padding="VALID",
        dilations=(strides[0], strides[1] * channels),
    )
    rows, columns, _, filters = shape
    # Rows and columns of the inputs that no stride reaches show up behind those of the kernel.
    return tf.reshape(summed[0, :rows, : columns * channels], [rows, columns, channels, filters])
