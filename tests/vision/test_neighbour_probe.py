import numpy as np
import pytest

from tfselfsup.vision.labelled_features import LabelledFeatures
from tfselfsup.vision.neighbour_probe import NearestNeighbours

# At 0, 60 and 90 degrees to the image (1, 0), whatever their lengths.
DIRECTIONS = LabelledFeatures(
    np.array([[2.0, 0.0], [0.5, 0.75**0.5], [0.0, 9.0]]), np.array([0, 1, 1])
)
IMAGE = np.array([[7.0, 0.0]])


def made(count, seed, classes=3):
    random = np.random.default_rng(seed)
    features = random.uniform(size=(count, 6)).astype(np.float32)
    return LabelledFeatures(features, np.arange(count) % classes)


def test_the_vote_by_hand():
    # The cosines are 1, 1/2 and 0.
    votes = np.exp(np.array([1, 0.5, 0]) / 0.25)
    two = NearestNeighbours(2, temperature=0.25).fit(DIRECTIONS, DIRECTIONS)
    expected = np.array([votes[0], votes[1]]) / votes[:2].sum()
    np.testing.assert_allclose(two.predict(IMAGE), [expected])
    everybody = NearestNeighbours(3, temperature=0.25).fit(DIRECTIONS, DIRECTIONS)
    expected = np.array([votes[0], votes[1] + votes[2]]) / votes.sum()
    np.testing.assert_allclose(everybody.predict(IMAGE), [expected])


def test_where_there_are_fewer_all_vote():
    few = NearestNeighbours(temperature=0.25).fit(DIRECTIONS, DIRECTIONS)
    three = NearestNeighbours(3, temperature=0.25).fit(DIRECTIONS, DIRECTIONS)
    np.testing.assert_array_equal(few.predict(IMAGE), three.predict(IMAGE))
    np.testing.assert_array_equal(few.logits(IMAGE), three.logits(IMAGE))


@pytest.mark.parametrize("neighbours", [1, 7, 60])
@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_it_is_the_vote_of_the_paper(neighbours, temperature):
    training, others = made(60, 0), made(25, 1)
    unit, query = (
        part.features / np.linalg.norm(part.features, axis=1, keepdims=True)
        for part in (training, others)
    )
    similarity = (query @ unit.T).astype(float)
    expected = np.zeros((25, 3))
    for row, order in enumerate(np.argsort(-similarity, axis=1)[:, :neighbours]):
        for one in order:
            expected[row, training.labels[one]] += np.exp(similarity[row, one] / temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    probe = NearestNeighbours(neighbours, temperature).fit(training, others)
    np.testing.assert_allclose(probe.predict(others.features), expected, atol=1e-4)


@pytest.mark.parametrize("scale", np.float32([1e-25, 1, 1e25]))
def test_lengths_do_not_count(scale):
    training, others = made(60, 0), made(25, 1)
    expected = NearestNeighbours().fit(training, others).predict(others.features)
    lengths = np.random.default_rng(0).uniform(1e-3, 1e3, (60, 1)).astype(np.float32)
    scaled = training._replace(features=scale * lengths * training.features)
    assert scaled.features.dtype == np.float32
    probe = NearestNeighbours().fit(scaled, others)
    np.testing.assert_allclose(probe.predict(scale * others.features), expected, atol=1e-4)


def test_however_cold_the_nearest_votes():
    far = LabelledFeatures(-DIRECTIONS.features, DIRECTIONS.labels)
    probe = NearestNeighbours(3, temperature=1e-6).fit(far, far)
    np.testing.assert_allclose(probe.predict(IMAGE), [[0, 1]], atol=1e-12)


def test_features_that_are_all_zero_are_like_nothing():
    training = made(60, 0)
    probe = NearestNeighbours().fit(training, training)
    np.testing.assert_allclose(probe.predict(np.zeros((1, 6), np.float32)), [[1 / 3] * 3])


def test_logits_have_a_vote_for_every_class():
    training = LabelledFeatures(np.array([[1.0, 0], [1, 0], [0, 1]]), np.array([0, 0, 1]))
    probe = NearestNeighbours(2).fit(training, training)
    # Both voters are for class 0: 2 + 1 votes against 0 + 1.
    np.testing.assert_allclose(probe.predict(IMAGE), [[1, 0]])
    np.testing.assert_allclose(np.exp(probe.logits(IMAGE)), [[0.75, 0.25]])


def test_logits_are_in_the_order_of_the_probabilities_and_the_loss_is_theirs():
    training, others = made(60, 0), made(25, 1)
    probe = NearestNeighbours(9).fit(training, others)
    logits = probe.logits(others.features)
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1)
    np.testing.assert_array_equal(
        np.argsort(logits, axis=1), np.argsort(probe.predict(others.features), axis=1)
    )
    expected = -np.mean(logits[np.arange(25), others.labels])
    assert probe.validation_log_loss == pytest.approx(expected)
