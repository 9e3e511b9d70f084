"""Random changes of training images that leave real ones real and fakes fake."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Augmentation:
    """Which changes are made; by default none at all.

    Attributes:
        flip: Mirror half of the images, left to right.
        crop: A part of the image with at least this share of its area, in (0, 1], and its own
            proportions is blown up to the size of the whole; 1 switches that off.
        colour: Saturation and contrast are scaled by a factor in [1 - colour, 1 + colour], and
            brightness is raised by up to +-colour of the whole range; in [0, 1].
        jpeg: Least quality, in [1, 100], at which the image is compressed again; 100 switches that
            off.
    """

    flip: bool = False
    crop: float = 1.0
    colour: float = 0.0
    jpeg: int = 100

    def __post_init__(self):
        """Checks the ranges.

        Raises:
            ValueError: If a setting is out of its range.
        """
        # Written so that NaN does not pass.
        for name, valid, expected in (
            ("crop", 0 < self.crop <= 1, "a share of the area in (0, 1]"),
            ("colour", 0 <= self.colour <= 1, "a number in [0, 1]"),
            ("jpeg", self.jpeg in range(1, 101), "a whole number in [1, 100]"),
        ):
            if not valid:
                raise ValueError(
                    f"expected {expected} for {name}, got {getattr(self, name)}; "
                    f"{getattr(type(self), name)} switches it off"
                )


def augment(image: tf.Tensor, seed: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Changes an image at random.

    In this order: crop, flip, colour, compression; the last one is what a published image went
    through last. Each has random numbers of its own, so that switching one on or off does not
    change what the others do.

    Args:
        image: uint8 [H, W, 3].
        seed: int32 [2]; the same seed makes the same changes.
        augmentation: Which changes.

    Returns:
        uint8 [H, W, 3]; with an `Augmentation()` the image itself.

    Raises:
        ValueError: If the image is of another shape or dtype.
    """
    image = tf.convert_to_tensor(image)
    if image.dtype != tf.uint8 or image.shape.rank != 3 or image.shape[-1] != 3:
        raise ValueError(
            f"expected an image of uint8 [H, W, 3], got {image.dtype.name} {image.shape}; "
            "augment decoded images one by one, before they are batched"
        )
    changed = image
    for number, (wanted, change, strength) in enumerate(
        (
            (augmentation.crop < 1, _crop, augmentation.crop),
            (augmentation.flip, _flip, None),
            (augmentation.colour > 0, _colour, augmentation.colour),
            (augmentation.jpeg < 100, _compress, augmentation.jpeg),
        )
    ):
        if wanted:
            changed = change(changed, tf.random.fold_in(seed, number), strength)
    return tf.ensure_shape(changed, image.shape)


def _crop(image, seed, least_share):
    share_seed, place_seed = tf.unstack(tf.random.split(seed))
    share = tf.random.stateless_uniform([], share_seed, least_share, 1)
    size = tf.shape(image)[:2]
    cropped_size = tf.cast(tf.math.ceil(tf.cast(size, tf.float32) * tf.sqrt(share)), tf.int32)
    cropped = tf.image.stateless_random_crop(image, tf.concat([cropped_size, [3]], 0), place_seed)
    # Bilinear values lie between those of the pixels, so that the cast cannot overflow.
    return tf.cast(tf.round(tf.image.resize(cropped, size)), tf.uint8)


def _flip(image, seed, _):
    return tf.image.stateless_random_flip_left_right(image, seed)


def _colour(image, seed, strength):
    saturation, contrast, brightness = tf.unstack(tf.random.split(seed, 3))
    low, high = 1 - strength, 1 + strength
    changed = tf.image.convert_image_dtype(image, tf.float32)
    # Saturation first: it is defined for values in [0, 1], which the others leave.
    changed = tf.image.stateless_random_saturation(changed, low, high, saturation)
    changed = tf.image.stateless_random_contrast(changed, low, high, contrast)
    changed = tf.image.stateless_random_brightness(changed, strength, brightness)
    return tf.image.convert_image_dtype(changed, tf.uint8, saturate=True)


def _compress(image, seed, least_quality):
    quality = tf.random.stateless_uniform([], seed, least_quality, 101, tf.int32)
    return tf.image.adjust_jpeg_quality(image, quality)
