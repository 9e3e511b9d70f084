"""What every data set of labelled images offers, whatever it is stored in."""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from tfselfsup.datasets import splits
from tfselfsup.datasets.augmentation import Augmentation


class LabelledImages(abc.ABC):
    """Labelled images with an index.

    Attributes:
        index: One row for each of the N examples, in the order in which they are stored, with at
            least the columns `splits.COLUMNS`.
        label_names: What the labels 0, 1, ... stand for.
        channels: Of an image: 3 if it is in colour, 1 if it is grey.
    """

    index: pd.DataFrame
    label_names: tuple[str, ...]
    channels: int

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.index)

    @abc.abstractmethod
    def images(
        self,
        chosen: np.ndarray,
        *,
        side: int,
        batch_size: int,
        shuffle_seed: int | None = None,
        augmentation: Augmentation | None = None,
    ) -> tf.data.Dataset:
        """Reads images of some examples, in an order that depends on the seed only.

        Args:
            chosen: bool [N], which examples.
            side: Height and width to scale them to, in pixels.
            batch_size: Examples of a batch; the last batch may have fewer.
            shuffle_seed: Shuffles anew at every iteration; None for the stored order.
            augmentation: Changes the images, with the same seed; needs a seed.

        Returns:
            Batches of `image` uint8 [B, side, side, channels], `label` int64 [B] and `row` int64
            [B], the example's row in the index.

        Raises:
            ValueError: If no example is chosen, or if images are augmented without a seed or
                cannot be augmented.
        """

    @abc.abstractmethod
    def parts(
        self, split: str, fractions: Sequence[float], seed: int, balance: bool = False
    ) -> np.ndarray:
        """Says for every example which part it belongs to.

        Args:
            split: Name of a split of this kind of data.
            fractions: Shares of the parts that train, validate and test; they sum to 1.
            seed: Seeds what is drawn at random; at least 0.
            balance: Leave out examples, until the classes of each part have equally many.

        Returns:
            Names in `splits.PARTS`, or `splits.LEFT_OUT`: str [N].

        Raises:
            ValueError: If the split is unknown, or cannot be made of these examples.
        """

    def fingerprint(self) -> str:
        """Hashes what is in the data set, so that what was computed from it can be recognised.

        Returns:
            The SHA-256, in hexadecimal, of the examples' ids, labels, image hashes and of all else
            that splits go by, in the order of the index. Where the files lie does not matter.
        """
        digest = hashlib.sha256()
        index = splits.with_donors(self.index)[[*splits.COLUMNS, splits.DONOR]]
        for example in zip(*(index[name].tolist() for name in index), strict=True):
            digest.update(json.dumps(example).encode() + b"\n")
        return digest.hexdigest()


def checked_choice(chosen: np.ndarray, count: int) -> np.ndarray:
    """Returns a choice of examples as bool [N].

    Args:
        chosen: The choice.
        count: N, how many examples there are.

    Raises:
        ValueError: If it is of another shape, or nothing is chosen.
    """
    chosen = np.asarray(chosen, bool)
    if chosen.shape != (count,) or not chosen.any():
        raise ValueError(
            f"expected at least one of {count} examples, got {np.count_nonzero(chosen)} "
            f"of {chosen.size}"
        )
    return chosen


def decoded(content: tf.Tensor, side: int, channels: int = 3) -> tf.Tensor:
    """Decodes a JPEG, PNG, GIF or BMP and scales it to a square.

    Args:
        content: The bytes of a file, a string scalar.
        side: Height and width of the result, in pixels.
        channels: 3 for colour, 1 for grey.

    Returns:
        uint8 [side, side, channels].

    Raises:
        tf.errors.InvalidArgumentError: If it is no image.
    """
    image = tf.io.decode_image(content, channels=channels, expand_animations=False)
    fits = tf.reduce_all(tf.shape(image)[:2] == side)
    return tf.ensure_shape(
        tf.cond(fits, lambda: image, lambda: scaled(image, side)), (side, side, channels)
    )


def scaled(images: tf.Tensor, side: int) -> tf.Tensor:
    """Scales images to a square, bilinearly, and without aliasing where they become smaller.

    Args:
        images: uint8 [..., H, W, C], one or a batch.
        side: Height and width of the result, in pixels.

    Returns:
        uint8 [..., side, side, C].
    """
    resized = tf.image.resize(images, (side, side), antialias=True)
    # A weighted mean of pixels lies between them, so that the cast cannot overflow.
    return tf.cast(tf.round(resized), tf.uint8)
