import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.special import softmax
from sklearn import metrics as sklearn_metrics

from tfselfsup.vision import metrics

LABELS = np.array([0, 0, 1, 1, 1])
FAKE = np.array([0.1, 0.6, 0.4, 0.8, 0.9])
# Worked out by hand:
# - right are the first and the last two: 3 of 5, of the classes 1/2 and 2/3;
# - of the six pairs of a fake and a real one only (0.4, 0.6) is the wrong way round;
# - from the top: 0.9 and 0.8 fakes, 0.6 real, 0.4 fake. At 0.6 the alarms rise from 0 to 1/2 while
#   the misses stay at 1/3. The precision at the fakes is 1, 1 and 3/4;
# - the right classes have the probabilities 0.9, 0.4, 0.4, 0.8 and 0.9;
# - bins by confidence: {0.9 right, 0.9 right}, {0.8 right}, {0.6 wrong, 0.6 wrong}.
BY_HAND = {
    "accuracy": 3 / 5,
    "balanced_accuracy": 7 / 12,
    "auc": 5 / 6,
    "eer": 1 / 3,
    "average_precision": 11 / 12,
    "log_loss": -np.log([0.9, 0.4, 0.4, 0.8, 0.9]).mean(),
    "calibration_error": (0.2 + 0.2 + 1.2) / 5,
}


def two(fake):
    """Makes probabilities of both classes from those of the second."""
    return np.stack([1 - np.asarray(fake), fake], axis=1)


def random_case(seed, count=60, ties=False):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 2)
    fake = 1 / (1 + np.exp(-random.normal(labels - 0.5)))
    return labels, two(fake.round(1) if ties else fake), random.exponential(size=count)


def test_two_classes_by_hand():
    found = metrics.scores(LABELS, two(FAKE))
    assert found == pytest.approx(BY_HAND)
    assert list(found) == list(BY_HAND)
    assert all(type(value) is float for value in found.values())


def test_three_classes_by_hand():
    labels = np.array([0, 0, 1, 1, 1, 2])
    probabilities = np.array(
        [
            [0.7, 0.2, 0.1],  # right
            [0.3, 0.5, 0.2],  # wrong
            [0.2, 0.5, 0.3],  # right
            [0.1, 0.5, 0.4],  # right
            [0.7, 0.3, 0.0],  # wrong
            [0.2, 0.1, 0.7],  # right
        ]
    )
    found = metrics.scores(labels, probabilities)
    assert found.pop("classes") == {"0": 1 / 2, "1": pytest.approx(2 / 3), "2": 1.0}
    assert found == pytest.approx(
        {
            "accuracy": 4 / 6,
            "balanced_accuracy": (1 / 2 + 2 / 3 + 1) / 3,
            "log_loss": -np.log([0.7, 0.3, 0.5, 0.5, 0.3, 0.7]).mean(),
            # Of confidence 0.7 two of three are right, of 0.5 likewise.
            "calibration_error": ((3 * 0.7 - 2) + (2 - 3 * 0.5)) / 6,
        }
    )


def test_a_class_that_nobody_belongs_to_is_no_part_of_the_mean():
    found = metrics.scores([0, 2, 2], np.eye(4)[[0, 2, 3]] * 0.96 + 0.01)
    assert found["classes"] == {"0": 1.0, "2": 0.5}
    assert found["balanced_accuracy"] == 0.75


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_weighted_scores_are_those_of_scikit_learn(seed, ties):
    labels, probabilities, weights = random_case(seed, ties=ties)
    found = metrics.scores(labels, probabilities, weights)
    predicted = probabilities[:, 1] > 0.5
    assert found["accuracy"] == pytest.approx(np.average(predicted == labels, weights=weights))
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn_metrics.balanced_accuracy_score(labels, predicted, sample_weight=weights)
    )
    assert found["auc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, probabilities[:, 1], sample_weight=weights)
    )
    rates = sklearn_metrics.roc_curve(labels, probabilities[:, 1], sample_weight=weights)[:2]
    assert found["eer"] == pytest.approx(brentq(lambda x: 1 - x - interp1d(*rates)(x), 0, 1))


