from pathlib import Path

import pandas as pd
import pytest

from tests.report.scored_runs import MODEL
from tfselfsup.report import classifier_tables, over_seeds
from tfselfsup.report.classifiers import ClassifierRun


def scored(model, weights="imagenet", accuracy=0.5, *, interval=(0.4, 0.6), **others):
    evaluation = {
        "model": model,
        "weights": weights,
        **MODEL,
        "accuracy": accuracy,
        "accuracy_low": interval[0],
        "accuracy_high": interval[1],
        "protocol": {"mode": "probe"},
    }
    if "classes" not in others:
        evaluation |= {"auc": 0.7, "auc_low": 0.6, "auc_high": 0.8}
    return ClassifierRun(Path("run"), evaluation | others)


def of_digits(accuracies, **others):
    classes = {str(digit): accuracy for digit, accuracy in enumerate(accuracies)}
    settings = {"data_set": "usps", "split": "official", "protocol": {"mode": "fine_tune"}}
    return scored("two_layer_cnn", "random", **settings | {"classes": classes} | others)


def rows_of(table, *columns) -> list[tuple]:
    return [
        tuple(None if pd.isna(value) else value for value in row)
        for row in table[list(columns)].itertuples(index=False)
    ]


def row_of(table, model, weights) -> dict:
    (row,) = table[(table["model"] == model) & (table["weights"] == weights)].to_dict("records")
    return {name: None if pd.isna(value) else value for name, value in row.items()}


def test_the_published_columns_are_the_studys_first_table():
    # Agarwal, Sinha and Ayush (2019).
    table = classifier_tables.accuracies([scored("resnet50", "random")], "dfdc")
    assert rows_of(table, "model", "weights", "published_random", "published_hard") == [
        ("resnet50", "random", 56.7, 56.2),
        ("resnet50", "imagenet", 96.1, 91.1),
        ("alexnet", "imagenet", 81.5, 73.5),
        ("alexnet_bn", "imagenet and rotation", 75.8, 71.1),
        ("bigbigan_resnet50", "the published", 92.3, 70.8),
        ("bigbigan_revnet50x4", "the published", 96.5, 92.7),
    ]


def test_what_has_no_run_is_listed():
    table = classifier_tables.accuracies([scored("resnet50")], "dfdc")
    assert rows_of(table, "model", "weights", "hard", "note") == [
        ("resnet50", "random", None, "no run"),
        ("resnet50", "imagenet", 50.0, None),
        ("alexnet", "imagenet", None, "no run"),
        ("alexnet_bn", "imagenet and rotation", None, "no run"),
        ("bigbigan_resnet50", "the published", None, "no run"),
        ("bigbigan_revnet50x4", "the published", None, "no run"),
    ]


def test_one_seed_has_its_bootstrap_interval():
    run = scored("resnet50", accuracy=0.625, interval=(0.5, 0.75))
    row = row_of(classifier_tables.accuracies([run], "dfdc"), "resnet50", "imagenet")
    hard = [row["hard" + ending] for ending in over_seeds.ENDINGS]
    assert hard == [62.5, 50.0, 75.0, "95% bootstrap", 1]
    auc = [row["auc_hard" + ending] for ending in over_seeds.ENDINGS]
    assert auc == [0.7, 0.6, 0.8, "95% bootstrap", 1]
    assert row["random"] is None and row["random_minus_hard"] is None


def test_several_seeds_have_their_mean_and_their_range():
    runs = [
        scored("resnet50", accuracy=accuracy, seed=seed, auc=accuracy + 0.25)
        for seed, accuracy in enumerate((0.5, 0.625, 0.375, 0.25))
    ]
    row = row_of(classifier_tables.accuracies(runs, "dfdc"), "resnet50", "imagenet")
    # (0.5 + 0.625 + 0.375 + 0.25) / 4 = 1.75 / 4
    hard = [row["hard" + ending] for ending in over_seeds.ENDINGS]
    assert hard == [43.75, 25.0, 62.5, "range over seeds", 4]
    auc = [row["auc_hard" + ending] for ending in over_seeds.ENDINGS]
    assert auc == [0.6875, 0.5, 0.875, "range over seeds", 4]


