"""The study's first table, and the accuracy class by class, published beside measured figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from tfselfsup.report import published
from tfselfsup.report.classifiers import (
    ClassifierRun,
    common_settings,
    described,
    group_splits_and_seeds,
)
from tfselfsup.report.published import Classifier

SPLITS = ("random", "video", "hard", "actor", "official")
BOOTSTRAP, RANGE = "95% bootstrap", "range over seeds"
# The columns that tell the classifiers of a table apart.
NAMING = ("model", "task", "weights", "stand_in", "settings")
# What belongs to a measured figure, as endings of its column's name.
ENDINGS = ("", "_low", "_high", "_interval", "_seeds")
NO_RUN, NO_WEIGHTS = "no run", "weights not available here"

Row = dict[str, Any]


def accuracies(runs: Sequence[ClassifierRun], data_set: str) -> pd.DataFrame:
    """Makes the study's first table for one data set.

    Args:
        runs: Scored classifiers; those of other data sets are passed over.
        data_set: Name of a data set that some were scored on.

    Returns:
        A row for every classifier that was published or measured, those of one trunk together and
        the randomly initialised one first, whether it has a run or not. The columns: model; task;
        weights; stand_in; settings in which the classifiers of the table differ;
        published_SPLIT, the study's accuracy; for each split, the mean accuracy over seeds, with
        _low, _high, _interval and _seeds; where there are two classes, leakage, by how many points
        the random split promises more than the hard one, and auc_hard in [0, 1], with the same
        endings; note, why there is no figure. Accuracies are in per cent. An interval is that of
        the bootstrap where there is one seed, and from the lowest seed to the highest where there
        are several.
    """
    everywhere, runs = runs, _of(runs, data_set)
    two_classes = not any(run.evaluation.get("classes") for run in runs)
    study = published.FACES if two_classes else published.DIGITS
    in_study = tuple(study[0].accuracy)
    splits = _in_order(SPLITS, [*in_study, *(run.evaluation["split"] for run in runs)])
    rows = []
    for group in group_splits_and_seeds(runs):
        row = _described(group[0], runs)
        for one in study:
            if _is_published(group[0], one):
                row |= _published(one) | {"weights": one.weights or row["weights"]}
        rows.append(row | _measured(group, splits, two_classes))
    rows += _not_run(runs, study, everywhere)
    columns = [*NAMING, *(f"published_{split}" for split in in_study)]
    columns += [split + ending for split in splits for ending in ENDINGS]
    if two_classes:
        columns += ["leakage", *(f"auc_hard{ending}" for ending in ENDINGS)]
    table = pd.DataFrame(_together(rows, study), columns=[*columns, "note"])
    return table.astype({name: _dtype(name) for name in table if name not in (*NAMING, "note")})


def _dtype(column: str) -> str:
    """Returns the type of a figure's column, which may be empty."""
    if column.endswith("_interval"):
        return "object"
    return "Int64" if column.endswith("_seeds") else "float64"


def class_accuracies(runs: Sequence[ClassifierRun], data_set: str) -> pd.DataFrame:
    """Compares classifiers class by class.

    Args:
        runs: Scored classifiers; those of other data sets, and of two classes, are passed over.
        data_set: Name of the data set that they were scored on.

    Returns:
        A row for every classifier and split, with the columns: model; task; weights; stand_in;
        settings in which they differ; split; seeds; and for every class the mean accuracy over
        seeds, in per cent. No rows if there is no such classifier.
    """
    runs = [run for run in _of(runs, data_set) if run.evaluation.get("classes")]
    rows = []
    for group in group_splits_and_seeds(runs):
        for split in _in_order(SPLITS, [run.evaluation["split"] for run in group]):
            of_seeds = pd.DataFrame(
                [run.evaluation["classes"] for run in group if run.evaluation["split"] == split]
            )
            counts = {"split": split, "seeds": len(of_seeds)}
            rows.append(_described(group[0], runs) | counts | dict(100 * of_seeds.mean()))
    return pd.DataFrame(_together(rows, published.DIGITS))


def _of(runs: Iterable[ClassifierRun], data_set: str) -> list[ClassifierRun]:
    return [run for run in runs if run.evaluation["data_set"] == data_set]


def _in_order(known: Iterable[str], names: Iterable[str]) -> list[str]:
    """Sorts names: those that are known in their order, and then the others in theirs."""
    names = dict.fromkeys(names)
    return [name for name in dict.fromkeys([*known, *names]) if name in names]


