import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfselfsup.datasets.augmentation import Augmentation, augment

EACH = {
    "flip": Augmentation(flip=True),
    "crop": Augmentation(crop=0.5),
    "colour": Augmentation(colour=0.3),
    "jpeg": Augmentation(jpeg=40),
    "all": Augmentation(flip=True, crop=0.6, colour=0.2, jpeg=50),
}
each = pytest.mark.parametrize("augmentation", EACH.values(), ids=EACH)


def picture(height=40, width=56):
    """Makes a smooth picture with some noise, so that JPEG and crops change it."""
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([4 * rows + 30, 3 * columns + 40, 100 + rows + columns], axis=-1)
    noise = np.random.default_rng(0).integers(-20, 21, smooth.shape)
    return np.clip(smooth + noise, 0, 255).astype(np.uint8)


def seeds(count):
    return tf.constant([[3, number] for number in range(count)], tf.int32)


def results(augmentation, count, image=None):
    image = picture() if image is None else image
    return np.stack([augment(image, seed, augmentation).numpy() for seed in seeds(count)])


def test_by_default_nothing_changes():
    np.testing.assert_array_equal(results(Augmentation(), 5), [picture()] * 5)


@each
def test_shape_and_dtype_are_kept(augmentation):
    for height, width in ((40, 56), (33, 17), (1, 1)):
        changed = augment(picture(height, width), [1, 2], augmentation)
        assert changed.shape == (height, width, 3) and changed.dtype == tf.uint8


@each
def test_the_seed_decides(augmentation):
    first = results(augmentation, 12)
    np.testing.assert_array_equal(first, results(augmentation, 12))
    distinct = len(np.unique(first.reshape(12, -1), axis=0))
    assert distinct == 2 if augmentation.flip and augmentation.crop == 1 else distinct >= 9


@each
def test_the_input_is_not_touched(augmentation):
    image = picture()
    augment(image, [1, 2], augmentation)
    np.testing.assert_array_equal(image, picture())


@each
def test_a_data_set_is_changed_as_single_images_are(augmentation):
    images = tf.data.Dataset.from_tensors(picture()).repeat(12)
    mapped = tf.data.Dataset.zip((images, tf.data.Dataset.from_tensor_slices(seeds(12)))).map(
        lambda image, seed: augment(image, seed, augmentation), num_parallel_calls=2
    )
    assert mapped.element_spec == tf.TensorSpec([40, 56, 3], tf.uint8)
    np.testing.assert_array_equal(
        np.stack(list(mapped.as_numpy_iterator())), results(augmentation, 12)
    )


@each
def test_images_of_unknown_size_can_be_mapped(augmentation):
    def images():
        yield picture(24, 30)
        yield picture(31, 20)

    spec = tf.TensorSpec([None, None, 3], tf.uint8)
    mapped = tf.data.Dataset.from_generator(images, output_signature=spec).map(
        lambda image: augment(image, tf.constant([1, 2]), augmentation)
    )
    for changed, image in zip(mapped, images(), strict=True):
        np.testing.assert_array_equal(changed, augment(image, [1, 2], augmentation))


def test_half_of_the_images_are_mirrored():
    image = picture()
    changed = results(EACH["flip"], 200)
    mirrored = [np.array_equal(one, image[:, ::-1]) for one in changed]
    same = [np.array_equal(one, image) for one in changed]
    assert np.all(np.add(mirrored, same) == 1)
    assert 72 < sum(mirrored) < 128  # 4 standard deviations


def test_a_crop_is_a_window_of_the_image_and_keeps_its_proportions():
    # Pixels tell where they come from, and bilinear interpolation keeps ramps.
    rows, columns = np.mgrid[:120, :200]
    image = np.stack([2 * rows, columns, 0 * rows], axis=-1).astype(np.uint8)
    shares, places = [], []
    for changed in results(Augmentation(crop=0.25), 60, image).astype(float):
        # Away from the edges, where interpolation repeats the last pixel.
        height = (changed[90, 0, 0] - changed[30, 0, 0]) / 2 / 60
        width = (changed[0, 150, 1] - changed[0, 50, 1]) / 100
        assert abs(height - width) < 0.03
        assert not changed[..., 2].any()
        shares.append(height * width)
        places.append((changed[60, 0, 0] / 2, changed[0, 100, 1]))
    assert 0.22 < min(shares) < 0.35 and 0.85 < max(shares) < 1.04
    # Of uniform shares the mean is 0.625, with a standard deviation of 0.028.
    assert abs(np.mean(shares) - 0.625) < 0.1
    assert np.ptp(places, axis=0).min() > 30
    assert np.abs(np.mean(places, axis=0) - (60, 100)).max() < 8


