import io
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage, stats
from sklearn.metrics import roc_auc_score

from tfselfsup.vision import robustness
from tfselfsup.vision.robustness import CORRUPTIONS, blur, curve, jpeg, noise, rescale

each = pytest.mark.parametrize("name", CORRUPTIONS)


def pictures(count=3, height=32, width=48, seed=0):
    """Smooth pictures, each of its own colours, with some noise."""
    rows, columns = np.mgrid[:height, :width]
    smooth = np.stack([3 * rows + 60, 2 * columns + 40, 80 + rows + columns], axis=-1)
    random = np.random.default_rng(seed)
    tints = random.integers(-30, 31, (count, 1, 1, 3))
    changed = smooth + tints + random.integers(-15, 16, (count, height, width, 3))
    return np.clip(changed, 0, 255).astype(np.uint8)


def distance(one, other):
    return np.abs(one.astype(float) - other).mean()


@each
def test_shape_dtype_and_the_input_are_kept(name):
    for shape in ((2, 32, 48), (1, 7, 5), (1, 1, 1)):
        images = pictures(*shape)
        for strength in CORRUPTIONS[name].strengths:
            changed = CORRUPTIONS[name].change(images, strength, 0)
            assert changed.shape == images.shape and changed.dtype == np.uint8
            assert not np.shares_memory(changed, images)
        np.testing.assert_array_equal(images, pictures(*shape))


@pytest.mark.parametrize("name, identity", [("rescaling", 1), ("blur", 0), ("noise", 0)])
def test_the_mildest_strength_leaves_images_exactly_as_they_are(name, identity):
    assert CORRUPTIONS[name].strengths[0] == identity
    images = np.random.default_rng(0).integers(0, 256, (2, 17, 30, 3)).astype(np.uint8)
    np.testing.assert_array_equal(CORRUPTIONS[name].change(images, identity, 5), images)


@each
def test_each_strength_takes_images_further_away(name):
    images = pictures()
    away = [
        distance(CORRUPTIONS[name].change(images, strength, 0), images)
        for strength in CORRUPTIONS[name].strengths
    ]
    assert np.all(np.diff(away) > 0.1)


@each
def test_images_of_a_batch_do_not_touch_each_other(name):
    images = pictures(4)
    strength = CORRUPTIONS[name].strengths[-1]
    whole = CORRUPTIONS[name].change(images, strength, np.random.default_rng(3))
    random = np.random.default_rng(3)
    single = [CORRUPTIONS[name].change(images[i : i + 1], strength, random)[0] for i in range(4)]
    np.testing.assert_array_equal(whole, single)


@pytest.mark.parametrize("quality", CORRUPTIONS["jpeg"].strengths)
def test_compression_is_that_of_pillow(quality):
    images = pictures()
    for changed, image in zip(jpeg(images, quality), images, strict=True):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        expected = np.asarray(Image.open(file))
        # Decoders round, and smooth the coarser colours, in ways of their own.
        assert distance(changed, expected) < 0.3


def test_blur_is_a_gaussian():
    images = pictures()
    for sigma in (0.5, 1, 2):
        expected = ndimage.gaussian_filter(
            images.astype(float), (0, sigma, sigma, 0), mode="mirror", truncate=3
        )
        assert np.abs(blur(images, sigma) - expected).max() < 1.1
    # The spread of a point, in pixels.
    point = np.zeros((1, 41, 41, 3), np.uint8)
    point[0, 20, 20] = 255
    spread = blur(point, 1)[0, ..., 0].sum(axis=0) / 255
    assert np.sqrt(spread @ (np.arange(41) - 20) ** 2 / spread.sum()) == pytest.approx(1, abs=0.06)


def test_rescaling_averages_areas_and_interpolates_between_them():
    # Pairs of 10 and 30 become 20; blocks of 40 and 80 are told apart, and blended at the border.
    image = np.zeros((1, 4, 8, 3), np.uint8)
    image[..., ::2, :], image[..., 1::2, :] = 10, 30
    np.testing.assert_array_equal(rescale(image, 0.5), np.full((1, 4, 8, 3), 20))
    image[..., :4, :], image[..., 4:, :] = 40, 80
    # Centres of the old pixels lie a quarter of a new one from the new centres.
    expected = [40, 40, 40, 50, 70, 80, 80, 80]
    np.testing.assert_array_equal(rescale(image, 0.5)[0, 2, :, 1], expected)


def test_noise_is_normal_and_independent():
    grey = np.full((2, 100, 100, 3), 128, np.uint8)
    for sigma in (4, 16):
        drawn = noise(grey, sigma, 0).astype(float) - 128
        assert abs(drawn.mean()) < 4 * sigma / np.sqrt(drawn.size)
        # Rounding adds a variance of 1/12.
        assert drawn.var() == pytest.approx(sigma**2 + 1 / 12, rel=0.03)
        for bound in (sigma, 2 * sigma):
            within = 1 - 2 * stats.norm.sf((bound + 0.5) / sigma)  # as 0.5 is rounded to 0
            assert (np.abs(drawn) <= bound).mean() == pytest.approx(within, abs=0.01)
        for one, other in (
            (drawn[0], drawn[1]),
            (drawn[..., 0], drawn[..., 1]),
            (drawn[:, 1:], drawn[:, :-1]),
        ):
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.04


def test_noise_is_seeded_and_stops_at_black_and_white():
    images = pictures()
    np.testing.assert_array_equal(noise(images, 8, 1), noise(images, 8, 1))
    assert (noise(images, 8, 1) != noise(images, 8, 2)).any()
    ends = np.zeros((1, 30, 30, 3), np.uint8)
    ends[:, :15] = 255
    changed = noise(ends, 32, 0)
    assert changed[:, :15].min() > 64 and changed[:, 15:].max() < 192
    assert (changed == ends).mean() == pytest.approx(0.5, abs=0.05)


