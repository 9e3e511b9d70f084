from pathlib import Path

import pandas as pd
import pytest

from tfselfsup.report import classifier_sections, classifier_tables
from tfselfsup.report.classifiers import ClassifierRun


def scored(model, weights, accuracy, *, seed=0, split="hard", **others):
    evaluation = {
        "model": model,
        "weights": weights,
        "stand_in": False,
        "task": None,
        "data_set": "dfdc",
        "split": split,
        "part": "test",
        "seed": seed,
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.05,
        "accuracy_high": accuracy + 0.05,
        "protocol": {"mode": "probe", "solver": "lbfgs"},
    }
    if "classes" not in others:
        evaluation |= {"auc": 0.7654, "auc_low": 0.7, "auc_high": 0.8}
    return ClassifierRun(Path("run"), evaluation | others)


def written(runs, data_set) -> str:
    tables = (classifier_tables.accuracies, classifier_tables.class_accuracies)
    return classifier_sections.section(runs, data_set, *(one(runs, data_set) for one in tables))


def cells(text) -> dict[tuple[str, str], list[str]]:
    """Reads the tables of a section: the cells of each row by its model and weights."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    return {(model, weights): others for model, weights, *others in rows}


def test_a_section_shows_each_figure_with_its_interval():
    runs = [
        scored("resnet50", "random", 0.5),
        scored("resnet50", "random", 0.75, split="random"),
        scored("mobilenet", "imagenet", 0.70),
        scored("mobilenet", "imagenet", 0.71, seed=1),
        scored("mobilenet", "imagenet", 0.75, seed=2),
        scored("resnet50", "imagenet", 0.9, data_set="faceforensics"),
    ]
    text = written(runs, "dfdc")
    assert text.startswith("## dfdc\n\nAccuracy in per cent; `published` is the study's,")
    assert "\n\nAll: part test, mode probe, solver lbfgs.\n\n" in text
    assert "stand-in" not in text and "class by class" not in text
    rows = cells(text)
    assert rows["model", "weights"] == [
        *("published random", "published hard", "random", "hard", "leakage", "auc hard", "note")
    ]
    bootstrap = ["75.0 (95%: 70.0 to 80.0)", "50.0 (95%: 45.0 to 55.0)"]
    auc = "0.765 (95%: 0.700 to 0.800)"
    assert rows["resnet50", "random"] == ["56.7", "56.2", *bootstrap, "25.0", auc, ""]
    # (70 + 71 + 75) / 3
    seeds = "72.0 (3 seeds: 70.0 to 75.0)"
    auc = "0.765 (3 seeds: 0.765 to 0.765)"
    assert rows["mobilenet", "imagenet"] == ["", "", "", seeds, "", auc, ""]
    assert rows["mobilenet", "random"] == [*6 * [""], "no run"]
    assert rows["alexnet", "imagenet"] == [
        *("81.5", "73.5", "", "", "", "", "weights not available here")
    ]


def test_a_name_says_the_task_what_differs_and_what_is_a_stand_in():
    adam = {"mode": "probe", "solver": "adam"}
    runs = [
        scored("resnet50", "random", 0.5),
        scored("resnet50", "imagenet", 0.5, task="rotation", protocol=adam),
        scored("bigbigan_resnet50", "a_folder", 0.5, stand_in=True),
    ]
    text = written(runs, "dfdc")
    assert "\n\nAll: part test, mode probe.\n\n" in text
    assert "A stand-in has the interface of the encoder, but random weights." in text
    rows = cells(text)
    assert ("resnet50, solver lbfgs", "random") in rows
    assert ("resnet50 + rotation, solver adam", "imagenet") in rows
    assert ("bigbigan_resnet50, solver lbfgs (stand-in)", "a_folder") in rows
    assert ("bigbigan_resnet50", "the published") in rows


@pytest.mark.parametrize("others", [[], [scored("resnet50", "random", 0.5)]])
def test_digits_have_a_table_by_class(others):
    digits = [
        scored(
            *("two_layer_cnn", "random", 0.95),
            task=task,
            data_set="usps",
            split="official",
            classes={"0": 0.975, "1": 0.5},
            protocol={},
        )
        for task in (None, "rotation")
    ]
    _, heading, by_class = written([*others, *digits], "usps").partition("class by class.\n\n")
    assert heading
    assert cells(by_class) == {
        ("model", "weights"): ["split", "seeds", "0", "1"],
        ("two_layer_cnn", "random"): ["official", "1", "97.5", "50.0"],
        ("two_layer_cnn + rotation", "random"): ["official", "1", "97.5", "50.0"],
    }
    first = cells(written([*others, *digits], "usps").partition("class by class")[0])
    assert first["two_layer_cnn", "random"] == ["99.19", "95.0 (95%: 90.0 to 100.0)", ""]


def test_without_a_run_there_are_no_measured_cells():
    table = classifier_tables.accuracies([scored("mobilenet", "random", 0.5)], "dfdc")
    shown = classifier_sections.presented(table[table["note"].notna()].reset_index(drop=True))
    assert (shown[["random", "hard", "leakage", "auc hard"]] == "").all(axis=None)
    assert isinstance(shown, pd.DataFrame) and len(shown) == 6