@pytest.mark.parametrize("classes", [2, 5])
def test_an_example_of_weight_3_counts_as_three_and_one_of_weight_0_not_at_all(classes):
    random = np.random.default_rng(0)
    labels = np.arange(40) % classes
    probabilities = softmax(random.normal(size=(40, classes)), axis=1)
    weights = np.arange(40) % 4
    repeated = metrics.scores(np.repeat(labels, weights), np.repeat(probabilities, weights, axis=0))
    weighted = metrics.scores(labels, probabilities, weights)
    assert weighted.pop("classes", {}) == pytest.approx(repeated.pop("classes", {}))
    assert weighted == pytest.approx(repeated)


def test_what_the_order_of_the_examples_does_to_the_scores():
    labels, probabilities, weights = random_case(0)
    order = np.random.default_rng(1).permutation(len(labels))
    shuffled = metrics.scores(labels[order], probabilities[order], weights[order])
    assert shuffled == pytest.approx(metrics.scores(labels, probabilities, weights))


def test_the_ranking_alone_decides_about_auc_eer_and_average_precision():
    labels, probabilities, _ = random_case(0)
    one = metrics.scores(labels, probabilities)
    other = metrics.scores(labels, two(probabilities[:, 1] ** 3))
    for name in ("auc", "eer", "average_precision"):
        assert one[name] == pytest.approx(other[name])
    assert one["log_loss"] != pytest.approx(other["log_loss"])


def test_exchanged_classes_change_nothing_but_the_average_precision():
    labels, probabilities, _ = random_case(0)
    one = metrics.scores(labels, probabilities)
    other = metrics.scores(1 - labels, probabilities[:, ::-1])
    assert one.pop("average_precision") != pytest.approx(other.pop("average_precision"))
    assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("fake", "auc", "eer"), [([0, 0, 1, 1], 1, 0), ([1, 1, 0, 0], 0, 1), ([0.5] * 4, 0.5, 0.5)]
)
def test_the_extremes(fake, auc, eer):
    found = metrics.scores([0, 0, 1, 1], two(np.array(fake, float)))
    assert (found["auc"], found["eer"]) == (auc, eer)
    assert np.isfinite(found["log_loss"])


def test_a_wrong_answer_without_doubt_costs_the_logarithm_of_epsilon():
    found = metrics.scores([0, 1], two([0.0, 0.0]))
    assert found["log_loss"] == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_calibration_error_is_that_of_its_definition(classes):
    random = np.random.default_rng(0)
    labels = random.integers(classes, size=500)
    probabilities = softmax(2 * random.normal(size=(500, classes)), axis=1)
    weights = random.exponential(size=500)
    total = 0.0
    for number in range(15):
        # The bins of Guo et al. are open below and closed above.
        confidence = probabilities.max(axis=1)
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            right = probabilities[inside].argmax(axis=1) == labels[inside]
            accuracy = np.average(right, weights=weights[inside])
            mean = np.average(confidence[inside], weights=weights[inside])
            total += weights[inside].sum() * abs(accuracy - mean)
    found = metrics.calibration_error(labels, probabilities, weights)
    assert found == pytest.approx(total / weights.sum())
    both = metrics.calibration_error(labels, probabilities, np.stack([weights, 3 * weights]))
    np.testing.assert_allclose(both, found)


def test_an_upper_edge_belongs_to_its_bin():
    # 0.8 is the edge of bins 12 and 13; together with 0.78, the errors of the two cancel.
    found = metrics.calibration_error(np.array([0, 1]), two([0.2, 0.22]), np.ones(2))
    assert found == pytest.approx(abs(0.8 + 0.78 - 1) / 2)


