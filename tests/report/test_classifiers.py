import dataclasses
import math

import pytest

from tests.report.scored_runs import EVALUATION
from tests.report.scored_runs import classifier as scored
from tfselfsup.report import classifiers


def without(*names) -> dict:
    return {name: value for name, value in EVALUATION.items() if name not in names}


@pytest.mark.parametrize(
    "evaluation",
    [
        EVALUATION,
        EVALUATION | {"task": "rotation", "part": "validation", "accuracy": 1},
        without("task", "protocol"),
        without("auc", "auc_low", "auc_high") | {"classes": {"0": 0.5, "1": 1.0}},
        EVALUATION | {"part": "all", "trained_on": "ff", "trained_on_hash": "1", "data_hash": "2"},
        EVALUATION | {"log_loss": 1.5, "log_loss_uncalibrated": 2, "eer": None},
        EVALUATION | {"videos": {"examples": 3, "accuracy": 0.5}},
    ],
)
def test_a_whole_evaluation_is_valid(evaluation):
    assert classifiers.invalid_fields(evaluation) == []


@pytest.mark.parametrize(
    ("evaluation", "invalid"),
    [
        (without("model", "seed"), ["model", "seed"]),
        (EVALUATION | {"weights": None}, ["weights"]),
        (EVALUATION | {"data_set": ""}, ["data_set"]),
        (EVALUATION | {"stand_in": "no"}, ["stand_in"]),
        (without("stand_in"), ["stand_in"]),
        (EVALUATION | {"task": ["rotation"]}, ["task"]),
        (EVALUATION | {"part": "train"}, ["part"]),
        (EVALUATION | {"seed": -1}, ["seed"]),
        (EVALUATION | {"seed": True}, ["seed"]),
        (EVALUATION | {"accuracy": math.nan}, ["accuracy"]),
        (EVALUATION | {"accuracy": 69.0}, ["accuracy"]),
        (EVALUATION | {"accuracy_low": "0.6"}, ["accuracy_low"]),
        (without("accuracy_high"), ["accuracy_high"]),
        (without("auc_low"), ["auc_low"]),
        (without("auc"), ["auc"]),
        (EVALUATION | {"classes": {}}, ["classes"]),
        (EVALUATION | {"classes": {"0": 1.5}}, ["classes"]),
        (EVALUATION | {"classes": [0.5]}, ["classes"]),
        (EVALUATION | {"protocol": "probe"}, ["protocol"]),
        (EVALUATION | {"part": "all"}, ["data_hash", "trained_on_hash", "trained_on"]),
        (EVALUATION | {"eer": 1.5}, ["eer"]),
        (EVALUATION | {"log_loss": math.nan}, ["log_loss"]),
        (EVALUATION | {"log_loss_high": math.inf}, ["log_loss_high"]),
        (EVALUATION | {"calibration_error_uncalibrated": "0"}, ["calibration_error_uncalibrated"]),
        (EVALUATION | {"videos": {"accuracy": 0.5}}, ["videos"]),
        (EVALUATION | {"videos": {"examples": 3, "auc": -1}}, ["videos"]),
    ],
)
def test_what_cannot_be_is_named(evaluation, invalid):
    assert classifiers.invalid_fields(evaluation) == invalid


def test_runs_that_differ_in_the_split_or_the_seed_are_one_classifier():
    one = [scored(), scored(split="random"), scored(seed=1)]
    others = [
        scored(weights="random"),
        scored(task="rotation"),
        scored(stand_in=True),
        scored(data_set="faceforensics"),
        scored(part="validation"),
        scored(protocol={"mode": "probe", "solver": "adam"}),
        scored(part="all", trained_on="dfdc"),
        scored(part="all", trained_on="faceforensics"),
        scored(protocol=EVALUATION["protocol"] | {"pretrained_on_other_data": True}),
    ]
    # The order of settings in the file tells nothing apart.
    last = scored(seed=2, protocol={"solver": "lbfgs", "mode": "probe"})
    groups = classifiers.group_splits_and_seeds([*one, *others, last])
    assert groups == [[*one, last], *([other] for other in others)]


