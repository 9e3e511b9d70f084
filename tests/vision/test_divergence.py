import numpy as np
import pandas as pd
import pytest

from tfselfsup.datasets.splits import PARTS
from tfselfsup.vision import divergence
from tfselfsup.vision.linear_probes import Adam, Diverged, Lbfgs

LABELS = np.arange(300) % 2
# The fake probes read the answers from the features.
ANSWERS = np.eye(2, dtype=np.float32)[LABELS]


def thirds(seed):
    return np.random.default_rng(seed).permutation(np.repeat(PARTS, 100))


class Fake:
    """A probe whose logits are a function of the features."""

    def __init__(self, logits):
        self.logits = logits

    def fit(self, training, validation, seed):
        return self


class Broken:
    def fit(self, training, validation, seed):
        raise Diverged("not finite")


def outcome(probe, features=ANSWERS, labels=LABELS, parts=thirds):
    runs = divergence.experiment(features, labels, parts, {"fake": probe}, [0], [1.0])
    assert len(runs) == 1
    return runs.iloc[0]


def test_a_probe_that_is_right():
    run = outcome(Fake(lambda features: features * np.log(3)))
    assert (run["accuracy"], run["diverged"], run["at_chance"]) == (1, False, False)
    assert run["log_loss"] == pytest.approx(np.log(4 / 3))


def test_a_probe_that_always_says_the_same_is_at_chance():
    run = outcome(Fake(lambda features: np.zeros_like(features) + [0, 1e-9]))
    assert (run["diverged"], run["at_chance"]) == (False, True)
    run = outcome(Fake(lambda features: np.zeros_like(features) + [0, 100]))
    assert (run["diverged"], run["at_chance"]) == (True, True)


def test_a_probe_that_is_wrong_is_at_chance_too():
    assert outcome(Fake(lambda features: -1e-9 * features))["at_chance"]


def fixed_parts(seed):
    return np.repeat(PARTS, 100)


@pytest.mark.parametrize("right", [59, 60, 61])
def test_chance_is_told_by_the_interval_of_wilson(right):
    # (p + z^2/2n - z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), with n = 100 and z = 1.96
    share, z2 = right / 100, 1.959964**2
    root = (z2 * (share * (1 - share) / 100 + z2 / 40_000)) ** 0.5
    low = (share + z2 / 200 - root) / (1 + z2 / 100)
    features = ANSWERS.copy()
    features[200 : 200 + 100 - right] *= -1
    run = outcome(Fake(lambda features: 0.1 * features), features, parts=fixed_parts)
    assert run["accuracy"] == share
    assert run["at_chance"] == (low <= 0.5)


def test_the_larger_class_is_chance():
    labels = np.tile([0, 1, 1, 1, 1], 60)
    answers = np.eye(2, dtype=np.float32)[labels]
    run = outcome(Fake(lambda features: features[:, :1] * [0, 0] + [0, 1]), answers, labels)
    assert run["accuracy"] > 0.7 and run["at_chance"]


def test_weights_that_are_not_finite():
    run = outcome(Broken())
    assert run["diverged"] and not run["at_chance"]
    assert np.isnan(run["accuracy"]) and np.isnan(run["log_loss"])


@pytest.mark.parametrize(("odds", "diverged"), [(2.9, False), (3.1, True), (1e9, True)])
def test_a_fit_that_is_twice_as_bad_as_a_guess_has_diverged(odds, diverged):
    # The right class has a share of 1 / (1 + odds) in training, and two guesses one of 1/2 * 1/2.
    is_training = (fixed_parts(0) == "train")[:, np.newaxis]
    features = np.hstack([ANSWERS, is_training]).astype(np.float32)

    def wrong_in_training(features):
        return np.log(odds) * features[:, :2] * (1 - 2 * features[:, 2:])

    run = outcome(Fake(wrong_in_training), features, parts=fixed_parts)
    assert (run["diverged"], run["at_chance"], run["accuracy"]) == (diverged, False, 1)
    run = outcome(Fake(lambda features: -wrong_in_training(features)), features, parts=fixed_parts)
    assert (run["diverged"], run["at_chance"], run["accuracy"]) == (False, True, 0)


