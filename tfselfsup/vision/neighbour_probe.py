"""A nearest-neighbour vote on frozen features."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from tfselfsup.vision.labelled_features import LabelledFeatures, check, log_loss


@dataclass(frozen=True)
class NearestNeighbours:
    """The weighted vote of Wu et al. (2018), arXiv:1805.01978, section 3.4.

    A training example at cosine similarity s to the image votes with weight exp(s / temperature).
    Features are as the encoder gives them, not standardised, as in the published figures of this
    probe; only their directions count.

    Attributes:
        neighbours: How many of the nearest training examples vote; all, where there are fewer.
        temperature: The smaller, the more the very nearest count.
    """

    neighbours: int = 200
    temperature: float = 0.1

    def fit(
        self, training: LabelledFeatures, validation: LabelledFeatures, seed: int = 0
    ) -> NeighbourProbe:
        """Keeps the training part.

        Args:
            training: The examples that vote.
            validation: What the probe is measured on.
            seed: Of no account: nothing is drawn at random.

        Raises:
            ValueError: As `labelled_features.check` says.
        """
        check(training, validation)
        probe = NeighbourProbe(self, training)
        loss = log_loss(probe.logits(validation.features), validation.labels)
        return dataclasses.replace(probe, validation_log_loss=loss)


@dataclass(frozen=True)
class NeighbourProbe:
    """A fitted vote; it is no layer of a network.

    Attributes:
        method: How they vote.
        voters: The training examples.
        validation_log_loss: Mean cross-entropy of `logits` on the validation part, nats.
    """

    method: NearestNeighbours
    voters: LabelledFeatures
    validation_log_loss: float = float("nan")

    @functools.cached_property
    def model(self) -> KNeighborsClassifier:
        """scikit-learn's classifier."""
        model = KNeighborsClassifier(
            min(self.method.neighbours, len(self.voters.labels)),
            metric="cosine",
            algorithm="brute",
            weights=self._votes,
        )
        return model.fit(_unit(self.voters.features), self.voters.labels)

    def _votes(self, distances: np.ndarray) -> np.ndarray:
        # The similarity is 1 - distance. Only ratios of the votes matter, so that the nearest may
        # have 1, and not all can become 0.
        nearest = distances.min(axis=1, keepdims=True)
        return np.exp((nearest - distances).astype(np.float64) / self.method.temperature)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Returns each class's share of the votes, float64 [N, K], for features [N, d]."""
        return self.model.predict_proba(_unit(features))

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns logarithms of probabilities, float64 [N, K], for features [N, d].

        They are those of `predict` with one more vote for every class (Laplace's rule of
        succession), since no finite number of voters can rule a class out.
        """
        shares, voters = self.predict(features), self.model.n_neighbors
        return np.log((voters * shares + 1) / (voters + shares.shape[1]))


def _unit(features: np.ndarray) -> np.ndarray:
    """Makes features as long as 1.

    Random encoders give features of 1e-20, which scikit-learn takes for 0, and whose squares
    float32 cannot hold.
    """
    features = np.asarray(features, np.float64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)
