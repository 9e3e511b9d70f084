import hashlib
import itertools
from collections import Counter

import cv2
import numpy as np
import pytest
from scipy import stats

from tfselfsup.datasets import manifests, splices
from tfselfsup.datasets.records import FAKE, REAL

SEED = 11


@pytest.fixture(scope="module")
def made():
    return list(splices.make(960, 64, SEED))


def auc(scores, labels):
    """The probability that a fake scores above a real one, from the rank sum."""
    ranks, fake = stats.rankdata(scores), labels == FAKE
    below = ranks[fake].sum() - fake.sum() * (fake.sum() + 1) / 2
    return below / (fake.sum() * (~fake).sum())


def test_shapes_and_what_each_field_says(made):
    for splice in made:
        assert splice.image.shape == (64, 64, 3) and splice.image.dtype == np.uint8
        assert splice.mask.shape == (64, 64) and splice.mask.dtype == np.uint8
        assert splice.source_id in splices.SOURCES
        if splice.label == FAKE:
            assert splice.donor in splices.SOURCES and splice.donor != splice.source_id
            # 3% to 50% of the image, and 0 or 1.
            assert 0.03 < splice.mask.mean() < 0.5 and splice.mask.max() == 1
        else:
            assert splice.label == REAL and splice.donor == "" and not splice.mask.any()


def test_half_are_fake_and_as_many_of_each_photograph(made):
    counts = Counter((splice.source_id, splice.label) for splice in made)
    assert counts == {pair: 60 for pair in itertools.product(splices.SOURCES, (REAL, FAKE))}
    assert len({splice.example_id for splice in made}) == 960
    assert len({splice.image.tobytes() for splice in made}) == 960


def test_every_photograph_is_a_donor_to_every_other(made):
    pairs = {(splice.source_id, splice.donor) for splice in made if splice.label == FAKE}
    assert pairs == set(itertools.permutations(splices.SOURCES, 2))


def test_there_are_eight_colour_photographs_larger_than_any_splice():
    assert len(splices.SOURCES) == 8
    for name in splices.SOURCES:
        photograph = splices._photograph(name)
        assert photograph.dtype == np.uint8 and photograph.shape[2] == 3
        assert min(photograph.shape[:2]) >= 256
        assert np.any(photograph[..., 0] != photograph[..., 2])  # not grey


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_fewer_are_the_first_of_more_and_the_seed_repeats_them(made, count):
    again = list(splices.make(count, 64, SEED))
    assert len(again) == count
    for one, other in zip(again, made, strict=False):
        assert one._replace(image=None, mask=None) == other._replace(image=None, mask=None)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.mask, other.mask)


def test_another_seed_makes_other_images(made):
    known = {splice.image.tobytes() for splice in made}
    assert not known & {splice.image.tobytes() for splice in splices.make(40, 64, SEED + 1)}


def test_a_crop_is_a_window_shrunk_by_1_to_2_and_mirrored_half_the_time():
    # Pixels tell where they come from, and averaging keeps ramps.
    rows, columns = np.mgrid[:100, :120]
    photograph = np.stack([2 * rows, 2 * columns, 0 * rows], axis=-1).astype(np.uint8)
    scales, mirrored = [], []
    for seed in range(200):
        crop = splices._crop(photograph, 40, np.random.default_rng(seed)).astype(float)
        height = (crop[39, 0, 0] - crop[0, 0, 0]) / 2 / 39
        width = (crop[0, 39, 1] - crop[0, 0, 1]) / 2 / 39
        assert abs(abs(width) - height) < 0.03 and not crop[..., 2].any()
        scales.append(height)
        mirrored.append(width < 0)
    assert 0.97 < min(scales) < 1.05 and 1.95 < max(scales) < 2.03
    assert 72 < sum(mirrored) < 128  # 4 standard deviations


