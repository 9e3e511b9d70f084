"""What every probe promises."""

import numpy as np
import pytest

from tfselfsup.vision.labelled_features import LabelledFeatures, log_loss
from tfselfsup.vision.linear_probes import Adam, Lbfgs
from tfselfsup.vision.neighbour_probe import NearestNeighbours

# Adam with large steps, so that ten epochs of few examples suffice.
PROBES = (Lbfgs(), Adam(learning_rate=0.05), NearestNeighbours())
on_each_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: type(probe).__name__)


def made(count, seed, classes=2):
    """Makes features by whose largest coordinate the classes can be told."""
    labels = np.arange(count) % classes
    noise = np.random.default_rng(seed).uniform(0, 0.5, (count, 8))
    return LabelledFeatures((noise + np.eye(8)[labels]).astype(np.float32), labels)


@on_each_probe
@pytest.mark.parametrize("classes", [2, 4])
def test_it_learns_and_tells_its_loss(probe, classes):
    training, validation, other = (made(n, n, classes) for n in (200, 40, 60))
    fitted = probe.fit(training, validation, 0)
    logits = fitted.logits(other.features)
    assert logits.shape == (60, classes) and logits.dtype == np.float64
    np.testing.assert_array_equal(logits.argmax(axis=1), other.labels)
    loss = log_loss(fitted.logits(validation.features), validation.labels)
    assert fitted.validation_log_loss == pytest.approx(loss) and loss < np.log(classes)


@on_each_probe
def test_it_leaves_what_it_is_given_and_repeats_itself(probe):
    training, validation = made(100, 0), made(40, 1)
    before = training.features.copy(), validation.features.copy()
    one, other = (probe.fit(training, validation, 7) for _ in range(2))
    np.testing.assert_array_equal(training.features, before[0])
    np.testing.assert_array_equal(validation.features, before[1])
    np.testing.assert_array_equal(one.logits(before[1]), other.logits(before[1]))


@on_each_probe
def test_it_refuses_what_cannot_be_learnt_from(probe):
    training = made(40, 0)
    one_class = training._replace(labels=np.zeros(40, int))
    with pytest.raises(ValueError, match=r"two or more classes 0, 1, ..., got those of \[0\]"):
        probe.fit(one_class, training, 0)
