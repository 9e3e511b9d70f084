"""Linear classifiers on frozen features, each of which becomes one Dense layer.

`Lbfgs` solves a problem that has one solution, to convergence. `Adam` is the original study's way,
whose outcome hangs on the scale of the features; `divergence` shows how and says why.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tfselfsup.vision.labelled_features import LabelledFeatures, check, log_loss

# A feature that varies less than this, relative to its mean, varies by the rounding of float32.
_ROUNDING = 8 * np.finfo(np.float32).eps
# Deviations below it give weights that float32 cannot hold.
_SMALLEST_DEVIATION = 1e-30


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear classifier of raw features: logits = features @ kernel + bias.

    `layer.set_weights([probe.kernel, probe.bias])` makes a Dense layer of it.

    Attributes:
        kernel: float32 [d, K].
        bias: float32 [K].
        strength: Inverse regularisation strength C that was chosen, or None.
        iterations: Iterations, or steps, of the optimiser altogether.
        converged: Whether the optimiser reached the solution; None where it stops after a fixed
            number of steps and does not ask.
        validation_log_loss: Mean cross-entropy of the validation part, nats.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strength: float | None
    iterations: int
    converged: bool | None
    validation_log_loss: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Returns float64 [N, K] for features [N, d]."""
        return _logits(features, self.kernel, self.bias)


@dataclass(frozen=True)
class Lbfgs:
    """Logistic regression on standardised features, solved to convergence.

    Features are centred and divided by their standard deviation in the training part, and the
    weights, without the intercept, are held small by an L2 penalty. That problem has one solution,
    which neither a seed nor the scale of the features changes, and it needs no step size. The
    strength of the penalty is the one with the lowest log loss on the validation part. The chosen
    fit stays as it is, of the training part alone: a temperature can then be fitted to the
    validation part, which a last fit to both parts would have seen.

    Attributes:
        strengths: Inverse strengths C to choose from, ascending, as scikit-learn defines them.
        tolerance: Largest absolute element of the mean loss's gradient at convergence.
        max_iterations: Of one fit.
    """

    strengths: Sequence[float] = tuple(10.0**exponent for exponent in range(-7, 3))
    tolerance: float = 1e-6
    max_iterations: int = 5_000

    def fit(
        self, training: LabelledFeatures, validation: LabelledFeatures, seed: int = 0
    ) -> LinearProbe:
        """Fits the classifier.

        Args:
            training: What it learns from.
            validation: What the strength is chosen by; of other sources than `training`.
            seed: Of no account: nothing is drawn at random.

        Returns:
            The classifier, with a warning if it did not converge.

        Raises:
            ValueError: As `labelled_features.check` says.
        """
        check(training, validation)
        mean, deviation = _moments(training.features)
        standardised = (training.features - mean) / deviation
        # Warm: each fit begins where the one before it ended.
        model = LogisticRegression(
            tol=self.tolerance, max_iter=self.max_iterations, warm_start=True
        )
        best, iterations = None, 0
        for strength in self.strengths:
            converged = _solve(model.set_params(C=strength), standardised, training.labels)
            iterations += int(model.n_iter_.max())
            weights = _folded(model.coef_, model.intercept_, mean, deviation)
            probe = _probe(*weights, validation, strength=strength, converged=converged)
            if best is None or probe.validation_log_loss < best.validation_log_loss:
                best = probe
        if not best.converged:
            warnings.warn(
                f"the probe did not converge in {self.max_iterations} iterations at strength "
                f"{best.strength:g}; allow more iterations or a larger tolerance",
                stacklevel=2,
            )
        return dataclasses.replace(best, iterations=iterations)


