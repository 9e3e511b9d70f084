"""What a reader is shown of the classifiers: sections, with each figure beside its interval."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tfselfsup.report import classifier_scores, classifier_tables, robustness_figures
from tfselfsup.report.classifier_rows import NAMING, name_of
from tfselfsup.report.classifier_tables import of_data_set
from tfselfsup.report.classifiers import ClassifierRun, common_settings, described
from tfselfsup.report.document import Picture, Section, Table
from tfselfsup.report.over_seeds import BOOTSTRAP, ENDINGS

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
    " all else is after it. A video is scored by the mean of its images' probabilities. The"
    " calibration error's interval may lie above it, as the bins of a resample are noisier."
)
CLASSES_NOTE = "Accuracy in per cent, the mean over seeds."
ROBUSTNESS_NOTE = (
    "The same classifiers on images that are corrupted more and more; none was trained for this"
    " beyond the augmentation among its settings."
)
OTHER_DATA_NOTE = (
    "Trained on one data set, scored on the test part of its own and on all of another but what was"
    f" learnt from. Accuracy in per cent. {INTERVALS}"
)


def sections(runs: Sequence[ClassifierRun]) -> list[Section]:
    """Makes a section for each data set, one for other data and one for corrupted images.

    Args:
        runs: Scored classifiers.

    Returns:
        Those sections for which there are scores.
    """
    data_sets = list(dict.fromkeys(run.evaluation["data_set"] for run in runs))
    made = [_of_data_set(runs, name) for name in data_sets if of_data_set(runs, name)]
    if elsewhere := classifier_scores.scored_elsewhere(runs):
        made.append(_on_other_data(elsewhere))
    if pictures := [one for name in data_sets for one in _robustness(runs, name)]:
        made.append(Section("Corrupted images", (ROBUSTNESS_NOTE,), tuple(pictures)))
    return made


def _of_data_set(runs: Sequence[ClassifierRun], data_set: str) -> Section:
    stem = _stem(data_set)
    table = classifier_tables.accuracies(runs, data_set)
    note = NOTE
    note += DIFFERENCE_NOTE if "random_minus_hard" in table else ""
    note += STAND_IN_NOTE if table["stand_in"].eq(True).any() else ""
    items = [_table(f"{stem}_accuracy", f"Accuracy on {data_set}", note, table)]
    on_hard = classifier_scores.on_hard(runs, data_set)
    if not on_hard.empty:
        title = f"Scores on the hard split of {data_set}"
        items.append(_table(f"{stem}_on_hard", title, HARD_NOTE, on_hard))
    by_class = classifier_tables.class_accuracies(runs, data_set)
    if not by_class.empty:
        title = f"Accuracy on {data_set}, class by class"
        items.append(_table(f"{stem}_by_class", title, CLASSES_NOTE, by_class))
    common = common_settings(of_data_set(runs, data_set))
    return Section(data_set, (f"All: {described(common)}.",), tuple(items))


def _on_other_data(runs: Sequence[ClassifierRun]) -> Section:
    table = classifier_scores.on_other_data(runs)
    common = {key: value for key, value in common_settings(runs).items() if key != "part"}
    note = OTHER_DATA_NOTE + (STAND_IN_NOTE if table["stand_in"].eq(True).any() else "")
    text = (f"All: {described(common)}.",) if common else ()
    items = (_table("on_other_data", "Scores on other data", note, table),)
    return Section("On other data", text, items)


def _table(name: str, title: str, note: str, table: pd.DataFrame) -> Table:
    return Table(name, title, note, presented(table), table)


def _robustness(runs: Sequence[ClassifierRun], data_set: str) -> list[Picture]:
    """Draws a figure for each corruption."""
    return [
        Picture(
            f"{_stem(data_set)}_{corruption}",
            f"{data_set}: {corruption}",
            robustness_figures.in_words(runs, data_set, corruption),
            robustness_figures.curves(runs, data_set, corruption),
        )
        for corruption in robustness_figures.corruptions(runs, data_set)
    ]


def _stem(data_set: str) -> str:
    """Makes a data set's name part of a file's."""
    return re.sub("[^A-Za-z0-9_-]", "_", data_set)


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
            if f"published_{column}" in table:
                shown[f"{heading} - published"] = _signed(row[column] - row[f"published_{column}"])
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


def _signed(difference: float) -> str:
    return "" if pd.isna(difference) else f"{difference:+.1f}"


def _text(value: Any, exact: bool) -> str:
    if pd.isna(value):
        return ""
    return f"{value:g}" if exact else f"{value:.1f}" if isinstance(value, float) else str(value)
