"""The metrics of `metrics.scores` for a thousand weightings of the same examples at once.

A bootstrap needs the same scores again and again with other weights. scikit-learn sorts and checks
the examples each time, which takes a minute; here they are sorted once, and the weightings are the
rows of a matrix. What comes out is what scikit-learn computes.
"""

from __future__ import annotations

import numpy as np

from tfselfsup.vision import metrics


def scores(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Computes every metric that is one number.

    Args:
        labels: The true class of each of N examples, int64 [N] in [0, K).
        probabilities: float64 [N, K], rows sum to 1; both as `metrics.check_probabilities`
            returns them.
        weights: R weightings, float [R, N], at least 0; two classes must have weight in each.

    Returns:
        float64 [R] by name, as `metrics.scores` names them, without `classes`.
    """
    weights = np.asarray(weights, np.float64)
    total = weights.sum(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    found = {
        "accuracy": weights @ correct / total,
        "balanced_accuracy": _balanced_accuracy(labels, correct, weights),
    }
    if probabilities.shape[1] == 2:
        found |= _of_two_classes(labels, metrics.log_odds(probabilities), weights)
    epsilon = np.finfo(np.float64).eps  # where scikit-learn clips, too
    right = probabilities[np.arange(len(labels)), labels].clip(epsilon, 1 - epsilon)
    found["log_loss"] = weights @ -np.log(right) / total
    found["calibration_error"] = metrics.calibration_error(labels, probabilities, weights)
    return found


def _balanced_accuracy(labels, correct, weights):
    is_class = (labels[:, None] == np.unique(labels)).astype(np.float64)
    of_class = weights @ is_class
    right_of_class = weights @ (is_class * correct[:, None])
    present = of_class > 0
    recalls = np.divide(right_of_class, of_class, out=np.zeros_like(of_class), where=present)
    return recalls.sum(axis=1) / present.sum(axis=1)


def auc(labels: np.ndarray, ranked_by: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Computes the area under the ROC curve alone.

    Args:
        labels: The true class of each of N examples, int [N], 0 or 1.
        ranked_by: Probability of class 1, or what grows with it, float [N].
        weights: As for `scores`.

    Returns:
        float64 [R].
    """
    hits, alarms = _per_threshold(labels, ranked_by, weights)
    return _area(hits, alarms)


def _per_threshold(labels, ranked_by, weights):
    """Sums the fakes and the reals of every rank, from the highest: both [R, thresholds]."""
    # A threshold takes in all examples of equal rank together.
    order = np.argsort(-ranked_by, kind="stable")
    starts = np.flatnonzero(np.diff(ranked_by[order], prepend=np.inf))
    sorted_weights = weights[:, order]
    is_fake = labels[order] == 1
    hits = np.add.reduceat(np.where(is_fake, sorted_weights, 0), starts, axis=1)
    alarms = np.add.reduceat(np.where(is_fake, 0, sorted_weights), starts, axis=1)
    return hits, alarms


def _area(hits, alarms):
    # A threshold adds a trapezoid as wide as its alarms between the heights true - hits and true.
    true = hits.cumsum(axis=1)
    area = (alarms * (true - hits / 2)).sum(axis=1)
    return area / (true[:, -1] * alarms.sum(axis=1))


def _of_two_classes(labels, ranked_by, weights):
    """Computes auc, eer and average_precision from the counts above every threshold."""
    hits, alarms = _per_threshold(labels, ranked_by, weights)
    true, false = hits.cumsum(axis=1), alarms.cumsum(axis=1)
    fakes, reals = true[:, -1:], false[:, -1:]
    called = true + false
    precision = np.divide(true, called, out=np.zeros_like(called), where=called > 0)
    return {
        "auc": _area(hits, alarms),
        "eer": _equal_error_rate(false / reals, true / fakes),
        "average_precision": (hits * precision).sum(axis=1) / fakes[:, 0],
    }


def _equal_error_rate(false_rate, true_rate):
    """Interpolates where the false alarms are as frequent as the misses, 1 - true_rate."""
    # Before the first threshold nothing is called fake: no alarms, all misses.
    gap = np.pad(false_rate + true_rate - 1, ((0, 0), (1, 0)), constant_values=-1.0)
    false_rate = np.pad(false_rate, ((0, 0), (1, 0)))
    rows = np.arange(len(gap))
    after = (gap >= 0).argmax(axis=1)
    before = after - 1
    share = -gap[rows, before] / (gap[rows, after] - gap[rows, before])
    step = false_rate[rows, after] - false_rate[rows, before]
    return false_rate[rows, before] + share * step