def difference(runs) -> list:
    row = row_of(classifier_tables.accuracies(runs, "dfdc"), "resnet50", "imagenet")
    return [row["random_minus_hard" + ending] for ending in over_seeds.ENDINGS]


def on_splits(random: dict, hard: dict) -> list[ClassifierRun]:
    """Runs of both splits with an accuracy for each seed."""
    return [
        scored("resnet50", accuracy=accuracy, split=split, seed=seed, auc=0.7 + (split == "random"))
        for split, seeds in (("random", random), ("hard", hard))
        for seed, accuracy in seeds.items()
    ]


def test_random_minus_hard_is_of_the_seed_that_both_have():
    runs = on_splits({0: 0.75, 1: 1.0}, {0: 0.625})
    row = row_of(classifier_tables.accuracies(runs, "dfdc"), "resnet50", "imagenet")
    # 75 - 62.5, not (75 + 100) / 2 - 62.5; the AUC is that of the hard split only.
    assert (row["random"], row["hard"], row["auc_hard"]) == (87.5, 62.5, 0.7)
    assert difference(runs) == [12.5, None, None, None, 1]


def test_random_minus_hard_goes_from_the_lowest_to_the_highest_seed():
    runs = on_splits({2: 0.5, 0: 0.75, 1: 0.5, 7: 0.0}, {0: 0.5, 1: 0.625, 2: 0.75, 9: 1.0})
    # 25, -12.5 and -25 points at seeds 0, 1 and 2.
    assert difference(runs) == [pytest.approx(-12.5 / 3), -25.0, 25.0, "range over seeds", 3]


def test_without_a_common_seed_there_is_no_difference():
    assert difference(on_splits({0: 0.75}, {1: 0.625})) == 5 * [None]
    assert difference(on_splits({}, {1: 0.625})) == 5 * [None]


@pytest.mark.parametrize(
    "changed", [{"part": "validation"}, {"protocol": {"pretrained_on_other_data": True}}]
)
def test_published_figures_stand_beside_scores_of_the_same_kind_only(changed):
    table = classifier_tables.accuracies([scored("resnet50", **changed)], "dfdc")
    (measured,) = table[table["hard"].notna()].to_dict("records")
    assert pd.isna(measured["published_hard"])
    published = table[table["published_hard"] == 91.1]
    assert rows_of(published, "weights", "note") == [("imagenet", "no run")]


def test_the_random_initialisation_is_of_the_same_mode():
    tuned = {"mode": "fine_tune"}
    runs = [
        scored("mobilenet", "random"),
        scored("mobilenet", protocol=tuned | {"epochs": 10}),
        scored("squeezenet", protocol=tuned),
        scored("squeezenet", "random", protocol=tuned | {"epochs": 30}),
        scored("resnet50", protocol=tuned),
    ]
    table = classifier_tables.accuracies(runs, "dfdc")
    columns = ("weights", "settings", "note")
    by_model = {model: rows_of(rows, *columns) for model, rows in table.groupby("model")}
    assert by_model["mobilenet"] == [
        ("random", "mode probe", None),
        ("random", "mode fine_tune", "no run"),
        ("imagenet", "mode fine_tune, epochs 10", None),
    ]
    # Before the trained one also if it was trained for longer.
    assert by_model["squeezenet"] == [
        ("random", "mode fine_tune, epochs 30", None),
        ("imagenet", "mode fine_tune", None),
    ]
    assert by_model["resnet50"] == [
        ("random", "mode probe", "no run"),
        ("imagenet", "mode probe", "no run"),
        ("random", "mode fine_tune", "no run"),
        ("imagenet", "mode fine_tune", None),
    ]


