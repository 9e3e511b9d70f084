"""Colorization: which colours does a grey picture have?"""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from skimage import color

from tfselfsup.tasks.base import (
    ClassificationHead,
    ClassificationTask,
    Examples,
    mean_over_positions,
)

# Mean distance from grey, in a and b, of the 8x8 cells of five photographs that come with
# scikit-image: astronaut, chelsea, coffee, rocket and the left one of stereo_motorcycle.
MEAN_CHROMA = 23.0
UNIFORM_SHARE = 0.5  # lambda in the paper

# From linear sRGB to XYZ, and the white D65 seen by the observer of 1931 (IEC 61966-2-1).
_XYZ_OF_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)


class Colorization(ClassificationTask):
    """Takes the colour away; the classes name it, cell by cell.

    The network sees the luma (ITU-R BT.601) in all three channels of all frames. The answer is the
    mean colour of each cell of a coarse grid over the newest frame, in CIE Lab (D65) without L: the
    nearest of the points whose a and b are multiples of `step` and that a colour of sRGB is near
    to. Nothing is drawn, so that the seed does not matter. The weight is 0 where the newest frame
    is grey, of which there is nothing to learn.

    Zhang, Isola and Efros, "Colorful image colorization", ECCV 2016, arXiv:1603.08511. As there,
    what is rare counts more: by 1 / ((1 - lambda) p + lambda / Q) for a class of probability p
    among Q, lambda = 1/2, scaled to a mean of 1. There p is counted on ImageNet; here it is
    proportional to exp(-2 r / m) at a distance r from grey, the distribution of largest entropy
    whose mean distance is m, with the m of a few photographs: it does not depend on the batch, so
    that losses can be compared. The paper also spreads an answer over the 5 nearest classes; here
    it is the nearest alone.

    Attributes:
      cells: cells on a side.
      colours: float32 [num_classes, 2], a and b of each class.
      rebalancing: float32 [num_classes], the factor of each class in the loss.
    """

    is_random = False

    def __init__(self, cells: int = 8, step: int = 10):
        """Makes the task.

        Args:
          cells: cells on a side, from 1 to 64; targets are [B, cells, cells].
          step: between neighbouring classes, in units of a and b, from 5 to 50.

        Raises:
          ValueError: an option is something else.
        """
        is_side = type(cells) is int and 1 <= cells <= 64
        self.check_option("cells", cells, is_side, "a whole number from 1 to 64")
        is_step = type(step) is int and 5 <= step <= 50
        self.check_option("step", step, is_step, "a whole number from 5 to 50")
        self.cells = cells
        self.colours = _colours(step)
        self.rebalancing = _rebalancing(self.colours)
        self.num_classes = len(self.colours)

    def check(self, frame_shape: Sequence[int]) -> None:
        """Checks that the frames have colours, and pixels for all cells; see `Task.check`."""
        super().check(frame_shape)
        _, height, width, channels = frame_shape
        if channels != 3:
            raise ValueError(
                f"task {self.name!r} needs colour frames with 3 channels, got {channels}; "
                "take colour frames or choose another task"
            )
        if min(height, width) < self.cells:
            raise ValueError(
                f"task {self.name!r} needs frames of at least {self.cells}x{self.cells} pixels, "
                f"got {height}x{width}; enlarge the frames or lower the option 'cells'"
            )

    def head(self) -> tf.keras.layers.Layer:
        """Makes a fresh `CellsHead`."""
        return CellsHead(self.cells, self.num_classes)

    def transform(self, frames: tf.Tensor, seed: tf.Tensor) -> Examples:
        """Makes the frames grey; see `Task.transform`."""
        del seed
        self.check_batch(frames)
        newest = frames[:, -1]
        has_colour = tf.reduce_any(newest[..., 1:] != newest[..., :1], axis=[1, 2, 3])
        grey = tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(frames))
        return Examples(grey, self._classes(newest), tf.cast(has_colour, tf.float32))

    def loss(self, outputs: tf.Tensor, examples: Examples) -> tf.Tensor:
        """Computes the rebalanced cross entropy, in nats, the mean over the cells."""
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(examples.targets, outputs)
        rebalanced = cross_entropy * tf.gather(self.rebalancing, examples.targets)
        return mean_over_positions(rebalanced) * examples.weights

    def _classes(self, pictures):
        """Finds the class of each cell of pictures [B, H, W, 3]: int32 [B, cells, cells]."""
        # The mean first: what is left to convert is what is asked for.
        means = tf.image.resize(pictures, (self.cells, self.cells), method="area")
        ab = rgb_to_lab(means / 255.0)[..., tf.newaxis, 1:]
        distance = tf.reduce_sum(tf.square(ab - self.colours), axis=-1)
        return tf.argmin(distance, axis=-1, output_type=tf.int32)


@tf.keras.utils.register_keras_serializable(package="tfselfsup")
class CellsHead(tf.keras.layers.Layer):
    """Answers for each cell of a grid, with the same weights, whatever size the trunk's map has.

    The map is scaled to the grid bilinearly, without aliasing, and a `ClassificationHead` answers
    in every cell. The features are scaled, not the logits, since a map may be coarser than the
    grid: what lies between two of its positions is then more than a mean of their answers.
    """

    reads = "map"

    def __init__(self, cells: int, num_classes: int, **kwargs):
        """Makes the layer.

        Args:
          cells: cells on a side.
          num_classes: width of the output.
          **kwargs: those of every Keras layer.
        """
        super().__init__(**kwargs)
        self.cells = cells
        self.num_classes = num_classes
        self.classify = ClassificationHead(num_classes, name="classify")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Turns a map [B, h, w, c] into logits, float32 [B, cells, cells, num_classes]."""
        # Scaling without aliasing is defined for float32 alone.
        scaled = tf.image.resize(
            tf.cast(features, tf.float32), (self.cells, self.cells), antialias=True
        )
        return self.classify(scaled)

    def get_config(self) -> dict:
        """Returns what `from_config` needs to make the layer again."""
        return {**super().get_config(), "cells": self.cells, "num_classes": self.num_classes}


def rgb_to_lab(rgb: tf.Tensor) -> tf.Tensor:
    """Converts colours to CIE Lab, for the white D65.

    Args:
      rgb: float32 [..., 3], sRGB in [0, 1].

    Returns:
      float32 [..., 3]: L in [0, 100], a and b in about [-108, 99].
    """
    linear = tf.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = tf.tensordot(linear, np.transpose(_XYZ_OF_RGB).astype(np.float32), 1) / _WHITE
    x, y, z = tf.unstack(tf.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116), axis=-1)
    return tf.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@functools.cache
def _colours(step):
    """Lists the points on a grid of a and b that a colour of sRGB is near to: float32 [Q, 2]."""
    levels = np.linspace(0, 1, 52)  # every fifth of the 256 of a byte
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1)
    ab = color.rgb2lab(lattice)[..., 1:].reshape(-1, 2)
    return step * np.unique(np.round(ab / step), axis=0).astype(np.float32)


def _rebalancing(colours):
    """Computes the factor of each class, float32 [Q], whose mean over the prior is 1."""
    prior = np.exp(-2 * np.hypot(*colours.T) / MEAN_CHROMA)
    prior /= prior.sum()
    factors = 1 / ((1 - UNIFORM_SHARE) * prior + UNIFORM_SHARE / len(prior))
    return (factors / (prior @ factors)).astype(np.float32)
