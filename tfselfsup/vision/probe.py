"""Probes by name: what a frozen encoder's features tell of the classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tfselfsup.vision.labelled_features import LabelledFeatures
from tfselfsup.vision.linear_probes import Adam, Lbfgs
from tfselfsup.vision.neighbour_probe import NearestNeighbours


class FittedProbe(Protocol):
    """A classifier of features; one that is linear has a `kernel` and a `bias` besides.

    Attributes:
        validation_log_loss: Mean cross-entropy of the validation part, nats.
    """

    validation_log_loss: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns float64 [N, K], to which a temperature can be fitted, for features [N, d]."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Returns probabilities, float64 [N, K], for features [N, d]."""


class Probe(Protocol):
    """A way to fit a classifier to features."""

    def fit(
        self, training: LabelledFeatures, validation: LabelledFeatures, seed: int = 0
    ) -> FittedProbe:
        """Fits it to the training part alone; `seed` is of whatever is drawn at random.

        The validation part chooses what there is to be chosen, and is of other sources.
        """


PROBES: dict[str, Callable[..., Probe]] = {
    "lbfgs": Lbfgs,
    "adam": Adam,
    "knn": NearestNeighbours,
}


def get(name: str, **options: Any) -> Probe:
    """Makes a probe by its name.

    Args:
        name: A key of `PROBES`.
        **options: The probe's own numbers, such as `epochs` of `adam`.

    Raises:
        ValueError: If there is no such probe or option, the message lists those there are; or if a
            value is not a positive number, or not a whole one where the default is.
    """
    if name not in PROBES:
        raise ValueError(f"expected a probe among {', '.join(PROBES)}, got '{name}'; name one")
    fields = dataclasses.fields(PROBES[name])
    defaults = {field.name: field.default for field in fields if np.isscalar(field.default)}
    for option, value in options.items():
        if option not in defaults:
            raise ValueError(
                f"expected an option of probe '{name}' among {', '.join(defaults)}, got "
                f"'{option}'; name one"
            )
        is_whole = isinstance(defaults[option], int)
        if type(value) not in ((int,) if is_whole else (int, float)) or not 0 < value < np.inf:
            raise ValueError(
                f"expected a positive {'whole ' * is_whole}number for option '{option}' of probe "
                f"'{name}', got {value!r}; change it"
            )
    return PROBES[name](**options)
