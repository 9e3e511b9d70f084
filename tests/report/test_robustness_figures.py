from pathlib import Path

import numpy as np
import pandas as pd

from tests.report.scored_runs import MODEL
from tfselfsup.report import robustness_figures
from tfselfsup.report.classifiers import ClassifierRun


def table(corruption="blur", strengths=(0, 1), accuracies=(0.75, 0.5), aucs=(0.875, 0.625), **same):
    rows = {"corruption": corruption, "strength": strengths, "accuracy": accuracies, "auc": aucs}
    return pd.DataFrame(rows | {"checkpoint": "only"} | same).astype({"strength": float})


def scored(*tables, weights="imagenet", **changed) -> ClassifierRun:
    evaluation = {
        "model": "mobilenet",
        "weights": weights,
        **MODEL,
        "protocol": {"mode": "probe"},
    }
    robustness = pd.concat(tables, ignore_index=True) if tables else None
    return ClassifierRun(Path("run"), evaluation | changed, robustness)


def labels(figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_each_run_has_a_line_for_accuracy_and_for_the_auc():
    runs = [
        scored(table(), table("noise", (0, 4, 8), (1, 1, 1), (1, 1, 1))),
        scored(table(accuracies=(0.5, 0.25)), weights="random"),
        scored(),
        scored(table(), data_set="ff"),
    ]
    figure = robustness_figures.curves(runs, "dfdc", "blur")
    accuracy, auc = figure.axes
    assert (accuracy.get_ylabel(), auc.get_ylabel()) == ("accuracy", "AUC")
    assert accuracy.get_xlabel() == "standard deviation, pixels"
    points = [line.get_xydata().tolist() for line in accuracy.lines]
    assert points == [[[0, 0.75], [1, 0.5]], [[0, 0.5], [1, 0.25]]]
    assert [line.get_xydata().tolist() for line in auc.lines] == 2 * [[[0, 0.875], [1, 0.625]]]
    assert labels(figure) == ["mobilenet, imagenet", "mobilenet, random"]
    assert len({line.get_linestyle() for line in accuracy.lines}) == 2
    assert robustness_figures.corruptions(runs, "dfdc") == ["blur", "noise"]
    assert robustness_figures.corruptions(runs[2:3], "dfdc") == []


def test_less_corrupted_images_are_on_the_left():
    runs = [scored(table("jpeg", (95, 10)), table("blur", (0, 4)))]
    for corruption, inverted in (("jpeg", True), ("blur", False)):
        for axes in robustness_figures.curves(runs, "dfdc", corruption).axes:
            assert axes.xaxis_inverted() == inverted


def test_more_than_two_classes_have_no_auc():
    figure = robustness_figures.curves([scored(table(aucs=np.nan))], "dfdc", "blur")
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy"]


def test_lines_are_told_apart_by_what_differs():
    tuned = {"mode": "fine_tune", "checkpoint": "best"}
    runs = [
        scored(table()),
        scored(table(), seed=1, stand_in=True),
        scored(table(checkpoint="best"), protocol=tuned, split="random"),
        scored(table(), part="all", trained_on="ff", task="rotation"),
        scored(table(), protocol={"mode": "probe", "pretrained_on_other_data": True}),
    ]
    figure = robustness_figures.curves(runs, "dfdc", "blur")
    own = "trained on dfdc, split hard, checkpoint only"
    assert labels(figure) == [
        f"mobilenet, part test, mode probe, imagenet, {own}, seed 0",
        f"mobilenet, part test, mode probe (stand-in), imagenet, {own}, seed 1",
        "mobilenet, part test, mode fine_tune, imagenet, "
        "trained on dfdc, split random, checkpoint best, seed 0",
        "mobilenet + rotation, part all, mode probe, imagenet, "
        "trained on ff, split hard, checkpoint only, seed 0",
        "mobilenet, part test, mode probe, imagenet, pre-trained on other data, split or seed, "
        f"{own}, seed 0",
    ]


def test_an_unknown_corruption_is_drawn_too():
    figure = robustness_figures.curves([scored(table("fog"))], "dfdc", "fog")
    assert figure.axes[0].get_xlabel() == "strength"