@dataclass(frozen=True)
class Adam:
    """The original study's probe: a Dense layer on raw features, trained by Adam.

    Kingma and Ba (2015), arXiv:1412.6980. The validation part is only measured.

    Attributes:
        learning_rate: Step size.
        batch_size: Examples of a step.
        epochs: Passes over the training part.
    """

    learning_rate: float = 1e-4
    batch_size: int = 32
    epochs: int = 10

    def fit(
        self, training: LabelledFeatures, validation: LabelledFeatures, seed: int = 0
    ) -> LinearProbe:
        """Fits the classifier.

        Args:
            training: What it learns from.
            validation: What it is measured on.
            seed: Of the first weights and of the order of the examples.

        Returns:
            The classifier.

        Raises:
            Diverged: If a weight or the validation loss is no longer finite.
            ValueError: As `labelled_features.check` says.
        """
        classes = check(training, validation)
        layer = tf.keras.layers.Dense(
            classes,
            kernel_initializer=tf.keras.initializers.GlorotUniform(seed),
            dtype="float32",  # whatever the encoder computes in
        )
        model = tf.keras.Sequential([tf.keras.Input(training.features.shape[1:]), layer])
        model.compile(
            tf.keras.optimizers.Adam(self.learning_rate),
            tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        batches = self._batches(training, seed)
        model.fit(batches, epochs=self.epochs, verbose=0)
        steps = self.epochs * len(batches)
        probe = _probe(*layer.get_weights(), validation, iterations=steps)
        finite = [np.isfinite(array).all() for array in (probe.kernel, probe.bias)]
        if not (all(finite) and np.isfinite(probe.validation_log_loss)):
            raise Diverged(
                f"expected finite weights and a finite loss, got NaN or infinity after {steps} "
                "steps of adam; take the probe lbfgs, or a smaller learning rate"
            )
        return probe

    def _batches(self, training: LabelledFeatures, seed: int) -> tf.data.Dataset:
        # Gathered by row, as an array that is sliced would become a constant of the graph.
        features = tf.constant(training.features, tf.float32)
        labels = tf.constant(training.labels)
        rows = tf.data.Dataset.range(len(labels)).shuffle(len(labels), seed=seed)
        return rows.batch(self.batch_size).map(
            lambda rows: (tf.gather(features, rows), tf.gather(labels, rows)),
            num_parallel_calls=1,
            deterministic=True,
        )


class Diverged(ValueError):
    """A probe's weights or its loss ceased to be finite."""


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns means and standard deviations; a constant feature's is infinite.

    So it is 0 when it is standardised, and has no weight.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    is_constant = deviation <= np.maximum(_ROUNDING * np.abs(mean), _SMALLEST_DEVIATION)
    return mean, np.where(is_constant, np.inf, deviation)


def _solve(model: LogisticRegression, features: np.ndarray, labels: np.ndarray) -> bool:
    # One thread: the products are so small that more of them wait for each other.
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1, "blas"):
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features, labels)
    others = [one for one in caught if not issubclass(one.category, ConvergenceWarning)]
    for one in others:
        warnings.warn(one.message, stacklevel=3)
    return len(others) == len(caught)


def _folded(
    weights: np.ndarray, intercepts: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turns scikit-learn's weights of standardised features into a kernel of raw ones."""
    kernel = (weights / deviation).T.astype(np.float32)
    bias = intercepts - mean @ kernel  # of the rounded kernel, so that no error adds up over d
    if len(weights) == 1:  # two classes: the score of the second, that of the first being 0
        kernel = np.hstack([np.zeros_like(kernel), kernel])
        bias = np.append(0.0, bias)
    return kernel, bias.astype(np.float32)


def _logits(features: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray(features, np.float64) @ kernel.astype(np.float64) + bias


def _probe(
    kernel: np.ndarray,
    bias: np.ndarray,
    validation: LabelledFeatures,
    *,
    strength: float | None = None,
    iterations: int = 0,
    converged: bool | None = None,
) -> LinearProbe:
    loss = log_loss(_logits(validation.features, kernel, bias), validation.labels)
    return LinearProbe(kernel, bias, strength, iterations, converged, loss)
