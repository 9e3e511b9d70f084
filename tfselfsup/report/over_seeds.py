"""Puts the scores of several seeds into one figure, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

import pandas as pd

from tfselfsup.report.classifiers import ClassifierRun

BOOTSTRAP, RANGE = "95% bootstrap", "range over seeds"
# What belongs to a measured figure, as endings of its column's name.
ENDINGS = ("", "_low", "_high", "_interval", "_seeds")

Row = dict[str, Any]
Scores = dict[str, Any]
Chosen = Callable[[ClassifierRun], Scores]


def per_image(run: ClassifierRun) -> Scores:
    """Returns a classifier's scores on images."""
    return run.evaluation


def per_video(run: ClassifierRun) -> Scores:
    """Returns a classifier's scores on whole videos; none if they are not known."""
    return run.evaluation.get("videos") or {}


def figure(
    column: str,
    runs: Iterable[ClassifierRun],
    score: str,
    unit: float = 1,
    of: Chosen = per_image,
) -> Row:
    """Averages a score over seeds.

    Args:
        column: Name of the figure.
        runs: Which differ in nothing but the seed.
        score: Name of a score in evaluation.json.
        unit: What it is multiplied by.
        of: Where the score stands, `per_image` or `per_video`.

    Returns:
        The mean, the ends and the kind of the interval, and the number of seeds, by the column's
        name with each of `ENDINGS`. The interval is that of the bootstrap where there is one seed,
        and from the lowest seed to the highest where there are several; all None without a score.
    """
    names = (score, f"{score}_low", f"{score}_high")
    found = [[of(run).get(name) for name in names] for run in runs]
    seeds = [[unit * value for value in one] for one in found if None not in one]
    if len(seeds) == 1:
        return _row(column, (*seeds[0], BOOTSTRAP, 1))
    return _over_seeds(column, [value for value, _, _ in seeds])


def paired_difference(
    column: str,
    runs: Iterable[ClassifierRun],
    others: Iterable[ClassifierRun],
    score: str,
    unit: float = 1,
) -> Row:
    """Averages the difference of a score over the seeds that both have.

    Args:
        column: Name of the figure.
        runs: Which differ in nothing but the seed.
        others: Likewise; what is subtracted.
        score: Name of a score in evaluation.json.
        unit: What it is multiplied by.

    Returns:
        As `figure`; one seed has no interval, and all is None if they have no seed in common.
    """
    one, other = (
        {run.evaluation["seed"]: unit * run.evaluation[score] for run in side}
        for side in (runs, others)
    )
    differences = [one[seed] - other[seed] for seed in one if seed in other]
    if len(differences) == 1:
        return _row(column, (differences[0], None, None, None, 1))
    return _over_seeds(column, differences)


def _over_seeds(column: str, values: Sequence[float]) -> Row:
    if not values:
        return dict.fromkeys(column + ending for ending in ENDINGS)
    return _row(column, (fmean(values), min(values), max(values), RANGE, len(values)))


def _row(column: str, figures: Sequence[Any]) -> Row:
    return {column + ending: one for ending, one in zip(ENDINGS, figures, strict=True)}


def columns(*names: str) -> list[str]:
    """Lists the columns of measured figures."""
    return [name + ending for name in names for ending in ENDINGS]


def typed(table: pd.DataFrame, but: Iterable[str]) -> pd.DataFrame:
    """Gives figures their types, also where a column is empty.

    Args:
        table: Figures, and other columns.
        but: The other columns.
    """
    return table.astype({name: _dtype(name) for name in table if name not in but})


def _dtype(column: str) -> str:
    if column.endswith("_interval"):
        return "object"
    return "Int64" if column.endswith("_seeds") else "float64"