def test_a_split_and_a_seed_have_an_identity_each():
    runs = [scored(), scored(split="random"), scored(seed=1), scored(task="rotation")]
    assert len({run.identity() for run in runs}) == 4
    assert scored("copy", accuracy=0.1).identity() == scored().identity()


def test_common_settings_are_those_that_all_have():
    runs = [
        scored(protocol={"mode": "probe", "solver": "lbfgs"}),
        scored(protocol={"mode": "probe", "solver": "adam", "epochs": 10}),
    ]
    assert classifiers.common_settings(runs) == {"part": "test", "mode": "probe"}
    assert classifiers.common_settings(runs[1:]) == {
        "part": "test",
        "mode": "probe",
        "solver": "adam",
        "epochs": 10,
    }
    # Nothing set is another thing than set to None.
    absent, none = scored(protocol={}), scored(protocol={"feature": None})
    assert classifiers.common_settings([none, absent]) == {"part": "test"}


def test_settings_as_text():
    assert classifiers.described({"solver": "lbfgs", "epochs": 10}) == "solver lbfgs, epochs 10"
    assert classifiers.described({}) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-05, "1e-05"),
        (0.5, "0.5"),
        (True, "True"),
        ([0.7, 0.1, 0.2], "0.7, 0.1, 0.2"),
        ([{"name": "rotation", "weight": 1.0}], "rotation 1"),
        ([["rotation", 0.5]], "rotation, 0.5"),
        (
            [
                {"name": "rotation", "weight": 0.5, "options": {}},
                {"name": "jigsaw", "weight": 2, "options": {"grid": 3}},
            ],
            "rotation 0.5 + jigsaw 2 options grid 3",
        ),
        ({"rotation": 0.5}, "rotation 0.5"),
    ],
)
def test_values_of_settings_as_text(value, text):
    assert classifiers.described({"tasks": value}) == f"tasks {text}"


def test_data_sets_of_one_name_are_told_apart_by_their_hashes():
    # Two folders that are laid out like DFDC, and a file of a version that knew no hashes.
    one, other, older = (
        scored(data_hash="1234567890"),
        scored(data_hash="abcdefabcd"),
        scored(seed=1),
    )
    elsewhere = scored(
        **{"data_set": "ff", "data_hash": "0000000000", "part": "all"},
        **{"trained_on": "dfdc", "trained_on_hash": "abcdefabcd"},
    )
    runs = [one, other, older, elsewhere]
    shared = classifiers.shared_names(run.evaluation for run in runs)
    assert shared == {"dfdc"}
    told = [
        dataclasses.replace(run, evaluation=classifiers.told_apart(run.evaluation, shared))
        for run in runs
    ]
    assert [run.evaluation["data_set"] for run in told] == [
        *("dfdc (fingerprint 12345678)", "dfdc (fingerprint abcdefab)", "dfdc", "ff")
    ]
    assert told[1].trained_on == told[3].trained_on == "dfdc (fingerprint abcdefab)"
    assert len(classifiers.group_splits_and_seeds(told)) == 4
    assert told[1].classifier() == told[3].classifier() != told[0].classifier()


def test_a_name_that_means_one_data_set_stays():
    runs = [scored(data_hash="1234567890"), scored(seed=1, data_hash="1234567890"), scored(seed=2)]
    assert classifiers.shared_names(run.evaluation for run in runs) == set()
    assert [classifiers.told_apart(run.evaluation, set()) for run in runs] == [
        run.evaluation for run in runs
    ]
    (group,) = classifiers.group_splits_and_seeds(runs)
    assert group == runs


def test_a_classifier_is_the_same_wherever_it_is_scored():
    own = scored()
    elsewhere = scored(data_set="faceforensics", part="all", trained_on="dfdc")
    assert own.classifier() == elsewhere.classifier()
    assert (own.trained_on, elsewhere.trained_on) == ("dfdc", "dfdc")
    assert elsewhere.is_on_other_data and not own.is_on_other_data
    assert own.classifier() != scored(data_set="faceforensics").classifier()
    assert own.classifier() != scored(protocol={"mode": "probe"}).classifier()
