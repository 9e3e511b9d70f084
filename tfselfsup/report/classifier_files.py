"""Reads what a classifier's run directory holds beside evaluation.json."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from tfselfsup.report.classifiers import ClassifierRun

NAMES = ("checkpoint", "corruption")
FIGURES = ("strength", "accuracy", "auc")
ANSWERS = {"source": str, "video": str, "label": int, "predicted": int}


def on_other_data(path: Path) -> list[Path]:
    """Lists the evaluations on data sets other than a run's own."""
    return sorted(path.glob("evaluation_on_*.json"))


def read_evaluation(path: Path) -> dict[str, Any]:
    """Reads an evaluation on other data.

    Raises:
        ValueError: If the file does not hold a JSON object, or one of something else.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object in {path.name}; score the run again")
    if content.get("kind") != "classifier":
        raise ValueError(
            f"expected the evaluation of a classifier in {path.name}, got {content.get('kind')!r}"
        )
    return content


def robustness_beside(evaluation: Path) -> Path:
    """Names the table of scores on corrupted images that belongs to an evaluation."""
    ending = evaluation.stem.removeprefix("evaluation")
    return evaluation.with_name(f"robustness{ending}.csv")


def read_robustness(path: Path) -> pd.DataFrame:
    """Reads scores on corrupted images.

    Args:
        path: A file that `bin/evaluate_classifier --robustness` wrote.

    Returns:
        The columns `NAMES`, str, and `FIGURES`, float64; `auc` is NaN unless there are two classes.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(NAMES, str)).fillna(dict.fromkeys(NAMES, ""))
        table = table[[*NAMES, *FIGURES]].astype(dict.fromkeys(FIGURES, float))
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path.name} is broken: {error}") from error
    # A corruption names a file, too.
    is_valid = table["corruption"].map(lambda name: re.fullmatch("[a-z0-9_]+", name) is not None)
    is_valid &= table["strength"].between(0, 1e9) & table["accuracy"].between(0, 1)
    is_valid &= table["auc"].between(0, 1) | table["auc"].isna()
    if not is_valid.all():
        raise ValueError(f"{path.name} is broken: row {is_valid.argmin() + 1} has no such scores")
    return table


def with_predictions(run: ClassifierRun) -> ClassifierRun:
    """Puts a classifier's answers to the images of its own test part beside its evaluation.

    Args:
        run: A scored classifier.

    Returns:
        The run with the content of its predictions.csv; as it is where there is none, or where the
        evaluation is of other images.

    Raises:
        ValueError: If the file is broken, or its answers are not those that were scored.
    """
    path = run.path / "predictions.csv"
    if run.evaluation["part"] != "test" or not path.is_file():
        return run
    table = read_predictions(path)
    accuracy = (table["label"] == table["predicted"]).mean()
    if not math.isclose(accuracy, run.evaluation["accuracy"], abs_tol=1e-6):
        raise ValueError(
            f"expected the answers that were scored in {path.name}, got an accuracy of"
            f" {accuracy:.4f} for {run.evaluation['accuracy']:.4f}; score the run again"
        )
    return dataclasses.replace(run, predictions=table)


def read_predictions(path: Path) -> pd.DataFrame:
    """Reads a classifier's answers.

    Args:
        path: A file that `bin/evaluate_classifier` wrote.

    Returns:
        A row for each image with the columns `ANSWERS`, classes being numbered from 0 on, and,
        where there are two, `probability` of the second, float64 in [0, 1], and, but for older
        files, its `log_odds`, float64.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        table = pd.read_csv(path, dtype=ANSWERS, float_precision="round_trip")
        probability = [name for name in ("probability", "log_odds") if name in table]
        table = table[[*ANSWERS, *probability]].astype(dict.fromkeys(probability, float))
    except (ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"{path.name} is broken: {error}") from error
    if table.empty or table.isna().any(axis=None):
        raise ValueError(f"{path.name} is broken: expected an answer in every row")
    if "probability" in table and not table["probability"].between(0, 1).all():
        raise ValueError(f"{path.name} is broken: expected probabilities between 0 and 1")
    last = 1 if "probability" in table else math.inf
    for name in ("label", "predicted"):
        wrong = table.loc[~table[name].between(0, last), name]
        if not wrong.empty:
            expected = "0 or more" if last == math.inf else "0 or 1 beside a probability"
            raise ValueError(
                f"{path.name} is broken: expected a {name} of {expected}, got {wrong.iloc[0]}"
            )
    return table


def with_robustness(run: ClassifierRun, evaluation: Path) -> ClassifierRun:
    """Puts a classifier's scores on corrupted images beside its evaluation.

    Args:
        run: A scored classifier.
        evaluation: The file that its evaluation is from.

    Returns:
        The run with the rows that are, where the evaluation names one, of the same checkpoint; as
        it is where there is none.

    Raises:
        ValueError: If the file is broken.
    """
    path = robustness_beside(evaluation)
    if not path.is_file():
        return run
    rows = read_robustness(path)
    checkpoint = (run.evaluation.get("protocol") or {}).get("checkpoint")
    if checkpoint is not None:
        rows = rows[rows["checkpoint"] == checkpoint].reset_index(drop=True)
    return run if rows.empty else dataclasses.replace(run, robustness=rows)
