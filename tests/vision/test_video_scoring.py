import re

import cv2
import numpy as np
import pytest

from tests.datasets import prepared
from tfselfsup.datasets import forged_faces
from tfselfsup.datasets.loading import FaceData
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Crop, Video
from tfselfsup.vision import aggregation, video_scoring
from tfselfsup.vision.video_scoring import (
    FACE_COLUMNS,
    UNKNOWN,
    face_rows,
    interval,
    list_videos,
    read_crop,
    video_row,
)

OPTIONS = {"batch_size": 4, "resamples": 200, "seed": 0}


@pytest.fixture
def cut(tmp_path):
    """A video with three crops, whose brightness is their number, and its manifest."""
    crops = []
    for number, level in enumerate((50, 100, 200)):
        file = f"crops/videos/a.mp4/{10 * number}.jpg"
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / file), np.full((12, 12, 3), level, np.uint8))
        crops.append(Crop(file, 10 * number, number / 3, 5, 6, 12, 0.91234567, 1 + number))
    video = Video(tmp_path / "a.mp4", "videos", "a.mp4", "a.mp4", UNKNOWN)
    return Manifest(video, "done", frames=4, crops=tuple(crops))


def by_brightness(images):
    fake = images.mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - fake, fake], axis=1)


def scored(manifest, out, predict=by_brightness, **change):
    return video_scoring.score(manifest, out, 8, predict, **OPTIONS | change)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_every_crop_is_scored_and_the_video_has_their_mean(cut, tmp_path, batch_size):
    sizes = []

    def predict(images):
        assert images.shape[1:] == (8, 8, 3) and images.dtype == np.uint8
        sizes.append(len(images))
        return by_brightness(images)

    found = scored(cut, tmp_path, predict, batch_size=batch_size)
    assert max(sizes) <= batch_size
    np.testing.assert_allclose(found.probabilities, np.array([50, 100, 200]) / 255, atol=2e-3)
    # As a classifier is scored per video.
    both = np.stack([1 - found.probabilities, found.probabilities], axis=1)
    ids = np.zeros(3, int)
    _, means, _ = aggregation.per_video(np.ones(3, int), both, ids, ids)
    assert found.probability == pytest.approx(means[0, 1], rel=1e-12)
    assert found.low < found.probability < found.high


def test_a_video_without_a_face_has_a_row_without_a_score(cut, tmp_path):
    manifest = cut._replace(status="no face", reason="in 4 frames", crops=())

    def predict(images):
        raise AssertionError("there is nothing to score")

    found = scored(manifest, tmp_path, predict)
    row = video_row(found)
    assert (row["status"], row["reason"], row["faces"]) == ("no face", "in 4 frames", 0)
    names = ("probability", "probability_low", "probability_high")
    assert [row[name] for name in names] == [None] * 3
    assert face_rows(found) == []


def test_rows_hold_what_is_known_of_a_face(cut, tmp_path):
    first, *_, last = face_rows(scored(cut, tmp_path))
    assert tuple(first) == FACE_COLUMNS
    assert first["video"] == str(tmp_path / "a.mp4") and first["frame_index"] == 0
    assert (first["x"], first["y"], first["side"]) == (5, 6, 12)
    assert first["detector_confidence"] == 0.912346
    assert last["seconds"] == 0.667 and last["faces_in_frame"] == 3
    assert last["file"] == "crops/videos/a.mp4/20.jpg"


def test_a_probability_that_is_no_number_is_an_error(cut, tmp_path):
    with pytest.raises(ValueError, match="got one that is not a number for .*a.mp4"):
        scored(cut, tmp_path, lambda images: by_brightness(images) * np.nan)


def test_a_crop_is_read_as_from_a_data_set(tmp_path):
    prepared.write(tmp_path)
    forged_faces.build(tmp_path)
    data = FaceData(tmp_path)
    for side in (24, 10, 40):  # as it is, smaller and larger
        (batch,) = data.images(np.ones(len(data), bool), side=side, batch_size=100)
        for row, image in zip(batch["row"].numpy(), batch["image"].numpy(), strict=True):
            example = data.index.loc[row]
            name = f"crops/made/{example['video_id']}/{example['frame_index']}.jpg"
            np.testing.assert_array_equal(read_crop(tmp_path / name, side), image)


def test_the_interval_is_that_of_a_mean():
    probabilities = np.random.default_rng(0).beta(2, 5, 400)
    low, high = interval(probabilities, resamples=4000, seed=1)
    error = probabilities.std() / np.sqrt(len(probabilities))
    mean = probabilities.mean()
    # The normal approximation, which holds for so many frames.
    assert [low, high] == pytest.approx([mean - 1.96 * error, mean + 1.96 * error], abs=0.1 * error)
    assert interval(probabilities, 4000, 1) == (low, high) != interval(probabilities, 4000, 2)


def test_frames_that_agree_have_a_narrow_interval_and_one_frame_has_none():
    assert interval(np.full(5, 0.3), 100, 0) == pytest.approx((0.3, 0.3))
    assert interval(np.array([0.3]), 100, 0) == (None, None)
    assert interval(np.zeros(0), 100, 0) == (None, None)


def test_the_name_of_a_video_is_its_own_and_the_same_in_every_call(tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    paths = [tmp_path / "other" / "a.mp4", tmp_path / "one" / "a.mp4", tmp_path / "one" / "a.avi"]
    found = list_videos([*map(str, paths), str(tmp_path / "one" / ".." / "one" / "a.mp4")])
    names = [video.video_id for video in found]
    assert len(set(names)) == 3 and all(re.fullmatch(r"a-[0-9a-f]{8}", name) for name in names)
    assert [video.path for video in found] == paths
    assert {video.label for video in found} == {UNKNOWN}
    assert list_videos([paths[0]]) == found[:1]


@pytest.mark.parametrize(
    "names, told", [([], "got none"), (["folder"], "the folder"), (["a.jpg"], "the image")]
)
def test_what_is_no_video_is_refused(tmp_path, names, told):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=told):
        list_videos([tmp_path / name for name in names])