def test_channels_keep_their_places():
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 200
    for name, corruption in CORRUPTIONS.items():
        means = corruption.change(red, corruption.strengths[1], 0).mean(axis=(0, 1, 2))
        assert means[0] > 180 and means[1:].max() < 20, name


def contrast_classifier(images):
    """Calls a picture fake the more, the more its neighbouring pixels differ."""
    assert images.dtype == np.uint8
    detail = np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2, 3))
    fake = 1 / (1 + np.exp(4 - detail))
    return np.stack([1 - fake, fake], axis=1)


@pytest.fixture
def examples():
    """Smooth pictures, and pictures with a fine pattern of 4 to 23 grey levels."""
    images = np.full((40, 16, 16, 3), 100, np.uint8)
    labels = np.tile([0, 1], 20)
    images[1::2, :, ::2] += np.arange(4, 24, dtype=np.uint8)[:, None, None, None]
    return images, labels


def test_a_curve_is_what_each_strength_gives_by_itself(examples):
    images, labels = examples
    found = curve(contrast_classifier, [images[:25], images[25:]], labels, "blur")
    assert found.columns.tolist() == ["corruption", "strength", "accuracy", "auc"]
    assert found["strength"].tolist() == [0, 0.5, 1, 2, 4] and set(found["corruption"]) == {"blur"}
    for _, row in found.iterrows():
        fake = contrast_classifier(blur(images, row["strength"]))[:, 1]
        assert row["accuracy"] == ((fake > 0.5) == labels).mean()
        assert row["auc"] == roc_auc_score(labels, fake)
    # One pattern of 4 grey levels is not above the threshold. Blurred away, all are called real,
    # which is right for half of them.
    assert found["accuracy"].iloc[0] == 0.975 and found["accuracy"].iloc[-1] == 0.5
    assert found["auc"].iloc[0] == 1


def test_noise_deceives_a_classifier_that_looks_for_detail(examples):
    images, labels = examples
    found = curve(contrast_classifier, [images], labels, "noise", strengths=(0, 32))
    assert found["accuracy"].tolist() == [0.975, 0.5]


def test_batches_do_not_matter_and_may_be_read_once_only(examples):
    images, labels = examples
    measured = partial(curve, contrast_classifier, labels=labels, corruption="noise")
    whole = measured([images], seed=7)
    data = tf.data.Dataset.from_tensor_slices(images).batch(7)
    for batches in (iter([images[:1], images[1:]]), data.as_numpy_iterator(), data):
        assert measured(batches, seed=7).equals(whole)
    assert not measured([images], seed=8).equals(whole)


def test_three_classes_have_no_auc(examples):
    images, _ = examples
    labels = np.arange(40) % 3

    def first(images):
        return np.tile([1.0, 0, 0], (len(images), 1))

    found = curve(first, [images], labels, "jpeg")
    assert found["auc"].isna().all() and found["accuracy"].tolist() == [14 / 40] * 5


@pytest.mark.parametrize(
    "change, strength, message",
    [
        (jpeg, 0, "quality that is a whole number in .1, 100. for jpeg, got 0; change"),
        (jpeg, 50.5, "for jpeg, got 50.5"),
        (jpeg, 101, "for jpeg, got 101"),
        (rescale, 0, "factor in .0, 1. for rescaling, got 0"),
        (rescale, 1.5, "for rescaling, got 1.5"),
        (blur, -1, "pixels of 0 or more for blur, got -1"),
        (blur, float("nan"), "for blur, got nan"),
        (noise, -0.1, "grey levels of 0 or more for noise, got -0.1"),
        (noise, float("inf"), "for noise, got inf"),
    ],
)
def test_strengths_out_of_range(change, strength, message):
    with pytest.raises(ValueError, match=message):
        change(pictures(), strength, 0)


@each
@pytest.mark.parametrize(
    "images, found",
    [
        (np.zeros((2, 4, 4, 3), np.float32), "float32 .2, 4, 4, 3."),
        (np.zeros((4, 4, 3), np.uint8), "uint8 .4, 4, 3."),
        (np.zeros((2, 4, 4, 1), np.uint8), "uint8 .2, 4, 4, 1."),
        (np.zeros((0, 4, 4, 3), np.uint8), "uint8 .0, 4, 4, 3."),
    ],
)
def test_only_batches_of_colour_images_are_changed(name, images, found):
    corruption = CORRUPTIONS[name]
    for strength in corruption.strengths[:2]:
        with pytest.raises(ValueError, match=f"uint8 .B, H, W, 3., got {found}; hand in"):
            corruption.change(images, strength, 0)


def test_what_cannot_be_measured(examples):
    images, labels = examples
    with pytest.raises(ValueError, match="among jpeg, rescaling, blur, noise, got 'fog'"):
        robustness.get("fog")
    for arguments, message in (
        (([images], labels, "fog"), "expected a corruption among"),
        (([], labels, "blur"), "expected at least one batch of images, got none"),
        (([images], labels[:-1], "blur"), "expected a label for each of 40 rows"),
        (([images], np.zeros(40, int), "blur"), "expected examples of 2 classes or more"),
    ):
        with pytest.raises(ValueError, match=message):
            curve(contrast_classifier, *arguments)
    with pytest.raises(ValueError, match="expected at least one strength of blur, got none"):
        curve(contrast_classifier, [images], labels, "blur", strengths=())
