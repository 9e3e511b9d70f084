from pathlib import Path

import pandas as pd
import pytest

from tests.report.scored_runs import MODEL
from tfselfsup.report import classifier_scores
from tfselfsup.report.classifiers import ClassifierRun

SCORES = ("accuracy", "auc", "eer", "average_precision", "log_loss", "calibration_error")


def with_ends(value) -> dict:
    scores = {}
    for name in SCORES:
        scores |= {name: value, f"{name}_low": value - 0.125, f"{name}_high": value + 0.125}
    return scores


def scored(model="mobilenet", value=0.5, **others):
    evaluation = {
        "model": model,
        "weights": "imagenet",
        **MODEL,
        "protocol": {"mode": "probe"},
        "examples": 8,
        "log_loss_uncalibrated": value + 0.25,
        "calibration_error_uncalibrated": value + 0.125,
        "videos": {"examples": 8, **with_ends(value)},
    }
    return ClassifierRun(Path("run"), evaluation | with_ends(value) | others)


def on_other(data_set, value=0.5, *, trained_on="dfdc", **others):
    return scored(value=value, data_set=data_set, trained_on=trained_on, part="all", **others)


def rows_of(table, *columns) -> list[tuple]:
    return [
        tuple(None if pd.isna(value) else value for value in row)
        for row in table[list(columns)].itertuples(index=False)
    ]


def other_data_of(runs) -> pd.DataFrame:
    return classifier_scores.on_other_data(classifier_scores.scored_elsewhere(runs))


def test_one_seed_on_hard_has_all_scores_with_their_bootstrap_intervals():
    (row,) = classifier_scores.on_hard([scored(value=0.25)], "dfdc").to_dict("records")
    assert (row["accuracy"], row["accuracy_low"], row["accuracy_high"]) == (25.0, 12.5, 37.5)
    for score in SCORES[1:]:
        assert (row[score], row[f"{score}_low"], row[f"{score}_high"]) == (0.25, 0.125, 0.375)
        assert (row[f"{score}_interval"], row[f"{score}_seeds"]) == ("95% bootstrap", 1)
    assert row["log_loss_uncalibrated"] == 0.5
    assert row["calibration_error_uncalibrated"] == 0.375
    assert row["per"] == "image"


def test_several_seeds_on_hard_have_their_mean_and_their_range():
    runs = [scored(value=value, seed=seed) for seed, value in enumerate((0.25, 0.75, 0.125))]
    (row,) = classifier_scores.on_hard(runs, "dfdc").to_dict("records")
    for score in SCORES[1:]:
        assert (row[score], row[f"{score}_low"], row[f"{score}_high"]) == (0.375, 0.125, 0.75)
        assert (row[f"{score}_interval"], row[f"{score}_seeds"]) == ("range over seeds", 3)
    assert row["log_loss_uncalibrated"] == 0.625


def test_videos_have_a_row_where_they_are_not_single_images():
    runs = [
        scored("mobilenet", 0.25, videos={"examples": 4, **with_ends(0.75)}),
        scored("squeezenet"),
    ]
    table = classifier_scores.on_hard(runs, "dfdc")
    assert rows_of(table, "model", "per", "accuracy", "eer", "log_loss_uncalibrated") == [
        ("mobilenet", "image", 25.0, 0.25, 0.5),
        ("mobilenet", "video", 75.0, 0.75, None),
        ("squeezenet", "image", 50.0, 0.5, 0.75),
    ]


def test_only_the_hard_split_of_two_classes_is_shown():
    runs = [
        scored(split="random"),
        scored(data_set="ff"),
        on_other("dfdc", trained_on="ff"),
        scored(classes={"0": 1.0}),
    ]
    assert classifier_scores.on_hard(runs, "dfdc").empty
    assert len(classifier_scores.on_hard([*runs, scored(seed=1)], "dfdc")) == 1


def test_what_a_score_was_not_written_for_is_empty():
    run = scored(eer=None, videos=None, log_loss_uncalibrated=None)
    (row,) = classifier_scores.on_hard([run], "dfdc").to_dict("records")
    assert pd.isna(row["eer"]) and pd.isna(row["log_loss_uncalibrated"])
    assert row["log_loss"] == 0.5


def test_other_data_stand_below_the_own_test_part():
    runs = [
        on_other("ff", 0.5),
        on_other("dfd", 0.625),
        scored(value=0.75),
        scored(value=0.25, split="random"),
        scored("squeezenet"),
        scored(value=0.25, part="validation"),
    ]
    table = other_data_of(runs)
    columns = ("model", "trained_on", "split", "tested_on", "part", "settings", "accuracy", "auc")
    named = ("mobilenet", "dfdc", "hard")
    assert rows_of(table, *columns)[:3] == [
        (*named, "dfdc", "test", "", 75.0, 0.75),
        (*named, "ff", "all", "", 50.0, 0.5),
        (*named, "dfd", "all", "", 62.5, 0.625),
    ]


def test_splits_and_seeds_that_were_not_scored_on_other_data_are_passed_over():
    runs = [scored(split="random"), scored(value=0.75), scored(seed=1), on_other("ff")]
    table = other_data_of(runs)
    assert rows_of(table, "split", "tested_on", "accuracy", "accuracy_seeds") == [
        ("hard", "dfdc", 75.0, 1),
        ("hard", "ff", 50.0, 1),
    ]


def test_seeds_are_averaged_on_each_data_set():
    runs = [on_other("ff", value, seed=seed) for seed, value in enumerate((0.25, 0.75))]
    table = other_data_of(runs)
    ends = ("accuracy", "accuracy_low", "accuracy_high", "accuracy_interval", "accuracy_seeds")
    assert rows_of(table, *ends) == [(50.0, 25.0, 75.0, "range over seeds", 2)]


def test_classifiers_on_other_data_are_told_apart_by_what_they_learnt_from_and_how():
    runs = [
        on_other("ff"),
        on_other("ff", trained_on="dfd"),
        on_other("ff", protocol={"mode": "fine_tune"}),
        on_other("ff", protocol={"mode": "probe", "pretrained_on_other_data": True}),
    ]
    table = other_data_of(runs)
    assert rows_of(table, "trained_on", "settings", "note") == [
        ("dfdc", "mode probe", None),
        ("dfd", "mode probe", None),
        ("dfdc", "mode fine_tune", None),
        ("dfdc", "mode probe", "pre-trained on other data, split or seed"),
    ]


@pytest.mark.parametrize("runs", [[], [scored()]])
def test_what_was_not_scored_elsewhere_is_passed_over(runs):
    assert classifier_scores.scored_elsewhere(runs) == []


def test_names_on_hard_are_those_of_the_whole_data_set():
    adam = {"mode": "probe", "probe.solver": "adam"}
    runs = [scored(protocol=adam), scored(split="random")]
    table = classifier_scores.on_hard(runs, "dfdc")
    assert rows_of(table, "settings") == [("probe.solver adam",)]