def test_a_fake_differs_from_its_crop_in_the_region_only(made):
    changes = []
    for number, splice in enumerate(made[:200]):
        photograph = splices._photograph(splice.source_id)
        crop = splices._crop(photograph, 64, np.random.default_rng([SEED, number]))
        change = np.abs(splice.image.astype(int) - crop).mean(axis=2)
        if splice.label == REAL:
            assert not change.any()
            continue
        # The edge is soft, by a few pixels.
        around = cv2.dilate(splice.mask, np.ones((17, 17), np.uint8))
        assert not change[around == 0].any()
        changes.append(change[splice.mask == 1].mean())
    assert np.min(changes) > 1 and np.median(changes) > 8


def test_colours_and_contrast_do_not_tell_fakes(made):
    images = np.stack([splice.image for splice in made]).astype(float)
    labels = np.array([splice.label for splice in made])
    grey = images.mean(axis=3)
    features = np.column_stack(
        [images.mean(axis=(1, 2)), images.std(axis=(1, 2)), grey.mean((1, 2)), grey.std((1, 2))]
    )
    for feature in features.T:
        assert abs(auc(feature, labels) - 0.5) < 0.08
    # All of them together, by least squares on one half, tried on the other.
    design = np.column_stack([np.ones(len(features)), features])
    half = len(made) // 2
    weights, *_ = np.linalg.lstsq(design[:half], labels[:half], rcond=None)
    assert abs(auc(design[half:] @ weights, labels[half:]) - 0.5) < 0.08


def test_fine_detail_differs_across_the_mask_of_a_fake(made):
    # How much finer or coarser the inside is than a ring around it; for a real image, which comes
    # before the fake of the same photograph, inside that one's mask.
    differences, labels = [], []
    for real, fake in zip(made[::2], made[1::2], strict=True):
        inside = cv2.erode(fake.mask, np.ones((5, 5), np.uint8)) == 1
        far, near = (cv2.dilate(fake.mask, np.ones((n, n), np.uint8)) for n in (25, 9))
        ring = (far == 1) & (near == 0)
        for splice in (real, fake):
            grey = splice.image.mean(axis=2)
            energy = (grey - cv2.GaussianBlur(grey, (0, 0), 1)) ** 2
            ratio = (energy[inside].mean() + 0.1) / (energy[ring].mean() + 0.1)
            differences.append(abs(np.log(ratio)))
            labels.append(splice.label)
    assert auc(np.array(differences), np.array(labels)) > 0.65


@pytest.mark.parametrize(
    "count, side, seed, message",
    [
        (0, 64, 0, "at least 1 splice, got count 0"),
        (4, 31, 0, "32 to 256 pixels, got 31"),
        (4, 257, 0, "32 to 256 pixels, got 257"),
        (4, 64, -1, "a seed of at least 0, got -1"),
    ],
)
def test_bad_arguments_are_told_before_the_first_image(count, side, seed, message):
    with pytest.raises(ValueError, match=message):
        splices.make(count, side, seed)


@pytest.mark.parametrize("side", [32, 256])
def test_the_smallest_and_the_largest_side(side):
    for splice in splices.make(16, side, 0):
        assert splice.image.shape == (side, side, 3)
        assert splice.mask.any() == (splice.label == FAKE)


def test_written_images_have_manifests_like_those_of_videos(tmp_path):
    splices.write(tmp_path, 6, 40, seed=1)
    found = list(manifests.read_all(tmp_path))
    made = list(splices.make(6, 40, seed=1))
    assert [manifest.video.video_id for manifest in found] == [one.example_id for one in made]
    for manifest, splice in zip(found, made, strict=True):
        # No file of a mask is written.
        assert (manifest.status, manifest.mask) == ("done", False)
        assert (manifest.video.label, manifest.video.source_id) == (splice.label, splice.source_id)
        (crop,) = manifest.crops
        content = (tmp_path / crop.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == crop.sha256
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert np.abs(image.astype(int) - splice.image).mean() < 4  # JPEG


def test_writing_again_leaves_nothing_of_before(tmp_path):
    splices.write(tmp_path, 6, 40, seed=1)
    splices.write(tmp_path, 2, 40, seed=2)
    assert len(list(manifests.read_all(tmp_path))) == 2
    assert len(list((tmp_path / "crops" / "splices").iterdir())) == 2
