import numpy as np
import pytest

from tfselfsup.vision import bootstrap, metrics


def two(fake):
    return np.stack([1 - fake, fake], axis=1)


def case(count=40, seed=0):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(count) % 2)
    return labels, two(1 / (1 + np.exp(-random.normal(2.0 * labels - 1))))


def test_the_bounds_are_the_percentiles_of_the_scores_of_repeated_sources():
    labels, probabilities = case()
    sources = np.arange(40) // 3 % 8
    found = bootstrap.intervals(labels, probabilities, sources, 20, seed=3, level=0.8)
    rows = [np.flatnonzero(sources == source) for source in range(8)]
    resampled = []
    for counts in np.random.default_rng(3).multinomial(8, np.full(8, 1 / 8), 20):
        drawn = np.concatenate([np.tile(rows[i], counts[i]) for i in range(8)])
        resampled.append(metrics.scores(labels[drawn], probabilities[drawn]))
    assert list(found) == list(resampled[0])
    for name, bounds in found.items():
        expected = np.quantile([scores[name] for scores in resampled], [0.1, 0.9])
        np.testing.assert_allclose(bounds, expected, rtol=1e-9, err_msg=name)
        assert all(type(bound) is float for bound in bounds)


def test_more_crops_of_the_same_sources_make_no_interval_narrower():
    labels, probabilities = case()
    sources = np.arange(40)
    alone = bootstrap.intervals(labels, probabilities, sources, 200, seed=0)
    repeated = [np.repeat(array, 9, axis=0) for array in (labels, probabilities, sources)]
    for name, bounds in bootstrap.intervals(*repeated, 200, seed=0).items():
        assert bounds == pytest.approx(alone[name]), name
    # Whereas crops that are taken for sources of their own do, by the square root of 9.
    naive = bootstrap.intervals(*repeated[:2], np.arange(360), 2000, seed=0)
    width, naive_width = (found["accuracy"][1] - found["accuracy"][0] for found in (alone, naive))
    assert naive_width == pytest.approx(width / 3, rel=0.2)


def test_the_interval_of_the_accuracy_is_that_of_a_proportion():
    labels = np.arange(1000) % 2
    fake = np.where(np.arange(1000) % 10 < 7, labels, 1 - labels) * 0.8 + 0.1
    low, high = bootstrap.intervals(labels, two(fake), np.arange(1000), 2000, seed=0)["accuracy"]
    deviation = (0.7 * 0.3 / 1000) ** 0.5
    assert low == pytest.approx(0.7 - 1.96 * deviation, abs=0.2 * deviation)
    assert high == pytest.approx(0.7 + 1.96 * deviation, abs=0.2 * deviation)


def test_nine_of_ten_intervals_of_level_90_hold_the_truth():
    # Sources of 1 to 5 crops of one class; all of a source are right together, in 3 of 4 sources.
    covered = []
    for seed in range(150):
        random = np.random.default_rng(seed)
        crops = random.integers(1, 6, size=100)
        labels = np.arange(100) % 2
        fake = np.where(random.random(100) < 0.75, labels, 1 - labels) * 0.8 + 0.1
        arguments = [np.repeat(each, crops, axis=0) for each in (labels, two(fake), range(100))]
        low, high = bootstrap.intervals(*arguments, 200, seed=0, level=0.9)["accuracy"]
        covered.append(low <= 0.75 <= high)
    # Three standard errors of 150 trials are 0.074; crops taken for sources would give 0.61.
    assert np.mean(covered) == pytest.approx(0.9, abs=0.074)


def test_resamples_of_one_class_are_drawn_again():
    # Of two sources with one class each, every resample with both classes is the whole.
    labels, probabilities = np.array([0, 0, 1]), two(np.array([0.2, 0.7, 0.4]))
    found = bootstrap.intervals(labels, probabilities, ["a", "a", "b"], 30, seed=0)
    for name, score in metrics.scores(labels, probabilities).items():
        assert found[name] == pytest.approx((score, score))


def test_what_is_drawn_does_not_depend_on_the_blocks(monkeypatch):
    labels, probabilities = np.array([0, 0, 0, 1, 1]), two(np.array([0.2, 0.7, 0.1, 0.4, 0.6]))
    at_once = bootstrap.intervals(labels, probabilities, np.arange(5), 100, seed=0)
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 15)
    for name, bounds in bootstrap.intervals(labels, probabilities, range(5), 100, seed=0).items():
        assert bounds == pytest.approx(at_once[name]), name


def test_same_seed_same_intervals_in_any_order_of_the_examples():
    labels, probabilities = case()
    sources = np.array([f"s{number % 13}" for number in range(40)])
    found = bootstrap.intervals(labels, probabilities, sources, 100, seed=0)
    order = np.random.default_rng(0).permutation(40)
    again = bootstrap.intervals(labels[order], probabilities[order], sources[order], 100, seed=0)
    other = bootstrap.intervals(labels, probabilities, sources, 100, seed=1)
    for name, bounds in found.items():
        assert again[name] == pytest.approx(bounds)
        assert other[name] != pytest.approx(bounds)


def test_three_classes_have_intervals_of_what_there_is():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    found = bootstrap.intervals(np.arange(30) % 3, probabilities, np.arange(30), 100, seed=0)
    assert set(found) == {"accuracy", "balanced_accuracy", "log_loss", "calibration_error"}
    assert all(low < high for low, high in found.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": ["a"] * 4}, "2 known sources or more, got 1 and 0 examples without one"),
        ({"sources": ["a", "b", None, "b"]}, "got 2 and 1 examples without one; an interval"),
        ({"sources": ["a", "b"]}, r"source for each of 4 examples, got an array of shape \(2,\)"),
        ({"labels": [1, 1, 1, 1]}, "2 classes or more, got 4 examples of class 1"),
        ({"probabilities": np.ones((4, 2))}, r"sum to 1, got \[1, 1\] in row 0 and 4 such rows"),
        ({"resamples": 0}, "1 resample or more and a level between 0 and 1, got 0 and 0.95; such"),
        ({"level": 1.0}, "1 resample or more and a level between 0 and 1, got 10 and 1.0"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {
        "labels": [0, 0, 1, 1],
        "probabilities": np.full((4, 2), 0.5),
        "sources": ["a", "b", "a", "b"],
        "resamples": 10,
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        bootstrap.intervals(**arguments | change)
