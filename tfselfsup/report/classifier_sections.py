"""What a reader is shown of the classifiers: Markdown, with each figure beside its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfselfsup.report.classifier_tables import BOOTSTRAP, ENDINGS, NAMING
from tfselfsup.report.classifiers import ClassifierRun, common_settings, described
from tfselfsup.report.tables import markdown

DECIMALS = {"auc_hard": 3}  # 1 for what is in per cent
NOTE = (
    "Accuracy in per cent; `published` is the study's, on its own data. In brackets: the 95%"
    " interval of a bootstrap over sources where there is one seed, the lowest and the highest"
    " where there are several."
)
LEAKAGE_NOTE = (
    " `leakage` is the accuracy on the random split less that on the hard one, in points."
)
STAND_IN_NOTE = " A stand-in has the interface of the encoder, but random weights."


def section(
    runs: Sequence[ClassifierRun], data_set: str, table: pd.DataFrame, by_class: pd.DataFrame
) -> str:
    """Writes the section of a data set.

    Args:
        runs: Scored classifiers.
        data_set: Name of the data set.
        table: Its `classifier_tables.accuracies`.
        by_class: Its `classifier_tables.class_accuracies`, which may be empty.

    Returns:
        Markdown: a heading, what the figures mean, the settings of all, and the tables.
    """
    common = common_settings(run for run in runs if run.evaluation["data_set"] == data_set)
    note = NOTE
    note += LEAKAGE_NOTE if "leakage" in table else ""
    note += STAND_IN_NOTE if table["stand_in"].eq(True).any() else ""
    parts = [f"## {data_set}", note, markdown(presented(table))]
    if common:
        parts.insert(2, f"All: {described(common)}.")
    if not by_class.empty:
        parts += ["Accuracy in per cent, class by class.", markdown(presented(by_class))]
    return "\n\n".join(parts) + "\n"


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """Puts what belongs together into one cell.

    Args:
        table: What `accuracies` or `class_accuracies` of `classifier_tables` returned.

    Returns:
        The table with the classifier's name in one column, and one for each measured figure.
    """
    measured = {name for name in table if f"{name}_interval" in table}
    hidden = {name + ending for name in measured for ending in ENDINGS[1:]}
    hidden |= {name for name in NAMING if name != "weights"}
    rows = []
    for row in table.to_dict("records"):
        shown = {"model": _name(row)}
        for column in table.columns:
            if column in measured:
                shown[column] = _interval(row, column)
            elif column not in hidden:
                shown[column] = _text(row[column], exact=column.startswith("published_"))
        rows.append(shown)
    return pd.DataFrame(rows).rename(columns=lambda name: name.replace("_", " "))


def _name(row: dict[str, Any]) -> str:
    task = "" if pd.isna(row["task"]) else f" + {row['task']}"
    settings = f", {row['settings']}" if pd.notna(row["settings"]) and row["settings"] else ""
    return row["model"] + task + settings + (" (stand-in)" if row["stand_in"] is True else "")


def _interval(row: dict[str, Any], column: str) -> str:
    if pd.isna(row[column]):
        return ""
    value, low, high = (
        f"{row[column + ending]:.{DECIMALS.get(column, 1)}f}" for ending in ("", "_low", "_high")
    )
    of_bootstrap = row[f"{column}_interval"] == BOOTSTRAP
    kind = "95%" if of_bootstrap else f"{row[f'{column}_seeds']} seeds"
    return f"{value} ({kind}: {low} to {high})"


def _text(value: Any, exact: bool) -> str:
    if pd.isna(value):
        return ""
    return f"{value:g}" if exact else f"{value:.1f}" if isinstance(value, float) else str(value)
