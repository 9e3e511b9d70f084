import json

import numpy as np
import pandas as pd
import pytest

from tfselfsup.vision import bootstrap, calibration, evaluation, metrics

TWO_CLASSES = [
    "accuracy",
    "balanced_accuracy",
    "auc",
    "eer",
    "average_precision",
    "log_loss",
    "calibration_error",
]
# Two sets with the same ids; a fake of source a is video x.
INDEX = pd.DataFrame(
    [
        ("one", "a", "a", 0),
        ("one", "a", "a", 0),
        ("one", "x", "a", 1),
        ("one", "x", "a", 1),
        ("two", "a", "a", 0),
        ("two", "x", "a", 1),
        ("two", "y", "y", 1),
    ],
    columns=["data_set", "video_id", "source_id", "label"],
)
LABELS = INDEX["label"].to_numpy()
# Logits of the probabilities of fake below, at temperature 2.
FAKE = np.array([0.1, 0.3, 0.8, 0.42, 0.55, 0.3, 0.9])
LOGITS = np.stack([np.zeros(7), 2 * np.log(FAKE / (1 - FAKE))], axis=1)
OF_VIDEOS = np.array([0.2, 0.61, 0.55, 0.3, 0.9])
LABELS_OF_VIDEOS = np.array([0, 1, 0, 1, 1])


def two(fake):
    return np.stack([1 - fake, fake], axis=1)


def evaluated(**change):
    arguments = {
        "labels": LABELS,
        "logits": LOGITS,
        "temperature": 2.0,
        "index_rows": INDEX,
        "resamples": 50,
        "seed": 0,
    }
    return evaluation.evaluate(**arguments | change)


def test_the_scores_are_those_of_the_calibrated_crops_and_of_the_means_of_the_videos():
    found = evaluated()
    for name, score in metrics.scores(LABELS, two(FAKE)).items():
        assert found[name] == pytest.approx(score), name
    for name, score in metrics.scores(LABELS_OF_VIDEOS, two(OF_VIDEOS)).items():
        assert found["videos"][name] == pytest.approx(score), name
    # By hand: right are 0.1, 0.3, 0.8 and 0.9; of the videos 0.2, 0.61 and 0.9.
    assert found["accuracy"] == pytest.approx(4 / 7)
    assert found["videos"]["accuracy"] == pytest.approx(3 / 5)


def test_ids_are_those_of_a_data_set():
    found = evaluated()
    assert (found["examples"], found["sources"]) == (7, 3)
    assert (found["videos"]["examples"], found["videos"]["sources"]) == (5, 3)


def test_the_intervals_are_over_sources():
    found = evaluated()
    sources = [0, 0, 0, 0, 1, 1, 2]
    for name, bounds in bootstrap.intervals(LABELS, two(FAKE), sources, 50, seed=0).items():
        assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx(bounds), name
    bounds = bootstrap.intervals(LABELS_OF_VIDEOS, two(OF_VIDEOS), [0, 0, 1, 1, 2], 50, seed=0)
    for name, (low, high) in bounds.items():
        assert found["videos"][f"{name}_low"] == pytest.approx(low), name
        assert found["videos"][f"{name}_high"] == pytest.approx(high), name


def test_the_uncalibrated_scores_are_those_at_temperature_1():
    found = evaluated()
    plain = metrics.scores(LABELS, calibration.apply(LOGITS, 1.0))
    assert found["temperature"] == 2
    for name in ("log_loss", "calibration_error"):
        assert found[f"{name}_uncalibrated"] == pytest.approx(plain[name])
        assert found[f"{name}_uncalibrated"] != pytest.approx(found[name])


def test_what_json_reads_back_is_what_was_written():
    found = evaluated()
    with_bounds = [f"{name}{end}" for name in TWO_CLASSES for end in ("", "_low", "_high")]
    uncalibrated = ["log_loss_uncalibrated", "calibration_error_uncalibrated"]
    assert list(found) == [
        "examples",
        "sources",
        *with_bounds,
        "temperature",
        *uncalibrated,
        "videos",
    ]
    assert list(found["videos"]) == ["examples", "sources", *with_bounds]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_three_classes_have_an_accuracy_each():
    index = pd.DataFrame({"data_set": "digits", "video_id": range(6), "source_id": range(6)})
    logits = np.eye(3)[[0, 0, 1, 2, 2, 2]]
    found = evaluated(labels=np.array([0, 0, 1, 1, 2, 2]), logits=logits, index_rows=index)
    assert found["classes"] == found["videos"]["classes"] == {"0": 1.0, "1": 0.5, "2": 1.0}
    assert "auc" not in found and "classes_low" not in found
    assert found["accuracy_low"] <= found["accuracy"] <= found["accuracy_high"]


def test_the_rows_are_taken_in_order_whatever_they_are_called():
    assert evaluated(index_rows=INDEX.set_axis(np.arange(7) * 3 % 7)) == evaluated()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"logits": np.where(np.arange(7)[:, None] == 3, np.nan, LOGITS)},
            "expected finite logits, got NaN or infinity in 1 of 7 rows, row 3 first",
        ),
        ({"labels": np.ones(7, int)}, "2 classes or more, got 7 examples of class 1"),
        (
            {
                "labels": LABELS[:0],
                "logits": LOGITS[:0],
                "index_rows": INDEX[:0],
            },
            "expected examples, got none",
        ),
        ({"temperature": 0.0}, "expected a temperature above 0, got 0.0"),
        (
            {"index_rows": INDEX[:6]},
            "expected 7 rows of an index with the columns data_set, video_id, got 6 rows with",
        ),
        (
            {"index_rows": INDEX.drop(columns="source_id")},
            "columns data_set, source_id, got 7 rows with data_set, video_id, label; give",
        ),
        (
            {"index_rows": INDEX.assign(video_id=[None, *INDEX["video_id"][1:]])},
            "expected data_set and video_id in every row, got 1 without; complete the ids",
        ),
        (
            {"index_rows": INDEX.assign(data_set="one", source_id="a")},
            "expected examples of 2 known sources or more, got 1",
        ),
        (
            {"labels": np.array([0, 1, 1, 1, 0, 1, 1])},
            r"one label for all crops of a video, got 1 and 0 for video \('one', 'a'\); correct",
        ),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        evaluated(**change)


def test_predictions_are_calibrated_and_do_not_tell_names():
    table = evaluation.predictions(LABELS, LOGITS, 2.0, INDEX)
    np.testing.assert_allclose(table["probability"], FAKE, atol=1e-6)
    np.testing.assert_allclose(table["log_odds"], (LOGITS[:, 1] - LOGITS[:, 0]) / 2)
    assert table["label"].tolist() == LABELS.tolist()
    assert table["predicted"].tolist() == [0, 0, 1, 0, 1, 0, 1]
    # Rows of one source share a hash, also across its videos; another set's does not.
    assert table["source"].nunique() == 3
    assert table["video"].nunique() == 5
    assert table["source"][:4].nunique() == 1
    assert table["source"].str.fullmatch("[0-9a-f]{12}").all()


def test_predictions_of_more_classes_have_no_probability_of_a_second():
    logits = np.eye(3)[[0, 2, 1, 1, 0, 2, 2]]
    table = evaluation.predictions(LABELS, logits, 1.0, INDEX)
    assert table["predicted"].tolist() == [0, 2, 1, 1, 0, 2, 2]
    assert "probability" not in table
