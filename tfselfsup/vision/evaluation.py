"""All that is said about a classifier's answers on one part of a data set."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from tfselfsup.datasets import splits
from tfselfsup.vision import aggregation, bootstrap, calibration, metrics


def evaluate(
    labels: np.ndarray,
    logits: np.ndarray,
    temperature: float,
    index_rows: pd.DataFrame,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Scores calibrated logits per crop and per video, with intervals over sources.

    Args:
        labels: The true class of each of N crops, int [N] in [0, K).
        logits: float [N, K], as the classifier gives them.
        temperature: What they are divided by, above 0; see `calibration`.
        index_rows: N rows in the order of the labels, with the columns `data_set`, `video_id` and
            `source_id`.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        What evaluation.json says about the answers, and JSON can hold: `examples` and `sources`
        (counts), the scores of `metrics.scores`, each with its 95% interval as NAME_low and
        NAME_high (but `classes`), `temperature`, `log_loss_uncalibrated` and
        `calibration_error_uncalibrated` (at temperature 1), and `videos`: counts, scores and
        intervals of the videos, each scored by the mean of its crops' calibrated probabilities.

    Raises:
        ValueError: If the arguments are not as described, all crops are of one class or one source,
            or the crops of a video have different labels or sources.
    """
    labels, logits = metrics.check_outputs(labels, logits, "logits")
    videos = _names(index_rows, splits.VIDEO, len(labels))
    sources = _names(index_rows, splits.SOURCE, len(labels))
    probabilities = calibration.apply(logits, temperature)
    uncalibrated = metrics.scores(labels, calibration.apply(logits, 1.0))
    return {
        **_scored(labels, probabilities, sources, resamples, seed),
        "temperature": float(temperature),
        "log_loss_uncalibrated": uncalibrated["log_loss"],
        "calibration_error_uncalibrated": uncalibrated["calibration_error"],
        "videos": _scored(
            *aggregation.per_video(labels, probabilities, videos, sources), resamples, seed
        ),
    }


def predictions(
    labels: np.ndarray, logits: np.ndarray, temperature: float, index_rows: pd.DataFrame
) -> pd.DataFrame:
    """Lists what a classifier says of every crop, for comparison with another one's answers.

    Args:
        labels: As for `evaluate`; so are the others.
        logits: float [N, K].
        temperature: What they are divided by.
        index_rows: N rows of the index.

    Returns:
        N rows: `source` and `video`, hashes of their names, which are the same in every table and
        do not spell the names out (who knows them all can find them again); `label` and
        `predicted`, classes; and, of two classes, `probability` of the second and its `log_odds`,
        which tell apart what is all but certain.

    Raises:
        ValueError: As `evaluate`.
    """
    labels, logits = metrics.check_outputs(labels, logits, "logits")
    videos = _names(index_rows, splits.VIDEO, len(labels))
    sources = _names(index_rows, splits.SOURCE, len(labels))
    table = pd.DataFrame(
        {
            "source": [_hashed(name) for name in sources],
            "video": [_hashed(name) for name in videos],
            "label": labels,
            "predicted": logits.argmax(axis=1),
        }
    )
    if logits.shape[1] == 2:
        probabilities = calibration.apply(logits, temperature)
        table["probability"] = probabilities[:, 1].round(9)
        table["log_odds"] = metrics.log_odds(probabilities)
    return table


def _hashed(name: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(map(str, name)).encode()).hexdigest()[:12]


def _scored(labels, probabilities, sources, resamples, seed):
    bounds = bootstrap.intervals(labels, probabilities, sources, resamples, seed)
    scored = {"examples": len(labels), "sources": len(set(sources))}
    for name, value in metrics.scores(labels, probabilities).items():
        scored[name] = value
        if name in bounds:
            scored[f"{name}_low"], scored[f"{name}_high"] = bounds[name]
    return scored


def _names(index_rows, columns, count):
    """Pairs what the columns name, as ids are unique in a data set only: tuples, object [N]."""
    missing = [name for name in columns if name not in index_rows]
    if missing or len(index_rows) != count:
        raise ValueError(
            f"expected {count} rows of an index with the columns {', '.join(columns)}, got "
            f"{len(index_rows)} rows with {', '.join(map(str, index_rows.columns))}; give those of "
            "the same crops"
        )
    ids = index_rows[columns]
    if ids.isna().any(axis=None):
        raise ValueError(
            f"expected {' and '.join(columns)} in every row, got {ids.isna().any(axis=1).sum()} "
            "without; complete the ids"
        )
    return pd.MultiIndex.from_frame(ids).to_numpy()
