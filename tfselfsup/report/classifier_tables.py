"""The study's first table, and the accuracy class by class, published beside measured figures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import pandas as pd

from tfselfsup.report import classifier_rows, over_seeds, published
from tfselfsup.report.classifier_rows import NAMING, Row, in_order
from tfselfsup.report.classifiers import (
    ClassifierRun,
    described,
    group_splits_and_seeds,
)
from tfselfsup.report.published import Classifier

SPLITS = ("random", "video", "hard", "actor", "official")
NO_RUN = "no run"


def accuracies(runs: Sequence[ClassifierRun], data_set: str) -> pd.DataFrame:
    """Makes the study's first table for one data set.

    Args:
        runs: Scored classifiers; those of other data sets are passed over.
        data_set: Name of a data set that some were trained and scored on.

    Returns:
        A row for every classifier that was published or measured, those of one trunk and mode
        together and the randomly initialised one first, whether it has a run or not. The columns:
        model; task; weights; stand_in; settings in which the classifiers of the table differ;
        published_SPLIT, the study's accuracy; for each split, the accuracy with its interval (see
        `over_seeds.figure`); where there are two classes, random_minus_hard, by how many points
        they differ at the same seed (see `over_seeds.paired_difference`), and auc_hard in [0, 1];
        note, that there is no run, or that the trunk was pre-trained on other data, split or
        seed. Accuracies are in per cent.
    """
    runs = of_data_set(runs, data_set)
    two_classes = not any(run.evaluation.get("classes") for run in runs)
    study = published.FACES if two_classes else published.DIGITS
    in_study = tuple(study[0].accuracy)
    splits = in_order(SPLITS, [*in_study, *(run.evaluation["split"] for run in runs)])
    rows = []
    for group in group_splits_and_seeds(runs):
        row = classifier_rows.of_run(group[0], runs)
        row["mode"] = classifier_rows.mode(group[0], study)
        for one in study:
            if _compares_with(group[0], one):
                row |= _published(one) | {"weights": one.weights or row["weights"]}
        rows.append(row | _measured(group, splits, two_classes))
    rows += _not_run(runs, study)
    figures = [*splits, *(("random_minus_hard", "auc_hard") if two_classes else ())]
    columns = [*NAMING, *(f"published_{split}" for split in in_study)]
    columns += [*over_seeds.columns(*figures), "note"]
    table = pd.DataFrame(classifier_rows.together(rows, study), columns=columns)
    return over_seeds.typed(table, but=(*NAMING, "note"))


def class_accuracies(runs: Sequence[ClassifierRun], data_set: str) -> pd.DataFrame:
    """Compares classifiers class by class.

    Args:
        runs: Scored classifiers; those of other data sets, and of two classes, are passed over.
        data_set: Name of the data set that they were trained and scored on.

    Returns:
        A row for every classifier and split, with the columns: model; task; weights; stand_in;
        settings in which the classifiers of the data set differ; split; seeds; and for every class
        the mean accuracy over seeds, in per cent. No rows if there is no such classifier.
    """
    runs = of_data_set(runs, data_set)
    rows = []
    for group in group_splits_and_seeds(run for run in runs if run.evaluation.get("classes")):
        row = classifier_rows.of_run(group[0], runs)
        row["mode"] = classifier_rows.mode(group[0], published.DIGITS)
        for split in in_order(SPLITS, [run.evaluation["split"] for run in group]):
            classes = pd.DataFrame([run.evaluation["classes"] for run in of_split(group, split)])
            counts = {"split": split, "seeds": len(classes)}
            rows.append(row | counts | dict(100 * classes.mean()))
    table = pd.DataFrame(classifier_rows.together(rows, published.DIGITS))
    return table.drop(columns=["mode", "note"], errors="ignore")


def of_data_set(runs: Iterable[ClassifierRun], data_set: str) -> list[ClassifierRun]:
    """Returns the classifiers that were trained on a data set, and scored on a part of it."""
    return [
        run for run in runs if run.evaluation["data_set"] == data_set and not run.is_on_other_data
    ]


def of_split(runs: Iterable[ClassifierRun], split: str) -> list[ClassifierRun]:
    """Returns the classifiers of a split."""
    return [run for run in runs if run.evaluation["split"] == split]


def _is_of(run: ClassifierRun, one: Classifier) -> bool:
    """Tells whether a run is of a classifier of the study."""
    evaluation = run.evaluation
    return (
        evaluation["model"] == one.model
        and evaluation.get("task") == one.task
        and (one.weights is None or evaluation["weights"] in (one.weights, *one.files))
        and classifier_rows.mode(run, [one]) == one.mode
        and not evaluation["stand_in"]
    )


def _compares_with(run: ClassifierRun, one: Classifier) -> bool:
    """Tells whether a run's scores are of the same kind as the published ones."""
    return _is_of(run, one) and run.evaluation["part"] == "test" and not run.is_pretrained


def _published(one: Classifier) -> Row:
    return {f"published_{split}": value for split, value in one.accuracy.items()}


def _measured(group: Sequence[ClassifierRun], splits: Sequence[str], two_classes: bool) -> Row:
    runs = {split: of_split(group, split) for split in splits}
    figures: Row = {}
    for split in splits:
        figures |= over_seeds.figure(split, runs[split], "accuracy", unit=100)
    if two_classes:
        random, hard = runs["random"], runs["hard"]
        figures |= over_seeds.paired_difference(
            "random_minus_hard", random, hard, "accuracy", unit=100
        )
        figures |= over_seeds.figure("auc_hard", hard, "auc")
    return figures


def _not_run(runs: Sequence[ClassifierRun], study: Sequence[Classifier]) -> list[Row]:
    """Lists what is to be seen beside the runs: the study's, and the trunks without training."""
    modes = {classifier_rows.mode(run, study) for run in runs}

    def row(model, mode, weights, task=None) -> Row:
        settings = described({} if modes == {mode} else {"mode": mode})
        names = {"model": model, "task": task, "weights": weights, "settings": settings}
        return names | {"mode": mode, "note": NO_RUN}

    rows = []
    for one in study:
        if not any(_compares_with(run, one) for run in runs):
            weights = one.weights or "the published"
            rows.append(row(one.model, one.mode, weights, one.task) | _published(one))
    single_release = {one.model for one in study if one.weights is None}
    kinds = [(run.evaluation["model"], classifier_rows.mode(run, study)) for run in runs]
    is_random = [run.evaluation["weights"] == "random" for run in runs]
    random = {*itertools.compress(kinds, is_random)}
    random |= {(one["model"], one["mode"]) for one in rows if one["weights"] == "random"}
    return rows + [
        row(model, mode, "random")
        for model, mode in dict.fromkeys(kinds)
        if model not in single_release and (model, mode) not in random
    ]