def test_what_was_pretrained_on_other_data_is_marked_and_another_classifier():
    tasks = [{"name": "rotation", "weight": 0.5, "options": {}}]
    runs = [
        scored("mobilenet", "pretrained", protocol={"pretrained_on_other_data": True}),
        scored("mobilenet", "pretrained", protocol={}, seed=1),
        scored("mobilenet", "pretrained", protocol={"tasks": tasks}, task="rotation"),
    ]
    table = classifier_tables.accuracies(runs, "dfdc")
    assert rows_of(table[table["hard"].notna()], "settings", "hard_seeds", "note") == [
        ("", 1, "pre-trained on other data, split or seed"),
        ("", 1, None),
        ("tasks rotation 0.5", 1, None),
    ]


def test_scores_on_other_data_are_no_scores_of_that_data_set():
    runs = [
        scored("resnet50"),
        scored("resnet50", accuracy=0.9, part="all", trained_on="faceforensics"),
    ]
    row = row_of(classifier_tables.accuracies(runs, "dfdc"), "resnet50", "imagenet")
    assert (row["hard"], row["hard_seeds"]) == (50.0, 1)


def test_other_splits_have_columns_where_there_are_runs_of_them():
    runs = [scored("resnet50", split=split) for split in ("blocks", "actor", "video")]
    table = classifier_tables.accuracies(runs, "dfdc")
    splits = [name.removesuffix("_low") for name in table if name.endswith("_low")]
    figures = ["random_minus_hard", "auc_hard"]
    assert splits == ["random", "video", "hard", "actor", "blocks", *figures]
    table = classifier_tables.accuracies([scored("resnet50")], "dfdc")
    assert "video" not in table and "official" not in table


def test_the_random_initialisation_stands_before_the_trained_one_of_its_trunk():
    runs = [
        scored("mobilenet", task="rotation"),
        scored("mobilenet"),
        scored("squeezenet"),
        scored("mobilenet", "random"),
        scored("alexnet", "runs/pretrained"),
        scored("alexnet"),
        scored("resnet50", "random"),
    ]
    table = classifier_tables.accuracies(runs, "dfdc")
    assert rows_of(table, "model", "weights", "task", "note")[:5] == [
        ("resnet50", "random", None, None),
        ("resnet50", "imagenet", None, "no run"),
        ("alexnet", "random", None, "no run"),
        ("alexnet", "imagenet", None, None),
        ("alexnet", "runs/pretrained", None, None),
    ]
    assert rows_of(table, "model", "weights", "task", "note")[-5:] == [
        ("mobilenet", "random", None, None),
        ("mobilenet", "imagenet", None, None),
        ("mobilenet", "imagenet", "rotation", None),
        ("squeezenet", "random", None, "no run"),
        ("squeezenet", "imagenet", None, None),
    ]


def test_a_stand_in_takes_no_published_figure():
    handle = "https://tfhub.dev/deepmind/bigbigan-resnet50/1"
    stand_in = scored("bigbigan_resnet50", "stand_in", stand_in=True)
    real = scored("bigbigan_resnet50", handle)
    # An encoder with one release has no row without training, either.
    for runs, first in (
        ([stand_in], ("the published", None, 70.8, None)),
        ([stand_in, real], (handle, False, 70.8, 50.0)),
    ):
        table = classifier_tables.accuracies(runs, "dfdc")
        of_model = table[table["model"] == "bigbigan_resnet50"]
        assert rows_of(of_model, "weights", "stand_in", "published_hard", "hard") == [
            first,
            ("stand_in", True, None, 50.0),
        ]


