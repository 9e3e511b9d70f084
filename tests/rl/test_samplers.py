import numpy as np
import pytest

from tfselfsup.rl.samplers import PrioritisedSampler, UniformSampler


def allocated(num_rows: int, **settings) -> PrioritisedSampler:
    sampler = PrioritisedSampler(**settings)
    sampler.allocate(num_rows)
    return sampler


def frequencies(sampler, startable, batches, batch_size) -> np.ndarray:
    generator = np.random.default_rng(0)
    rows = [sampler.draw(startable, batch_size, generator)[0] for _ in range(batches)]
    return np.bincount(np.concatenate(rows), minlength=startable.size) / (batches * batch_size)


def test_uniform_draws_every_startable_row_equally_often():
    startable = np.random.default_rng(1).random(300) < 0.4
    drawn = 40_000
    observed = frequencies(UniformSampler(), startable, 50, drawn // 50) * drawn
    assert (observed[~startable] == 0).all()
    count = startable.sum()
    expected = drawn / count
    chi_square = ((observed[startable] - expected) ** 2 / expected).sum()
    # Its mean is count - 1, its variance 2 * (count - 1); equal draws stay within 4 deviations.
    assert abs(chi_square - (count - 1)) < 4 * np.sqrt(2 * (count - 1))


def test_uniform_weights_are_one():
    startable = np.array([False, True, False, False])
    rows, weights = UniformSampler().draw(startable, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(rows, [1] * 5)
    np.testing.assert_array_equal(weights, np.ones(5))
    assert rows.dtype == np.int64 and weights.dtype == np.float32


def test_prioritised_frequencies():
    # With epsilon 1 the errors -3, 0, 8 give p = 4, 1, 9 and, with alpha 1/2, shares 2 : 1 : 3.
    sampler = allocated(5, alpha=0.5, epsilon=1)
    rows = np.array([0, 2, 3])
    sampler.add(rows)
    sampler.update(rows, np.array([-3.0, 0.0, 8.0]))
    observed = frequencies(sampler, np.isin(np.arange(5), rows), 1000, 10)
    np.testing.assert_allclose(observed, [1 / 3, 0, 1 / 6, 1 / 2, 0], atol=0.01)


def test_a_batch_is_stratified():
    # Shares 2 : 1 : 3 of six equal parts, one draw from each: the counts are always 2, 1 and 3.
    sampler = allocated(3, alpha=0.5, epsilon=1)
    sampler.add(np.arange(3))
    sampler.update(np.arange(3), np.array([3.0, 0.0, 8.0]))
    generator = np.random.default_rng(0)
    for _ in range(20):
        rows, _ = sampler.draw(np.ones(3, bool), 6, generator)
        np.testing.assert_array_equal(rows, [0, 0, 1, 2, 2, 2])


@pytest.mark.parametrize("beta", [0, 0.4, 1])
def test_weights_by_hand(beta):
    # P = 2/6, 1/6, 3/6 and N = 3, so N * P = 1, 1/2, 3/2. To the power of -1: 1, 2, 2/3; divided
    # by the largest: 1/2, 1, 1/3. Dividing commutes with the power of beta.
    sampler = allocated(3, alpha=0.5, beta_initial=beta, epsilon=1)
    sampler.add(np.arange(3))
    sampler.update(np.arange(3), np.array([3.0, 0.0, 8.0]))
    rows, weights = sampler.draw(np.ones(3, bool), 6, np.random.default_rng(0))
    expected = np.array([1 / 2, 1, 1 / 3])[rows] ** beta
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert rows.dtype == np.int64 and weights.dtype == np.float32


def test_beta_is_annealed_linearly():
    sampler = PrioritisedSampler(beta_initial=0.4, beta_final=1)
    assert sampler.beta == 0.4
    sampler.anneal(0.25)
    assert sampler.beta == pytest.approx(0.55)
    sampler.anneal(1)
    assert sampler.beta == pytest.approx(1)


def test_new_rows_get_the_largest_priority_so_far():
    sampler = allocated(4, alpha=1, epsilon=1)
    sampler.add(np.array([0]))
    np.testing.assert_array_equal(sampler.state()["priorities"], [1, 0, 0, 0])
    sampler.update(np.array([0]), np.array([-6.0]))
    sampler.add(np.array([1]))
    # It is the largest there ever was: falling or removed priorities do not lower it.
    sampler.update(np.array([1]), np.array([0.5]))
    sampler.remove(np.array([0]))
    sampler.add(np.array([3]))
    np.testing.assert_array_equal(sampler.state()["priorities"], [0, 1.5, 0, 7])


def test_no_error_still_leaves_a_chance():
    sampler = allocated(1)
    sampler.add(np.array([0]))
    sampler.update(np.array([0]), np.array([0.0], np.float32))
    assert sampler.state()["priorities"] == pytest.approx(1e-6**0.6)


def test_an_empty_update_changes_nothing():
    sampler = allocated(2)
    sampler.add(np.array([1]))
    sampler.update(np.array([], np.int64), np.array([], np.float32))
    np.testing.assert_array_equal(sampler.state()["priorities"], [0, 1])


def test_state_round_trip():
    sampler = allocated(100)
    sampler.add(np.arange(50))
    sampler.update(np.arange(20), np.random.default_rng(0).normal(size=20) * 5)
    twin = allocated(100)
    twin.restore(sampler.state())
    for one in (sampler, twin):
        one.add(np.array([70]))  # by the largest priority so far
    draws = [one.draw(np.ones(100), 64, np.random.default_rng(0)) for one in (sampler, twin)]
    np.testing.assert_array_equal(draws[0], draws[1])


def test_bad_input():
    for settings, message in [
        ({"alpha": -0.1}, "alpha must not be negative, got -0.1"),
        ({"beta_initial": -1}, r"betas must lie in \[0, 1\], got -1 and 1.0"),
        ({"beta_final": 1.5}, r"betas must lie in \[0, 1\], got 0.4 and 1.5"),
        ({"epsilon": 0}, "epsilon must be positive, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            PrioritisedSampler(**settings)
    sampler = allocated(2)
    sampler.add(np.array([0]))
    with pytest.raises(ValueError, match="TD errors must be finite"):
        sampler.update(np.array([0]), np.array([np.nan]))
    np.testing.assert_array_equal(sampler.state()["priorities"], [1, 0])
