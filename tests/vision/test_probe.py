"""What every probe promises."""

import numpy as np
import pytest

from tfselfsup.vision import probe
from tfselfsup.vision.labelled_features import LabelledFeatures, log_loss

on_each_probe = pytest.mark.parametrize("name", probe.PROBES)


def made(count, seed, classes=2):
    """Makes features by whose largest coordinate the classes can be told."""
    labels = np.arange(count) % classes
    noise = np.random.default_rng(seed).uniform(0, 0.5, (count, 8))
    return LabelledFeatures((noise + np.eye(8)[labels]).astype(np.float32), labels)


def quick(name):
    # So that ten epochs of few examples suffice.
    return probe.get(name, **({"learning_rate": 0.05} if name == "adam" else {}))


@on_each_probe
@pytest.mark.parametrize("classes", [2, 4])
def test_it_learns_and_its_answers_go_together(name, classes):
    training, validation, other = (made(n, n, classes) for n in (200, 40, 60))
    fitted = quick(name).fit(training, validation, 0)
    logits, probabilities = fitted.logits(other.features), fitted.predict(other.features)
    assert logits.shape == probabilities.shape == (60, classes)
    assert logits.dtype == probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), other.labels)
    np.testing.assert_array_equal(logits.argmax(axis=1), other.labels)
    loss = log_loss(fitted.logits(validation.features), validation.labels)
    assert fitted.validation_log_loss == pytest.approx(loss) and loss < np.log(classes)


@on_each_probe
def test_it_leaves_what_it_is_given_and_repeats_itself(name):
    training, validation = made(100, 0), made(40, 1)
    before = training.features.copy(), validation.features.copy()
    one, other = (quick(name).fit(training, validation, 7) for _ in range(2))
    np.testing.assert_array_equal(training.features, before[0])
    np.testing.assert_array_equal(validation.features, before[1])
    np.testing.assert_array_equal(one.logits(before[1]), other.logits(before[1]))


@on_each_probe
def test_it_refuses_what_cannot_be_learnt_from(name):
    training = made(40, 0)
    one_class = training._replace(labels=np.zeros(40, int))
    with pytest.raises(ValueError, match=r"two or more classes 0, 1, ..., got those of \[0\]"):
        quick(name).fit(one_class, training, 0)


def test_options_reach_the_probe():
    assert probe.get("adam", epochs=3, learning_rate=1).epochs == 3
    assert probe.get("knn", neighbours=5).neighbours == 5
    assert probe.get("lbfgs", tolerance=1e-3).tolerance == 1e-3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("svm", {}, "a probe among lbfgs, adam, knn, got 'svm'; name one"),
        ("knn", {"epochs": 3}, "probe 'knn' among neighbours, temperature, got 'epochs'; name"),
        ("lbfgs", {"strengths": 1.0}, "among tolerance, max_iterations, got 'strengths'"),
        ("adam", {"epochs": 0}, "a positive whole number for option 'epochs' .* 'adam', got 0"),
        ("adam", {"epochs": 1.5}, "a positive whole number .*, got 1.5; change it"),
        ("adam", {"epochs": True}, "a positive whole number .*, got True"),
        ("adam", {"learning_rate": -1.0}, "a positive number for option 'learning_rate'.*got -1.0"),
        ("adam", {"learning_rate": float("nan")}, "a positive number .*, got nan"),
        ("adam", {"learning_rate": float("inf")}, "a positive number .*, got inf"),
        ("knn", {"temperature": "0.1"}, "a positive number .*, got '0.1'"),
    ],
)
def test_what_there_is_not(name, options, message):
    with pytest.raises(ValueError, match=message):
        probe.get(name, **options)
