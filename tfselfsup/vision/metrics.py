"""How good the probabilities of a classifier are, by scikit-learn's metrics."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sklearn_metrics

BINS = 15  # of the calibration error, as in Guo et al. (2017)

# By how much a row may miss a sum of 1: float32 and bfloat16 programs hand in rounded softmaxes.
_ROUNDING = 1e-5


def scores(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float | dict[str, float]]:
    """Compares probabilities with the true classes.

    Args:
        labels: The true class of each of N examples, int [N] in [0, K).
        probabilities: Of every class, float [N, K], rows sum to 1. Of two classes the second is the
            positive one (fake). The class with the largest probability is the predicted one, the
            first of them where several are equal.
        weights: How often each example counts, float [N], at least 0; once by default.

    Returns:
        In this order:

        - `accuracy`, in [0, 1].
        - `balanced_accuracy`: the mean of the accuracies of the classes that are there.
        - `auc`: area under the receiver operating characteristic; two classes only, as the next
          two.
        - `eer`: the rate at which as many real ones are called fake as fakes are called real, on
          straight lines between the points of that curve.
        - `average_precision`, of fakes, without interpolation.
        - `log_loss`, in nats; a probability counts as at least float64's epsilon, 2.2e-16.
        - `calibration_error`: see `calibration_error`.
        - `classes`: of three classes or more, the accuracy of each that is there, by its number
          as a str: the share of its examples that were recognised.

    Raises:
        ValueError: If the arguments are not as described, or all examples are of one class.
    """
    labels, probabilities = check_probabilities(labels, probabilities)
    weights = _checked_weights(weights, len(labels))
    counted = weights > 0
    labels, probabilities, weights = labels[counted], probabilities[counted], weights[counted]
    classes = check_classes(labels)

    predicted = probabilities.argmax(axis=1)
    recalls = sklearn_metrics.recall_score(
        labels, predicted, labels=classes, average=None, sample_weight=weights
    )
    found = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted, sample_weight=weights),
        "balanced_accuracy": recalls.mean(),
    }
    if probabilities.shape[1] == 2:
        found |= _of_two_classes(labels, log_odds(probabilities), weights)
    found["log_loss"] = sklearn_metrics.log_loss(
        labels, probabilities, labels=range(probabilities.shape[1]), sample_weight=weights
    )
    found["calibration_error"] = calibration_error(labels, probabilities, weights)
    found = {name: float(value) for name, value in found.items()}
    if probabilities.shape[1] > 2:
        found["classes"] = {
            str(number): float(recall) for number, recall in zip(classes, recalls, strict=True)
        }
    return found


def calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Measures how far confidence is from accuracy: the expected calibration error.

    The confidence of an example is its largest probability. Examples are put into 15 bins of equal
    width by confidence; the error is the mean over bins of |accuracy - mean confidence|, weighted
    by the examples in them (Guo et al. 2017, arXiv:1706.04599). Two classes are no exception: the
    confidence is that of the predicted class, at least one half, so that the lower bins are empty.
    (Others bin the probability of the positive class, which gives another number.) The error of
    few examples is too large on average: chance alone parts accuracy from confidence in a bin.

    Args:
        labels: The true classes, int [N].
        probabilities: float [N, K], rows sum to 1.
        weights: How often each example counts, float [..., N]: any number of weightings at once.

    Returns:
        float64 [...], in [0, 1].
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    # A bin holds its upper edge, as in the paper.
    bin_of_example = np.ceil(confidence * BINS).astype(int).clip(1, BINS) - 1
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), bin_of_example] = correct - confidence
    return np.abs(weights @ gaps).sum(axis=-1) / weights.sum(axis=-1)


def check_probabilities(labels: np.ndarray, probabilities: np.ndarray):
    """Checks a classifier's probabilities, and that they go with the labels.

    Args:
        labels: int [N] in [0, K).
        probabilities: float [N, K], not negative, rows sum to 1 but for rounding.

    Returns:
        The labels, int64 [N], and the probabilities, float64 [N, K], of which the rounding is
        removed.

    Raises:
        ValueError: If they are not as described.
    """
    labels, probabilities = check_outputs(labels, probabilities, "probabilities")
    sums = probabilities.sum(axis=1)
    wrong = (probabilities < 0).any(axis=1) | (np.abs(sums - 1) > _ROUNDING)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"expected probabilities that are not negative and sum to 1, got "
            f"{_shown(probabilities[row])} in row {row} and {wrong.sum()} such rows of "
            f"{len(wrong)}; apply a softmax to logits"
        )
    return labels, probabilities / sums[:, None]


def check_outputs(labels: np.ndarray, outputs: np.ndarray, what: str):
    """Checks that a classifier's outputs are numbers, one row a label and one column a class.

    Args:
        labels: int [N] in [0, K).
        outputs: float [N, K], with K at least 2.
        what: Name of the outputs, for the message.

    Returns:
        The labels, int64 [N], and the outputs, float64 [N, K].

    Raises:
        ValueError: If they are not as described, or N is 0.
    """
    labels, outputs = np.asarray(labels), np.asarray(outputs, np.float64)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(
            f"expected {what} of shape [examples, classes] with 2 classes or more, got shape "
            f"{outputs.shape}; give one column for each class"
        )
    if labels.shape != (len(outputs),):
        raise ValueError(
            f"expected a label for each of {len(outputs)} rows of {what}, got labels of shape "
            f"{labels.shape}; give those of the same examples"
        )
    if not len(labels):
        raise ValueError("expected examples, got none; choose a part that is not empty")
    broken = ~np.isfinite(outputs).all(axis=1)
    if broken.any():
        raise ValueError(
            f"expected finite {what}, got NaN or infinity in {broken.sum()} of {len(broken)} rows, "
            f"row {broken.argmax()} first; look for where the model diverged"
        )
    numbers = outputs.shape[1]
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= numbers:
        wrong = "type " + str(labels.dtype)
        if labels.dtype.kind in "iu":
            wrong = str(labels[(labels < 0) | (labels >= numbers)][0])
        raise ValueError(
            f"expected integer labels from 0 to {numbers - 1}, got {wrong}; number the classes as "
            f"the columns of the {what}"
        )
    return labels.astype(np.int64), outputs


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Returns what examples of two classes are ranked by.

    The probability of a class that is all but certain is 1 to float64, and so would tie examples
    that the classifier tells apart; that of the other class is small and keeps its digits.

    Args:
        probabilities: float64 [N, 2], rows sum to 1.

    Returns:
        float64 [N], finite; grows with the probability of the second class.
    """
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return logarithms[:, 1] - logarithms[:, 0]


