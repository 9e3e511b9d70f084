import numpy as np
import pytest
from scipy import stats

from tfselfsup.report import stratified_bootstrap


def test_the_interval_of_a_mean_is_that_of_scipy():
    scores = np.random.default_rng(0).normal(size=(20, 1))
    mean, low, high = stratified_bootstrap.interval(scores, np.mean, 1000)
    known = stats.bootstrap(
        (scores[:, 0],), np.mean, method="percentile", random_state=np.random.default_rng(1)
    ).confidence_interval
    assert mean[0] == pytest.approx(scores.mean())
    assert (low[0], high[0]) == pytest.approx(known, abs=0.05)


def test_runs_are_drawn_within_their_game():
    # Games differ by far and runs hardly: were they mixed, the interval would be wide.
    scores = np.array([[0.0, 100.0], [1.0, 101.0], [2.0, 102.0]])
    _, low, high = stratified_bootstrap.interval(scores, np.mean, 200)
    assert 50 <= low[0] < 51 < high[0] <= 52


def test_it_is_repeatable_and_leaves_the_random_numbers_of_others_alone():
    scores = np.arange(8.0)[:, None]
    np.random.seed(7)
    expected = np.random.random(3)
    np.random.seed(7)
    first, second = (stratified_bootstrap.interval(scores, np.mean, 50) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(np.random.random(3), expected)
