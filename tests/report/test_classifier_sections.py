from pathlib import Path

import pandas as pd
import pytest

from tfselfsup.report import classifier_sections, classifier_tables, markdown_report
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


def written(runs, title) -> str:
    """Writes the section of a title as Markdown."""
    (section,) = [one for one in classifier_sections.sections(runs) if one.title == title]
    return markdown_report.section(section, {})


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
    text, _, on_hard = written(runs, "dfdc").partition("On the hard split,")
    assert text.startswith("## dfdc\n\nAll: ")
    assert "\n\nAccuracy in per cent; `published` is the study's," in text
    assert "\n\nAll: part test, mode probe, solver lbfgs.\n\n" in text
    assert "stand-in" not in text and "class by class" not in text
    rows = cells(text)
    assert rows["model", "weights"] == [
        *("published random", "published hard", "random", "random - published"),
        *("hard", "hard - published"),
        *("random - hard, points", "auc hard", "note"),
    ]
    bootstrap = ["75.0 (95%: 70.0 to 80.0)", "50.0 (95%: 45.0 to 55.0)"]
    auc = "0.765 (95%: 0.700 to 0.800)"
    # 75 - 56.7 and 50 - 56.2
    beside = [bootstrap[0], "+18.3", bootstrap[1], "-6.2"]
    assert rows["resnet50", "random"] == ["56.7", "56.2", *beside, "25.0", auc, ""]
    # (70 + 71 + 75) / 3
    seeds = "72.0 (3 seeds: 70.0 to 75.0)"
    auc = "0.765 (3 seeds: 0.765 to 0.765)"
    assert rows["mobilenet", "imagenet"] == ["", "", "", "", seeds, "", "", auc, ""]
    assert rows["mobilenet", "random"] == [*8 * [""], "no run"]
    assert rows["alexnet", "imagenet"] == [*("81.5", "73.5", *6 * [""], "no run")]


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
    _, heading, by_class = written([*others, *digits], "usps").partition(
        "### Accuracy on usps, class by class\n\n"
    )
    assert heading
    assert cells(by_class) == {
        ("model", "weights"): ["split", "seeds", "0", "1"],
        ("two_layer_cnn", "random"): ["official", "1", "97.5", "50.0"],
        ("two_layer_cnn + rotation", "random"): ["official", "1", "97.5", "50.0"],
    }
    first = cells(written([*others, *digits], "usps").partition("class by class")[0])
    assert first["two_layer_cnn", "random"] == ["99.19", "95.0 (95%: 90.0 to 100.0)", "-4.2"]


def test_without_a_run_there_are_no_measured_cells():
    table = classifier_tables.accuracies([scored("mobilenet", "random", 0.5)], "dfdc")
    shown = classifier_sections.presented(table[table["note"].notna()].reset_index(drop=True))
    assert (shown[["random", "hard", "random - hard, points", "auc hard"]] == "").all(axis=None)
    assert isinstance(shown, pd.DataFrame) and len(shown) == 6


def of_all_scores(**changed) -> dict:
    scores = {}
    for name, value in (("eer", 0.25), ("average_precision", 0.8), ("log_loss", 0.6)):
        scores |= {name: value, f"{name}_low": value - 0.125, f"{name}_high": value + 0.125}
    error = {"calibration_error": 0.0625, "calibration_error_low": 0, "calibration_error_high": 0.5}
    return scores | error | {"examples": 8} | changed


def test_the_scores_on_hard_say_what_the_calibration_changed():
    videos = of_all_scores(examples=4, accuracy=0.75, accuracy_low=0.5, accuracy_high=1.0)
    scores = of_all_scores(
        log_loss_uncalibrated=0.75, calibration_error_uncalibrated=0.125, videos=videos
    )
    text = written([scored("mobilenet", "random", 0.5, **scores)], "dfdc")
    header, _, image, video = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("On the hard split,")[2].splitlines()
        if line.startswith("|")
    ]
    assert header == [
        *("model", "weights", "per", "accuracy", "auc", "eer", "average precision"),
        *("log loss", "calibration error"),
    ]
    shared = ["0.250 (95%: 0.125 to 0.375)", "0.800 (95%: 0.675 to 0.925)"]
    losses = ["0.600 (95%: 0.475 to 0.725)", "0.062 (95%: 0.000 to 0.500)"]
    first = ["50.0 (95%: 45.0 to 55.0)", "0.765 (95%: 0.700 to 0.800)"]
    before_and_after = [f"0.750 -> {losses[0]}", f"0.125 -> {losses[1]}"]
    assert image == ["mobilenet", "random", "image", *first, *shared, *before_and_after]
    assert video == [
        *("mobilenet", "random", "video", "75.0 (95%: 50.0 to 100.0)", "", *shared, *losses)
    ]


def test_the_difference_of_one_seed_has_no_interval_and_that_of_several_has():
    runs = [
        scored("mobilenet", "random", accuracy, split=split, seed=seed)
        for split, seed, accuracy in (
            *(("random", 0, 0.5), ("hard", 0, 0.625)),
            *(("random", 1, 0.75), ("hard", 1, 0.625)),
        )
    ]
    for count, shown in ((2, "-12.5"), (4, "0.0 (2 seeds: -12.5 to 12.5)")):
        table = classifier_tables.accuracies(runs[:count], "dfdc")
        cells_shown = classifier_sections.presented(table)
        assert [*filter(None, cells_shown["random - hard, points"])] == [shown]


def test_a_difference_is_not_said_to_flatter_in_general():
    text = written([scored("mobilenet", "random", 0.5)], "dfdc")
    assert "leakage" not in text
    assert "positive where frames of one video on both sides flatter the classifier" in text
    assert "negative where the random split separates a real crop from its fake" in text


def test_other_data_have_a_section():
    runs = [
        scored("mobilenet", "imagenet", 0.75),
        scored("mobilenet", "imagenet", 0.5, data_set="ff", part="all", trained_on="dfdc"),
    ]
    text = written(runs, "On other data")
    assert text.startswith("## On other data\n\nAll: mode probe, solver lbfgs.\n\n")
    assert "\n\nTrained on one data set, scored on" in text
    header, _, own, other = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert header == [
        *("model", "weights", "trained on", "split", "tested on", "part", "accuracy", "auc")
    ]
    auc = "0.765 (95%: 0.700 to 0.800)"
    named = ["mobilenet", "imagenet", "dfdc", "hard"]
    assert own == [*named, "dfdc", "test", "75.0 (95%: 70.0 to 80.0)", auc]
    assert other == [*named, "ff", "all", "50.0 (95%: 45.0 to 55.0)", auc]