def check_classes(labels: np.ndarray) -> np.ndarray:
    """Lists the classes that are there, int64 ascending; there must be two or more.

    Raises:
        ValueError: If there are not.
    """
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"expected examples of 2 classes or more, got {len(labels)} examples of class "
            f"{'/'.join(map(str, classes)) or 'none'}; choose another part, split or seed"
        )
    return classes


def _of_two_classes(labels, ranked_by, weights):
    false_rate, true_rate, _ = sklearn_metrics.roc_curve(labels, ranked_by, sample_weight=weights)
    return {
        "auc": sklearn_metrics.auc(false_rate, true_rate),
        # The miss rate is 1 - true_rate. The difference of both rates rises from -1 to 1.
        "eer": np.interp(0.0, false_rate + true_rate - 1, false_rate),
        "average_precision": sklearn_metrics.average_precision_score(
            labels, ranked_by, sample_weight=weights
        ),
    }


def _checked_weights(weights, count):
    if weights is None:
        return np.ones(count)
    weights = np.asarray(weights, np.float64)
    # Written so that NaN does not pass.
    if weights.shape != (count,) or not np.all((weights >= 0) & (weights < np.inf)):
        raise ValueError(
            f"expected {count} finite weights of 0 or more, got shape {weights.shape}, smallest "
            f"{weights.min() if weights.size else None}; give one for each example"
        )
    return weights


def _shown(row):
    return "[" + ", ".join(f"{value:.6g}" for value in row) + "]"
