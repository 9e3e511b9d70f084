import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from tfselfsup.vision import metrics, weighted_metrics


def case(classes, count=80, ties=False):
    random = np.random.default_rng(classes)
    labels = random.permutation(np.arange(count) % classes)
    logits = random.normal(size=(count, classes)) + np.eye(classes)[labels]
    probabilities = softmax(logits.round() if ties else logits, axis=1)
    return labels, probabilities, random


def assert_like_one_by_one(labels, probabilities, weights):
    together = weighted_metrics.scores(labels, probabilities, weights)
    for number, row in enumerate(weights):
        alone = metrics.scores(labels, probabilities, row)
        alone.pop("classes", None)
        assert list(together) == list(alone)
        found = {name: values[number] for name, values in together.items()}
        assert found == pytest.approx(alone, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_every_weighting_scores_as_scikit_learn_says(classes, ties):
    labels, probabilities, random = case(classes, ties=ties)
    counts = random.multinomial(80, np.full(80, 1 / 80), 10)  # about 30 in 80 have no weight
    assert_like_one_by_one(labels, probabilities, counts)
    assert_like_one_by_one(labels, probabilities, random.exponential(size=(10, 80)))


def test_a_weighting_may_lack_one_of_three_classes():
    labels, probabilities, random = case(3)
    weights = random.exponential(size=(4, 80))
    weights[0, labels == 0] = weights[1, labels == 1] = weights[2, labels == 2] = 0
    assert_like_one_by_one(labels, probabilities, weights)


@pytest.mark.parametrize("fake", [[0, 0, 1, 1], [1, 1, 0, 0], [0.5] * 4, [0, 1, 0, 1]])
def test_the_extremes(fake):
    probabilities = np.stack([1 - np.array(fake, float), fake], axis=1)
    weights = np.array([[1, 1, 1, 1], [3, 0, 0, 1], [0, 2, 1, 5]], float)
    assert_like_one_by_one(np.array([0, 0, 1, 1]), probabilities, weights)


def test_the_area_alone_is_that_among_all_scores():
    random = np.random.default_rng(3)
    labels = np.arange(40) % 2
    # Rounded, so that there are ties.
    positive = random.random(40).round(1)
    weights = random.integers(0, 4, (5, 40)).astype(float)
    alone = weighted_metrics.auc(labels, positive, weights)
    probabilities = np.stack([1 - positive, positive], axis=1)
    np.testing.assert_array_equal(
        alone, weighted_metrics.scores(labels, probabilities, weights)["auc"]
    )
    known = [roc_auc_score(labels, positive, sample_weight=row) for row in weights]
    np.testing.assert_allclose(alone, known)
