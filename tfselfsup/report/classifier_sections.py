"""What a reader is shown of the classifiers: Markdown, with each figure beside its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfselfsup.report.classifier_rows import NAMING, name_of
from tfselfsup.report.classifier_tables import of_data_set
from tfselfsup.report.classifiers import ClassifierRun, common_settings, described
from tfselfsup.report.over_seeds import BOOTSTRAP, ENDINGS
from tfselfsup.report.tables import markdown

# Accuracies are in per cent, other scores are not.
OF_ONE = ("auc", "auc_hard", "eer", "average_precision", "log_loss", "calibration_error")
DECIMALS = dict.fromkeys(OF_ONE, 3)  # 1 elsewhere
HEADINGS = {"random_minus_hard": "random - hard, points"}

INTERVALS = (
    "In brackets: the 95% interval of a bootstrap over sources where there is one seed, the lowest"
    " and the highest where there are several."
)
NOTE = f"Accuracy in per cent; `published` is the study's, on its own data. {INTERVALS}"
DIFFERENCE_NOTE = (
    " `random - hard` compares the accuracy on both splits at the same seed. It is positive where"
    " frames of one video on both sides flatter the classifier, and negative where the random split"
    " separates a real crop from its fake, which makes the task harder."
)
STAND_IN_NOTE = " A stand-in has the interface of the encoder, but random weights."
HARD_NOTE = (
    "On the hard split, accuracy in per cent. `->` leads from before the calibration to after it;"
    " all else is after it. A video is scored by the mean of its images' probabilities."
)
OTHER_DATA_NOTE = (
    "Trained on one data set, scored on the test part of its own and on all of another but what was"
    f" learnt from. Accuracy in per cent. {INTERVALS}"
)


def section(
    runs: Sequence[ClassifierRun],
    data_set: str,
    table: pd.DataFrame,
    on_hard: pd.DataFrame,
    by_class: pd.DataFrame,
) -> str:
    """Writes the section of a data set.

    Args:
        runs: Scored classifiers.
        data_set: Name of the data set.
        table: Its `classifier_tables.accuracies`.
        on_hard: Its `classifier_scores.on_hard`, which may be empty.
        by_class: Its `classifier_tables.class_accuracies`, which may be empty.

    Returns:
        Markdown: a heading, what the figures mean, the settings of all, and the tables.
    """
    common = common_settings(of_data_set(runs, data_set))
    note = NOTE
    note += DIFFERENCE_NOTE if "random_minus_hard" in table else ""
    note += STAND_IN_NOTE if table["stand_in"].eq(True).any() else ""
    parts = [f"## {data_set}", note, f"All: {described(common)}.", markdown(presented(table))]
    if not on_hard.empty:
        parts += [HARD_NOTE, markdown(presented(on_hard))]
    if not by_class.empty:
        parts += ["Accuracy in per cent, class by class.", markdown(presented(by_class))]
    return "\n\n".join(parts) + "\n"


def other_data_section(runs: Sequence[ClassifierRun], table: pd.DataFrame) -> str:
    """Writes the section of what was scored on other data sets.

    Args:
        runs: What `classifier_scores.scored_elsewhere` returned.
        table: Its `classifier_scores.on_other_data`.

    Returns:
        Markdown: a heading, what the figures mean, the settings of all, and the table.
    """
    common = {key: value for key, value in common_settings(runs).items() if key != "part"}
    note = OTHER_DATA_NOTE + (STAND_IN_NOTE if table["stand_in"].eq(True).any() else "")
    parts = ["## On other data", note, *([f"All: {described(common)}."] if common else [])]
    return "\n\n".join([*parts, markdown(presented(table))]) + "\n"


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """Puts what belongs together into one cell.

    Args:
        table: One of `classifier_tables` or `classifier_scores`.

    Returns:
        The table with the classifier's name in one column, and one for each measured figure.
    """
    measured = {name for name in table if f"{name}_interval" in table}
    hidden = {name + ending for name in measured for ending in ENDINGS[1:]}
    hidden |= {f"{name}_uncalibrated" for name in measured}
    hidden |= {name for name in NAMING if name != "weights"}
    hidden |= {"note"} if "note" in table and table["note"].isna().all() else set()
    rows = []
    for row in table.to_dict("records"):
        shown = {"model": name_of(row)}
        for column in table.columns:
            heading = HEADINGS.get(column, column.replace("_", " "))
            if column in measured:
                shown[heading] = _interval(row, column)
            elif column not in hidden:
                shown[heading] = _text(row[column], exact=column.startswith("published_"))
        rows.append(shown)
    return pd.DataFrame(rows)


def _interval(row: dict[str, Any], column: str) -> str:
    if pd.isna(row[column]):
        return ""
    value, low, high, before = (
        f"{row.get(column + ending, float('nan')):.{DECIMALS.get(column, 1)}f}"
        for ending in ("", "_low", "_high", "_uncalibrated")
    )
    value = value if before == "nan" else f"{before} -> {value}"
    interval = row[f"{column}_interval"]
    if pd.isna(interval):
        return value
    kind = "95%" if interval == BOOTSTRAP else f"{row[f'{column}_seeds']} seeds"
    return f"{value} ({kind}: {low} to {high})"


def _text(value: Any, exact: bool) -> str:
    if pd.isna(value):
        return ""
    return f"{value:g}" if exact else f"{value:.1f}" if isinstance(value, float) else str(value)
