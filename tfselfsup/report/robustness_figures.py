"""Accuracy and AUC of classifiers on images that are corrupted more and more."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from tfselfsup.report import classifier_rows
from tfselfsup.report.classifiers import ClassifierRun, common, described
from tfselfsup.report.figures import LINE_STYLES
from tfselfsup.vision.robustness import CORRUPTIONS

SCORES = {"accuracy": "accuracy", "auc": "AUC"}


def corruptions(runs: Sequence[ClassifierRun], data_set: str) -> list[str]:
    """Lists how the images of a data set were corrupted."""
    found = [run.robustness["corruption"] for run in _measured(runs, data_set)]
    return list(dict.fromkeys(pd.concat(found))) if found else []


def curves(runs: Sequence[ClassifierRun], data_set: str, corruption: str) -> Figure:
    """Draws accuracy and AUC over the strength of a corruption.

    Args:
        runs: Scored classifiers; those without scores on corrupted images are passed over.
        data_set: Name of the data set that the images are from.
        corruption: Name of one of its `corruptions`.

    Returns:
        The figure: a line for each run, the least corrupted images on the left; without the AUC
        where there are more than two classes.
    """
    lines = _lines(_measured(runs, data_set), corruption)
    scores = [name for name in SCORES if any(rows[name].notna().any() for rows in lines.values())]
    figure = Figure(figsize=(4.5 * len(scores), 4.5), layout="constrained")
    for axes, score in zip(figure.subplots(1, len(scores), squeeze=False)[0], scores, strict=True):
        for index, (label, rows) in enumerate(lines.items()):
            axes.plot(
                rows["strength"],
                rows[score],
                marker=".",
                # Told apart also where curves lie on one another.
                linestyle=LINE_STYLES[index % len(LINE_STYLES)],
                label=label,
            )
        axes.set(xlabel=_unit(corruption), ylabel=SCORES[score])
        if next(iter(lines.values()))["strength"].is_monotonic_decreasing:
            axes.invert_xaxis()  # as with JPEG's quality: less is more corrupted
    figure.suptitle(f"{data_set}: {corruption}")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize="small")
    return figure


def in_words(runs: Sequence[ClassifierRun], data_set: str, corruption: str) -> str:
    """Says what `curves` shows: the accuracy of each line at both ends.

    Args:
        runs: As for `curves`, and so are the others.
        data_set: Name of the data set.
        corruption: Name of the corruption.
    """
    said = []
    for label, rows in _lines(_measured(runs, data_set), corruption).items():
        (first, last), (right, wrong) = (
            (rows[column].iloc[0], rows[column].iloc[-1]) for column in ("strength", "accuracy")
        )
        said.append(f"{label}: accuracy {right:.3f} at {first:g}, {wrong:.3f} at {last:g}")
    return f"Scores on {data_set} over {corruption}, {_unit(corruption)}. {'; '.join(said)}."


def _measured(runs: Sequence[ClassifierRun], data_set: str) -> list[ClassifierRun]:
    return [
        run for run in runs if run.robustness is not None and run.evaluation["data_set"] == data_set
    ]


def _lines(runs: Sequence[ClassifierRun], corruption: str) -> dict[str, pd.DataFrame]:
    """Returns the points of each line by its label, which says in what it differs from others."""
    found = []
    for run in runs:
        of_corruption = run.robustness[run.robustness["corruption"] == corruption]
        row = classifier_rows.of_run(run, runs, passed_over=["checkpoint"])
        name = ", ".join(filter(None, (classifier_rows.name_of(row), row["weights"], row["note"])))
        evaluation = run.evaluation
        what = {"trained on": run.trained_on, "split": evaluation["split"]}
        for checkpoint, rows in of_corruption.groupby("checkpoint", sort=False):
            which = what | {"checkpoint": checkpoint, "seed": evaluation["seed"]}
            found.append((name, which, rows))
    shared = common(which for _, which, _ in found)
    lines = {}
    for name, which, rows in found:
        differing = described({key: one for key, one in which.items() if key not in shared})
        lines[f"{name}, {differing}" if differing else name] = rows
    return lines


def _unit(corruption: str) -> str:
    return CORRUPTIONS[corruption].unit if corruption in CORRUPTIONS else "strength"