def test_every_probe_meets_every_scale_and_every_seed_with_the_same_examples():
    met = []

    class Spy(Fake):
        def fit(self, training, validation, seed):
            met.append((seed, *(part.features.sum() for part in (training, validation))))
            np.testing.assert_array_equal(training.labels, LABELS[thirds(seed) == "train"])
            np.testing.assert_array_equal(validation.labels, LABELS[thirds(seed) == "validation"])
            return self

    probes = {name: Spy(lambda features: features) for name in ("one", "other")}
    runs = divergence.experiment(ANSWERS, LABELS, thirds, probes, [5, 3], [0.5, 2])
    rows = list(runs[["seed", "scale", "probe"]].itertuples(index=False, name=None))
    expected = [(s, k, p) for s in (5, 3) for k in (0.5, 2) for p in ("one", "other")]
    assert rows == expected
    assert met == [(seed, 100 * scale, 100 * scale) for seed, scale, _ in expected]


def encoded(count=400, width=512):
    """Makes features as an encoder's: mixed, rectified, of mean 0.6; told apart at 0.8 or so."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    hidden = random.normal(size=(count, 32))
    hidden[:, 0] += 2 * labels - 1
    mixed = hidden @ random.normal(size=(32, width)) / 32**0.5
    features = np.maximum(mixed + 0.5 * random.normal(size=(count, width)) + 0.3, 0)
    return features.astype(np.float32), labels


def test_where_the_study_s_probe_fails_ours_does_not():
    def parts(seed):
        order = np.repeat(PARTS, [200, 60, 140])
        return np.random.default_rng(seed).permutation(order)

    probes = {"lbfgs": Lbfgs(), "adam": Adam(epochs=3)}
    runs = divergence.experiment(*encoded(), parts, probes, [0])
    ours, theirs = (runs[runs["probe"] == name].set_index(["scale", "seed"]) for name in probes)
    assert not (ours["diverged"] | ours["at_chance"]).any()
    for scale in (1e-3, 1e3):  # the same answers whatever the scale
        np.testing.assert_allclose(ours.loc[scale]["log_loss"], ours.loc[1]["log_loss"], rtol=1e-3)
    assert theirs.loc[1e3]["diverged"].all()
    assert (theirs.loc[1e3]["log_loss"] > 5).all()
    # Hardly away from a guess.
    np.testing.assert_allclose(theirs.loc[1e-3]["log_loss"], np.log(2), atol=0.005)


def test_failures_are_counted():
    columns = ["probe", "scale", "seed", "diverged", "at_chance", "accuracy"]
    rows = [
        ("b", 1.0, 0, True, True, 0.5),
        ("b", 1.0, 1, True, False, 0.7),
        ("b", 1.0, 2, False, False, 0.9),
        ("a", 10.0, 0, False, True, 0.5),
        ("a", 10.0, 1, True, False, np.nan),
    ]
    counted = divergence.summary(pd.DataFrame(rows, columns=columns))
    expected = pd.DataFrame(
        [("b", 1.0, 3, 2, 1, 2, 0.7, 0.5, 0.9), ("a", 10.0, 2, 1, 1, 2, 0.5, 0.5, 0.5)],
        columns=[
            *("probe", "scale", "runs", "diverged", "at_chance", "failed"),
            *("accuracy", "lowest", "highest"),
        ],
    )
    pd.testing.assert_frame_equal(counted, expected)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train"] * 299, r"a part for each of 300 .*, got \(299,\) with \['train'\] for seed 4"),
        (["train", "test", ""] * 100, r"got \(300,\) with \['', 'test', 'train'\].*give every"),
    ],
)
def test_wrong_parts(parts, message):
    probes = {"fake": Fake(lambda features: features)}
    with pytest.raises(ValueError, match=message):
        divergence.experiment(ANSWERS, LABELS, lambda seed: np.array(parts), probes, [4])