def test_answers_as_sure_as_they_are_right_are_calibrated():
    labels = np.array([1, 1, 1, 0] + [0, 0, 0, 1, 0])
    found = metrics.scores(labels, two([0.75] * 4 + [0.2] * 5))
    assert found["calibration_error"] == pytest.approx(0, abs=1e-12)


def test_rounded_softmaxes_are_accepted_and_rounding_is_removed():
    rounded = softmax(np.random.default_rng(0).normal(size=(20, 10)), axis=1).astype(np.float16)
    single = rounded.astype(np.float32)
    single /= single.sum(axis=1, keepdims=True)
    labels, checked = metrics.check_probabilities(np.arange(20) % 10, single)
    assert (labels.dtype, checked.dtype) == (np.int64, np.float64)
    np.testing.assert_allclose(checked.sum(axis=1), 1, rtol=1e-15)
    with pytest.raises(ValueError, match="sum to 1"):
        metrics.check_probabilities(np.arange(20) % 10, rounded * 1.01)


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], r"in 1 of 2 rows, row 1 first; look for where"),
        ([0, 1], [[0.5, 0.5], [np.inf, 0.5]], r"finite probabilities, got NaN or infinity in 1"),
        ([0, 1], [[0.5, 0.5], [0.9, 0.2]], r"got \[0.9, 0.2\] in row 1 and 1 such rows of 2; appl"),
        ([0, 1], [[2.0, -1.0], [0.5, 0.5]], r"not negative and sum to 1, got \[2, -1\] in row 0"),
        ([0, 1, 1], [[0.5, 0.5]] * 2, r"each of 2 rows of probabilities, got labels of shape \(3,"),
        ([[0], [1]], [[0.5, 0.5]] * 2, r"got labels of shape \(2, 1\); give those of the same"),
        ([0, 1], [0.5, 0.5], r"with 2 classes or more, got shape \(2,\); give one column for"),
        ([0, 0], [[1.0]] * 2, r"with 2 classes or more, got shape \(2, 1\)"),
        ([0, 2], [[0.5, 0.5]] * 2, r"integer labels from 0 to 1, got 2; number the classes"),
        ([-1, 1], [[0.5, 0.5]] * 2, r"integer labels from 0 to 1, got -1"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, r"integer labels from 0 to 1, got type float64"),
        ([1, 1], [[0.5, 0.5]] * 2, r"2 classes or more, got 2 examples of class 1; choose another"),
        (np.zeros(0, int), np.zeros((0, 2)), r"expected examples, got none; choose a part"),
    ],
)
def test_wrong_answers(labels, probabilities, message):
    with pytest.raises(ValueError, match=message) as raised:
        metrics.scores(labels, probabilities)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], r"expected 4 finite weights of 0 or more, got shape \(2,\), smallest 1.0; give"),
        ([1, 1, 1, -1], r"got shape \(4,\), smallest -1.0"),
        ([1, 1, 1, np.nan], r"expected 4 finite weights"),
        ([1, 1, 1, np.inf], r"expected 4 finite weights"),
        ([1, 1, 0, 0], r"got 2 examples of class 0; choose another part"),
        ([0, 0, 0, 0], r"got 0 examples of class none"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        metrics.scores([0, 0, 1, 1], two([0.5] * 4), weights)


def test_examples_whose_probabilities_round_to_1_keep_their_order():
    # Log odds of -100, 50, 60 and 200; the last three probabilities of a fake are 1 to float64.
    labels, logits = np.array([0, 0, 1, 1]), np.array([-100.0, 50.0, 60.0, 200.0])
    probabilities = softmax(np.stack([np.zeros(4), logits], axis=1), axis=1)
    assert (probabilities[1:, 1] == 1).all()
    np.testing.assert_allclose(metrics.log_odds(probabilities), logits)
    found = metrics.scores(labels, probabilities)
    assert (found["auc"], found["eer"], found["average_precision"]) == (1, 0, 1)


def test_log_odds_of_what_is_certain_are_finite():
    certain = metrics.log_odds(np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert np.isfinite(certain).all() and certain[0] == -certain[1] < 0
