"""The rows of a table of classifiers: what each is called, and in which order they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from tfselfsup.report.classifiers import ClassifierRun, common_settings, described
from tfselfsup.report.published import Classifier

# The columns that tell the classifiers of a table apart.
NAMING = ("model", "task", "weights", "stand_in", "settings")
PRETRAINED_NOTE = "pre-trained on other data, split or seed"

Row = dict[str, Any]


def of_run(
    run: ClassifierRun, runs: Iterable[ClassifierRun], passed_over: Sequence[str] = ()
) -> Row:
    """Names a classifier, and how it differs from others of the same table.

    Args:
        run: A classifier.
        runs: All of its table.
        passed_over: Settings that have a column of their own.

    Returns:
        The columns `NAMING`, with the settings that not all of the table have, and `note`.
    """
    hidden = {*common_settings(runs), *passed_over}
    settings = {name: value for name, value in run.settings().items() if name not in hidden}
    values = [*(run.evaluation.get(name) for name in NAMING[:-1]), described(settings)]
    note = {"note": PRETRAINED_NOTE if run.is_pretrained else None}
    return dict(zip(NAMING, values, strict=True)) | note


def name_of(row: Row) -> str:
    """Names a classifier by what the columns `NAMING` say, but the weights."""
    task = "" if pd.isna(row["task"]) else f" + {row['task']}"
    settings = f", {row['settings']}" if pd.notna(row["settings"]) and row["settings"] else ""
    return row["model"] + task + settings + (" (stand-in)" if row["stand_in"] is True else "")


def mode(run: ClassifierRun, study: Sequence[Classifier]) -> str:
    """Returns the mode of a classifier, the study's if it does not say."""
    return run.settings().get("mode", study[0].mode)


def in_order(known: Iterable[Any], names: Iterable[Any]) -> list[Any]:
    """Sorts names: those that are known in their order, and then the others in theirs."""
    names = dict.fromkeys(names)
    return [name for name in dict.fromkeys([*known, *names]) if name in names]


def together(rows: Iterable[Row], study: Sequence[Classifier]) -> list[Row]:
    """Sorts rows: a trunk and a mode at a time, the randomly initialised one first.

    Args:
        rows: With the columns `NAMING` and `mode`; what has no run has no `stand_in`.
        study: Its order is that of the trunks.
    """
    rows = list(rows)
    models = in_order([one.model for one in study], [row["model"] for row in rows])
    modes = in_order([one.mode for one in study], [row["mode"] for row in rows])
    weights = in_order(
        ["random", *(one.weights for one in study)], [row["weights"] for row in rows]
    )
    ranks = _ranks(rows)

    def place(row: Row) -> tuple:
        kind = (row["model"], row["mode"])
        # What has no run belongs to the first settings there are.
        rank = ranks[kind].get(row["settings"]) if "stand_in" in row else 0
        return (
            models.index(row["model"]),
            modes.index(row["mode"]),
            rank,
            bool(row.get("stand_in")),
            weights.index(row["weights"]),
            row.get("task") is not None,
        )

    return sorted(rows, key=place)


def _ranks(rows: Iterable[Row]) -> dict[tuple[str, str], dict[str, int]]:
    """Numbers the settings of each trunk and mode, those with a random initialisation first."""
    ranks: dict[tuple[str, str], dict[str, int]] = {}
    for row in sorted(rows, key=lambda row: row["weights"] != "random"):
        of_kind = ranks.setdefault((row["model"], row["mode"]), {})
        if "stand_in" in row:
            of_kind.setdefault(row["settings"], len(of_kind))
    return ranks
