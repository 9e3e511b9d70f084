import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from tfselfsup.vision import calibration, metrics


def case(classes=3, count=400, scale=3.0):
    """Makes logits that are `scale` times too large for how often they are right."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, classes)) * 1.5
    labels = np.array([random.choice(classes, p=row) for row in softmax(logits, axis=1)])
    return scale * logits, labels


def test_the_temperature_by_hand():
    # Class 1 is said with logit 2 and is right in 3 of 4: sigmoid(2 / T) = 3/4 at T = 2 / ln 3.
    found = calibration.fit_temperature([[0.0, 2.0]] * 4, [1, 1, 0, 1])
    assert found == pytest.approx(2 / np.log(3), rel=1e-6)
    # Of three classes, one right in 1 of 2: x / (x + 2) = 1/2 with x = e^(3 / T) at T = 3 / ln 2.
    found = calibration.fit_temperature([[3.0, 0.0, 0.0]] * 4, [0, 1, 2, 0])
    assert found == pytest.approx(3 / np.log(2), rel=1e-6)


def test_two_classes_as_a_logistic_regression_without_intercept():
    logits, labels = case(classes=2)
    regression = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10)
    slope = regression.fit(logits[:, 1:] - logits[:, :1], labels).coef_.item()
    assert calibration.fit_temperature(logits, labels) == pytest.approx(1 / slope, rel=1e-4)


def test_logits_that_are_too_large_by_3_get_about_3():
    assert calibration.fit_temperature(*case()) == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_scaled_logits_get_a_scaled_temperature_and_the_same_probabilities(factor):
    logits, labels = case()
    one = calibration.fit_temperature(logits, labels)
    other = calibration.fit_temperature(factor * logits, labels)
    assert other == pytest.approx(factor * one, rel=1e-6)
    np.testing.assert_allclose(
        calibration.apply(factor * logits, other), calibration.apply(logits, one), rtol=1e-5
    )


def test_a_constant_added_to_all_logits_of_an_example_changes_nothing():
    logits, labels = case()
    shifted = logits + np.linspace(-50, 50, len(logits))[:, None]
    found = calibration.fit_temperature(shifted, labels)
    assert found == pytest.approx(calibration.fit_temperature(logits, labels), rel=1e-6)


def test_scaling_makes_the_probabilities_better_and_changes_no_decision():
    logits, labels = case()
    before = metrics.scores(labels, calibration.apply(logits, 1.0))
    temperature = calibration.fit_temperature(logits, labels)
    after = metrics.scores(labels, calibration.apply(logits, temperature))
    assert after["log_loss"] < before["log_loss"]
    assert after["calibration_error"] < before["calibration_error"] / 2
    for name in ("accuracy", "balanced_accuracy", "classes"):
        assert after[name] == before[name]


def test_where_there_is_no_best_temperature_it_stays_within_the_limits():
    logits = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert calibration.fit_temperature(logits, [1, 0]) == pytest.approx(100)
    # The log loss is as good as 0 before the limit is reached, or it is reached.
    found = calibration.fit_temperature(logits, [0, 1])
    assert 0.01 <= found and -np.log(calibration.apply(logits, found)[0, 0]) < 1e-15
    assert calibration.fit_temperature(logits / 100, [0, 1]) == pytest.approx(0.01)


def test_probabilities_by_hand():
    probabilities = calibration.apply(np.array([[0.0, np.log(9)]], np.float32), 2.0)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, [[0.25, 0.75]], rtol=1e-6)


def test_large_logits_do_not_overflow():
    np.testing.assert_array_equal(calibration.apply([[1e4, -1e4]], 0.01), [[1.0, 0.0]])


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_a_temperature_that_is_none(temperature):
    with pytest.raises(ValueError, match=f"expected a temperature above 0, got {temperature}; 1"):
        calibration.apply([[0.0, 1.0]], temperature)


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        ([[0.0, np.nan], [1.0, 0.0]], [0, 1], "finite logits, got NaN or infinity in 1 of 2 rows"),
        ([[0.0, 1.0], [1.0, 0.0]], [1, 1], "2 classes or more, got 2 examples of class 1"),
        (np.zeros((0, 2)), np.zeros(0, int), "expected examples, got none"),
        ([[0.0, 1.0]], [0, 1], r"a label for each of 1 rows of logits, got labels of shape \(2,\)"),
    ],
)
def test_wrong_arguments(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        calibration.fit_temperature(logits, labels)
