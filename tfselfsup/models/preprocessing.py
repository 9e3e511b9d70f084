"""What a published network expects its pixels to be like, as a layer of the network."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

RGB = (0.485, 0.456, 0.406)  # mean of ImageNet's pixels in [0, 1]
RGB_STD = (0.229, 0.224, 0.225)
CAFFE_BGR = (103.939, 116.779, 123.68)  # mean of ImageNet's pixels in [0, 255]


@tf.keras.utils.register_keras_serializable("tfselfsup")
class Preprocessing(tf.keras.layers.Layer):
    """Scales and shifts pixels: (scale * x - mean) / std, after turning RGB to BGR if asked to.

    Call with float [B, H, W, 3], RGB in [0, 1]; returns the same shape. `mean` and `std` are in the
    order of the channels that come out.
    """

    def __init__(
        self,
        scale: float,
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        to_bgr: bool = False,
        **kwargs,
    ):
        """Keeps the constants.

        Args:
            scale: What pixels in [0, 1] are multiplied by.
            mean: Subtracted after that, one for each channel.
            std: Divided by at last, one for each channel.
            to_bgr: Whether the order of the channels is turned round first.
            **kwargs: Keras' own, such as `name`.
        """
        super().__init__(**kwargs)
        self._scale = float(scale)
        self._mean = tuple(map(float, mean))
        self._std = tuple(map(float, std))
        self._to_bgr = bool(to_bgr)

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """Returns the pixels as the network expects them."""
        ordered = pixels[..., ::-1] if self._to_bgr else pixels
        mean = tf.constant(self._mean, ordered.dtype)
        return (ordered * tf.cast(self._scale, ordered.dtype) - mean) / tf.constant(
            self._std, ordered.dtype
        )

    def get_config(self) -> dict:
        """Returns the constants, so that a saved model comes back."""
        return super().get_config() | {
            "scale": self._scale,
            "mean": self._mean,
            "std": self._std,
            "to_bgr": self._to_bgr,
        }


def caffe() -> Preprocessing:
    """BGR in [0, 255] less the mean: Keras' `caffe` mode, of ResNet50 and SqueezeNet."""
    return Preprocessing(255.0, mean=CAFFE_BGR, to_bgr=True, name="preprocessing")


def symmetric() -> Preprocessing:
    """RGB in [-1, 1]: Keras' `tf` mode, of MobileNet."""
    return Preprocessing(2.0, mean=(1.0, 1.0, 1.0), name="preprocessing")


def standardised() -> Preprocessing:
    """RGB with mean 0 and deviation 1 over ImageNet: the `torch` mode, of torchvision's models."""
    return Preprocessing(1.0, mean=RGB, std=RGB_STD, name="preprocessing")
