"""What a probe is: a way to find out what a frozen encoder's features tell of the classes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tfselfsup.vision.labelled_features import LabelledFeatures


class FittedProbe(Protocol):
    """A classifier of features; one that is linear has a `kernel` and a `bias` besides.

    Attributes:
        validation_log_loss: Mean cross-entropy of the validation part, nats.
    """

    validation_log_loss: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns float64 [N, K], to which a temperature can be fitted, for features [N, d]."""


class Probe(Protocol):
    """A way to fit a classifier to features."""

    def fit(
        self, training: LabelledFeatures, validation: LabelledFeatures, seed: int = 0
    ) -> FittedProbe:
        """Fits it to the training part alone; `seed` is of whatever is drawn at random.

        The validation part chooses what there is to be chosen, and is of other sources.
        """
