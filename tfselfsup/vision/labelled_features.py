"""Frozen features with their labels: what a probe is fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax


class LabelledFeatures(NamedTuple):
    """Features of examples and their classes.

    Attributes:
        features: float [N, d].
        labels: int [N], classes from 0 up.
    """

    features: np.ndarray
    labels: np.ndarray


def check(training: LabelledFeatures, validation: LabelledFeatures) -> int:
    """Checks that a probe can be fitted.

    Returns:
        The number of classes, K.

    Raises:
        ValueError: If a part is empty, of wrong shape or not finite, if the training part lacks a
            class, or if the validation part has one class only, others, or other features.
    """
    for name, part in (("training", training), ("validation", validation)):
        _check_part(name, part)
    classes = int(training.labels.max()) + 1
    present = np.unique(training.labels).tolist()
    if classes < 2 or present != list(range(classes)):
        raise ValueError(
            f"expected training examples of two or more classes 0, 1, ..., got those of {present}; "
            "choose another split"
        )
    present = np.unique(validation.labels).tolist()
    if len(present) < 2 or not 0 <= present[0] < present[-1] < classes:
        raise ValueError(
            f"expected validation examples of two or more of the classes 0 to {classes - 1}, got "
            f"those of {present}; choose another split"
        )
    widths = training.features.shape[1], validation.features.shape[1]
    if widths[0] != widths[1]:
        raise ValueError(
            f"expected validation features of width {widths[0]}, as in the training part, got "
            f"{widths[1]}; take both from one encoder"
        )
    return classes


def _check_part(name: str, part: LabelledFeatures) -> None:
    features, labels = np.shape(part.features), np.shape(part.labels)
    if len(features) != 2 or labels != features[:1] or not all(features):
        raise ValueError(
            f"expected {name} features [N, d] and labels [N], N and d at least 1, got {features} "
            f"and {labels}; choose another split"
        )
    if not np.issubdtype(part.labels.dtype, np.integer):
        raise ValueError(
            f"expected {name} labels of an integer type, got {part.labels.dtype}; "
            "number the classes from 0"
        )
    broken = np.count_nonzero(~np.isfinite(part.features).all(axis=1))
    if broken:
        raise ValueError(
            f"expected finite {name} features, got NaN or infinity in {broken} of {labels[0]} "
            "rows; compute the features again"
        )


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean cross-entropy in nats: not finite where the logits are not."""
    logits = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, as promised
        return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