@pytest.mark.parametrize(
    ("model", "file", "weights", "hard"),
    [
        ("alexnet", "alexnet", "imagenet", 73.5),
        ("alexnet_bn", "rotnet", "imagenet and rotation", 71.1),
        ("bigbigan_resnet50", "imagenet", "imagenet", 70.8),
    ],
)
def test_published_weights_go_by_one_name_also_where_they_come_in_a_file(
    model, file, weights, hard
):
    table = classifier_tables.accuracies([scored(model, file)], "dfdc")
    row = row_of(table, model, weights)
    assert (row["published_hard"], row["hard"], row["note"]) == (hard, 50.0, None)


@pytest.mark.parametrize(
    "changed", [{"task": "rotation"}, {"protocol": {"mode": "fine_tune"}}, {"weights": "a.h5"}]
)
def test_the_published_figures_are_for_probes_without_a_task(changed):
    table = classifier_tables.accuracies([scored("resnet50", **changed)], "dfdc")
    measured = table[table["note"].isna()]
    assert measured["published_hard"].isna().all() and len(measured) == 1
    assert row_of(table[table["note"].notna()], "resnet50", "imagenet")["published_hard"] == 91.1


def test_classifiers_of_other_settings_have_rows_of_their_own():
    runs = [
        scored("resnet50", accuracy=accuracy, protocol={"mode": "probe", "solver": solver})
        for solver, accuracy in (("lbfgs", 0.75), ("adam", 0.5))
    ]
    table = classifier_tables.accuracies(runs, "dfdc")
    assert rows_of(table, "weights", "settings", "hard")[:3] == [
        ("random", "", None),
        ("imagenet", "solver lbfgs", 75.0),
        ("imagenet", "solver adam", 50.0),
    ]


def test_other_data_sets_are_passed_over():
    runs = [
        scored("resnet50", accuracy=0.25),
        scored("resnet50", accuracy=0.75, data_set="faceforensics", seed=1),
    ]
    for data_set, accuracy in (("dfdc", 25.0), ("faceforensics", 75.0)):
        row = row_of(classifier_tables.accuracies(runs, data_set), "resnet50", "imagenet")
        assert (row["hard"], row["hard_seeds"]) == (accuracy, 1)


def test_more_than_two_classes_are_compared_with_the_studys_digits():
    runs = [of_digits([0.9, 0.7], task="rotation", accuracy=0.75)]
    table = classifier_tables.accuracies(runs, "usps")
    columns = ("model", "task", "published_official", "official", "note")
    assert rows_of(table, *columns) == [
        ("two_layer_cnn", None, 99.19, None, "no run"),
        ("two_layer_cnn", "rotation", 98.45, 75.0, None),
    ]
    assert "random_minus_hard" not in table and "auc_hard" not in table and "hard" not in table


def test_classes_are_averaged_over_seeds():
    runs = [
        of_digits([0.5, 0.25, 1.0], task="rotation"),
        of_digits([1.0, 0.75, 1.0]),
        of_digits([0.5, 0.25, 1.0], seed=1),
        scored("resnet50", data_set="usps"),
    ]
    table = classifier_tables.class_accuracies(runs, "usps")
    assert rows_of(table, "model", "task", "split", "seeds", "0", "1", "2") == [
        ("two_layer_cnn", None, "official", 2, 75.0, 50.0, 100.0),
        ("two_layer_cnn", "rotation", "official", 1, 50.0, 25.0, 100.0),
    ]
    assert classifier_tables.class_accuracies(runs, "dfdc").empty


def test_a_table_can_be_read_back(tmp_path):
    runs = [scored("mobilenet"), scored("resnet50", task="rotation")]
    table = classifier_tables.accuracies(runs, "dfdc")
    table.to_csv(tmp_path / "table.csv", index=False)
    read = pd.read_csv(tmp_path / "table.csv")
    assert list(read) == list(table)
    figures = [name for name in table if table[name].dtype.kind == "f"]
    assert {"published_random", "random", "hard_low", "random_minus_hard", "auc_hard"} <= set(
        figures
    )
    pd.testing.assert_frame_equal(read[figures], table[figures])
