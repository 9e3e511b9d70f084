"""Temperature scaling: one number that makes a classifier's confidence match its accuracy.

Logits are divided by a temperature, above 1 for a network that is too sure of itself. Which class
is the largest does not change (Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tfselfsup.vision import metrics

COLDEST, HOTTEST = 0.01, 100.0


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Finds the temperature with the smallest log loss.

    The log loss is convex in the inverse of the temperature and so has no other minimum. Where it
    has none at all, a limit ends the search: 0.01 if every example is classified correctly (or
    sooner, where the log loss is 0 to float64), 100 if the logits are no better than chance.

    Args:
        logits: float [N, K], of examples that the classifier was not trained on.
        labels: Their true classes, int [N] in [0, K).

    Returns:
        The temperature, from 0.01 to 100.

    Raises:
        ValueError: If the arguments are not as described, or all examples are of one class.
    """
    labels, logits = metrics.check_outputs(labels, logits, "logits")
    metrics.check_classes(labels)
    rows = np.arange(len(labels))

    def log_loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].mean()

    limits = (np.log(COLDEST), np.log(HOTTEST))
    found = minimize_scalar(log_loss, bounds=limits, method="bounded", options={"xatol": 1e-8})
    return float(np.exp(found.x))


def apply(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Turns logits into probabilities.

    Args:
        logits: float [N, K].
        temperature: Above 0; 1 leaves the logits as they are.

    Returns:
        float64 [N, K], rows sum to 1.

    Raises:
        ValueError: If the temperature is not a positive number.
    """
    if not 0 < temperature < np.inf:
        raise ValueError(
            f"expected a temperature above 0, got {temperature}; 1 leaves the logits as they are"
        )
    return softmax(np.asarray(logits, np.float64) / temperature, axis=1)
