import numpy as np
import pytest

from tfselfsup.vision import aggregation

LABELS = np.array([1, 0, 1, 1, 0])
FAKE = np.array([0.9, 0.2, 0.5, 0.6, 0.4])
PROBABILITIES = np.stack([1 - FAKE, FAKE], axis=1)
VIDEOS = np.array(["x", "c", "b", "x", "c"])
SOURCES = np.array(["c", "c", "s", "c", "c"])


def test_the_means_by_hand():
    labels, probabilities, sources = aggregation.per_video(LABELS, PROBABILITIES, VIDEOS, SOURCES)
    np.testing.assert_array_equal(labels, [1, 0, 1])
    np.testing.assert_allclose(probabilities, [[0.25, 0.75], [0.7, 0.3], [0.5, 0.5]])
    np.testing.assert_array_equal(sources, ["c", "c", "s"])


def test_videos_of_one_crop_stay_as_they_are():
    found = aggregation.per_video(LABELS, PROBABILITIES, np.arange(5)[::-1], SOURCES)
    for one, other in zip(found, (LABELS, PROBABILITIES, SOURCES), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_video_may_be_named_by_a_pair():
    pairs = np.empty(5, object)
    pairs[:] = [("one", "a"), ("two", "a"), ("one", "b"), ("one", "a"), ("two", "a")]
    labels, probabilities, _ = aggregation.per_video(LABELS, PROBABILITIES, pairs, SOURCES)
    np.testing.assert_array_equal(labels, [1, 0, 1])
    np.testing.assert_allclose(probabilities[:, 1], [0.75, 0.3, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": [1, 0, 1, 0, 0]},
            "one label for all crops of a video, got 0 and 1 for video x",
        ),
        (
            {"sources": np.array(["c", "c", "s", "c", "q"])},
            "one source for all crops of a video, got q and c for video c; correct the index",
        ),
        ({"labels": [1, 0]}, "of as many crops, got 2, 5, 5, 5; give those of the same crops"),
        (
            {"videos": np.array(["x", None, "b", "x", None])},
            "a video for every crop, got none for 2 of 5; complete the ids",
        ),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {
        "labels": LABELS,
        "probabilities": PROBABILITIES,
        "videos": VIDEOS,
        "sources": SOURCES,
    }
    with pytest.raises(ValueError, match=message):
        aggregation.per_video(**arguments | change)