def _described(run: ClassifierRun, runs: Sequence[ClassifierRun]) -> Row:
    """Names a classifier, and how it differs from others of the same table."""
    common = common_settings(runs)
    settings = {name: value for name, value in run.settings().items() if name not in common}
    values = [*(run.evaluation.get(name) for name in NAMING[:-1]), described(settings)]
    return dict(zip(NAMING, values, strict=True))


def _is_published(run: ClassifierRun, one: Classifier) -> bool:
    evaluation = run.evaluation
    return (
        evaluation["model"] == one.model
        and evaluation.get("task") == one.task
        and (one.weights is None or evaluation["weights"] in (one.weights, *one.files))
        and run.settings().get("mode", one.mode) == one.mode
        and not evaluation["stand_in"]
    )


def _published(one: Classifier) -> Row:
    return {f"published_{split}": value for split, value in one.accuracy.items()}


def _not_run(
    runs: Sequence[ClassifierRun], study: Sequence[Classifier], everywhere: Sequence[ClassifierRun]
) -> list[Row]:
    """Lists what is to be seen beside the runs: the study's, and the trunks without training."""
    rows = []
    for one in study:
        if not any(_is_published(run, one) for run in runs):
            has_weights = any(_is_published(run, one) for run in everywhere)
            note = NO_RUN if has_weights or one.weights == "random" else NO_WEIGHTS
            row = {"model": one.model, "task": one.task, "weights": one.weights or "the published"}
            rows.append(row | _published(one) | {"note": note})
    single_release = {one.model for one in study if one.weights is None}
    trained = dict.fromkeys(run.evaluation["model"] for run in runs)
    random = {run.evaluation["model"] for run in runs if run.evaluation["weights"] == "random"}
    random |= {row["model"] for row in rows if row["weights"] == "random"}
    return rows + [
        {"model": model, "weights": "random", "note": NO_RUN}
        for model in trained
        if model not in random | single_release
    ]


def _measured(group: Sequence[ClassifierRun], splits: Sequence[str], two_classes: bool) -> Row:
    figures: Row = {}
    for split in splits:
        figures |= _figure(split, _of_seeds(group, split, "accuracy", unit=100))
    if two_classes:
        random, hard = figures["random"], figures["hard"]
        figures["leakage"] = None if random is None or hard is None else random - hard
        figures |= _figure("auc_hard", _of_seeds(group, "hard", "auc"))
    return figures


def _of_seeds(
    group: Sequence[ClassifierRun], split: str, name: str, unit: float = 1
) -> list[tuple[float, ...]]:
    """Returns a score of each seed and the ends of its interval, times a unit."""
    names = (name, f"{name}_low", f"{name}_high")
    chosen = [run.evaluation for run in group if run.evaluation["split"] == split]
    return [tuple(unit * one[key] for key in names) for one in chosen if one.get(name) is not None]


def _figure(column: str, seeds: Sequence[tuple[float, ...]]) -> Row:
    """Puts the scores of several seeds into one, with an interval."""
    if not seeds:
        return dict.fromkeys(column + ending for ending in ENDINGS)
    values = [value for value, _, _ in seeds]
    if len(seeds) == 1:
        figures = (*seeds[0], BOOTSTRAP, 1)
    else:
        figures = (fmean(values), min(values), max(values), RANGE, len(seeds))
    return {column + ending: one for ending, one in zip(ENDINGS, figures, strict=True)}


def _together(rows: Iterable[Row], study: Sequence[Classifier]) -> list[Row]:
    """Sorts rows: trunk by trunk, in the study's order, the randomly initialised one first."""
    rows = list(rows)
    models = _in_order([one.model for one in study], [row["model"] for row in rows])
    weights = _in_order(
        ["random", *(one.weights for one in study)], [row["weights"] for row in rows]
    )
    # What has no run belongs to the first settings there are.
    settings = list(dict.fromkeys(row["settings"] for row in rows if "settings" in row))

    def place(row: Row) -> tuple:
        return (
            models.index(row["model"]),
            settings.index(row["settings"]) if "settings" in row else 0,
            bool(row.get("stand_in")),
            weights.index(row["weights"]),
            row.get("task") is not None,
        )

    return sorted(rows, key=place)