def test_brightness_contrast_and_saturation_stay_in_their_bounds():
    # A grey picture of two values: contrast scales their distance, brightness shifts their mean,
    # saturation does nothing.
    image = np.full((8, 8, 3), 108, np.uint8)
    image[:, 4:] = 148
    changed = results(Augmentation(colour=0.2), 150, image).astype(float)
    assert np.all(np.ptp(changed, axis=3) == 0)
    contrast = (changed[:, 0, 7, 0] - changed[:, 0, 0, 0]) / 40
    shift = (changed[:, 0, 7, 0] + changed[:, 0, 0, 0]) / 2 - 128
    for values, centre, bound, rounding in ((contrast, 1, 0.2, 0.03), (shift, 0, 51, 1)):
        away = values - centre
        assert np.abs(away).max() <= bound + rounding
        assert away.min() < -0.8 * bound and away.max() > 0.8 * bound
    assert abs(np.corrcoef(contrast, shift)[0, 1]) < 0.3
    # In a picture of one colour contrast does nothing; brightness leaves differences alone.
    plain = np.full((8, 8, 3), (160, 120, 120), np.uint8)
    spread = np.ptp(results(Augmentation(colour=0.2), 150, plain)[:, 0, 0].astype(float), axis=1)
    assert 0.79 * 40 - 1 <= spread.min() < 0.85 * 40 and 1.15 * 40 < spread.max() <= 1.21 * 40 + 1


def test_colours_saturate_instead_of_wrapping_around():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4] = 255
    for changed in results(Augmentation(colour=1.0), 40, image).astype(int):
        assert np.all(changed[0, 0] >= changed[7, 7])


def test_compression_is_that_of_a_quality_in_range():
    image = picture()
    compressed = {}
    for quality in range(60, 101):
        # TensorFlow's own encoder; Pillow's, an independent one, agrees closely below.
        again = tf.io.decode_jpeg(tf.io.encode_jpeg(image, quality=quality), channels=3)
        compressed[again.numpy().tobytes()] = quality
    found = [compressed[one.tobytes()] for one in results(Augmentation(jpeg=60), 150)]
    assert min(found) < 64 and max(found) > 96
    assert abs(np.mean(found) - 80) < 5


def test_compression_agrees_with_pillow():
    image = picture()
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=99, subsampling=2)
    expected = np.asarray(Image.open(file)).astype(float)
    for changed in results(Augmentation(jpeg=99), 4):
        assert np.abs(changed - expected).mean() < 2.5


@pytest.mark.parametrize(
    "one, other",
    [
        (Augmentation(flip=True), Augmentation(flip=True, jpeg=100)),
        (Augmentation(crop=0.5), Augmentation(crop=0.5, colour=1e-6)),
    ],
)
def test_a_change_does_not_depend_on_what_else_is_on(one, other):
    difference = results(one, 6).astype(int) - results(other, 6)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"crop": 0.0}, "share of the area in .0, 1. for crop, got 0.0; 1.0 switches it off"),
        ({"crop": 1.1}, "for crop, got 1.1"),
        ({"crop": float("nan")}, "for crop, got nan"),
        ({"colour": -0.1}, "in .0, 1. for colour, got -0.1; 0.0 switches it off"),
        ({"colour": 1.5}, "for colour, got 1.5"),
        ({"jpeg": 0}, "whole number in .1, 100. for jpeg, got 0; 100 switches it off"),
        ({"jpeg": 101}, "for jpeg, got 101"),
        ({"jpeg": 50.5}, "for jpeg, got 50.5"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        Augmentation(**settings)


@pytest.mark.parametrize(
    "image, found",
    [
        (np.zeros((4, 4, 3), np.float32), "float32 .4, 4, 3."),
        (np.zeros((2, 4, 4, 3), np.uint8), "uint8 .2, 4, 4, 3."),
        (np.zeros((4, 4, 1), np.uint8), "uint8 .4, 4, 1."),
    ],
)
def test_only_single_colour_images_are_changed(image, found):
    with pytest.raises(ValueError, match=f"uint8 .H, W, 3., got {found}; augment"):
        augment(image, [1, 2], Augmentation())
