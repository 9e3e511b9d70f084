"""How often a probe fails to learn, over seeds and scales of the features.

Why the original study's probe was erratic: Adam moves every weight by about its learning rate a
step, however small or large the gradient is (Kingma and Ba, 2015, arXiv:1412.6980, section 2.1).
Features that come out of a rectifier and a mean are not negative, so that the moves of all weights
add up. One step moves a logit by up to

    learning rate * sum of the features = 1e-4 * d * their mean,

which is 0.08 for d = 2048 features of mean 0.4, and nearly the same for every example. Where the
features are 1,000 times larger, a step throws the logits of all examples by 80 to one side: the
answers jump together, and the last jump decides. Where they are 1,000 times smaller, a step is
0.00008, and ten epochs hardly move the loss from that of a guess. In between lies a scale at which
it works, but the scale is the encoder's, and the step is fixed. Standardised features have one
scale and cancel out over the examples, and a solver that runs to convergence has no step to be set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from tfselfsup.datasets.splits import PARTS
from tfselfsup.vision.labelled_features import LabelledFeatures, log_loss
from tfselfsup.vision.linear_probes import Diverged
from tfselfsup.vision.probe import Probe


def experiment(
    features: np.ndarray,
    labels: np.ndarray,
    parts: Callable[[int], np.ndarray],
    probes: Mapping[str, Probe],
    seeds: Iterable[int] = range(20),
    scales: Sequence[float] = (1e-3, 1.0, 1e3),
) -> pd.DataFrame:
    """Fits every probe to every scale of the features with every seed.

    A seed draws the split as well as the probe's first weights, so that probes without anything
    random in them are put to the test too.

    Args:
        features: float32 [N, d].
        labels: int [N].
        parts: From a seed to the part of each example, str [N] of "train", "validation", "test",
            or "" for those left out.
        probes: The probes, by the names that the table is to have.
        seeds: The seeds.
        scales: Factors of the features.

    Returns:
        A row for each fit:
        `probe`, `scale`, `seed`;
        `diverged`: the weights are not finite, or the log loss of the training part, which weights
        of 0 would bring to log K for K classes, is more than twice that;
        `at_chance`: the 95% interval of the accuracy (Wilson, 1927) does not lie above the share
        of the test part's largest class, which is 0.5 for two balanced classes;
        `accuracy` and `log_loss` (nats) of the test part, NaN where the weights are not finite.

    Raises:
        ValueError: If a part is missing, or as the probes say.
    """
    rows = []
    for seed in seeds:
        masks = _masks(parts(seed), len(labels), seed)
        for scale in scales:
            scaled = (features * np.float32(scale)).astype(np.float32)
            examples = [LabelledFeatures(scaled[mask], labels[mask]) for mask in masks]
            for name, probe in probes.items():
                outcome = _outcome(probe, *examples, seed)
                rows.append({"probe": name, "scale": scale, "seed": seed, **outcome})
    return pd.DataFrame(rows)


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Counts the failures of each probe at each scale.

    Args:
        runs: What `experiment` returned.

    Returns:
        A row for each probe and scale, in the order of `runs`: `runs`, `diverged`, `at_chance`,
        `failed` (either), and of the accuracies the mean, `accuracy`, the `lowest` and the
        `highest`, NaN where no weights are finite.
    """
    runs = runs.assign(failed=runs["diverged"] | runs["at_chance"])
    return (
        runs.groupby(["probe", "scale"], sort=False)
        .agg(
            runs=("seed", "size"),
            diverged=("diverged", "sum"),
            at_chance=("at_chance", "sum"),
            failed=("failed", "sum"),
            accuracy=("accuracy", "mean"),
            lowest=("accuracy", "min"),
            highest=("accuracy", "max"),
        )
        .reset_index()
    )


def _masks(parts: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    parts = np.asarray(parts)
    masks = [parts == part for part in PARTS]
    if parts.shape != (count,) or not all(mask.any() for mask in masks):
        raise ValueError(
            f"expected a part for each of {count} examples, and examples in each of "
            f"{', '.join(PARTS)}, got {parts.shape} with {sorted(set(parts.tolist()))} for seed "
            f"{seed}; give every part a share"
        )
    return masks


def _outcome(
    probe: Probe,
    training: LabelledFeatures,
    validation: LabelledFeatures,
    test: LabelledFeatures,
    seed: int,
) -> dict[str, bool | float]:
    try:
        fitted = probe.fit(training, validation, seed)
    except Diverged:
        return {"diverged": True, "at_chance": False, "accuracy": np.nan, "log_loss": np.nan}
    logits = fitted.logits(test.features)
    loss = log_loss(fitted.logits(training.features), training.labels)
    right = int((logits.argmax(axis=1) == test.labels).sum())
    interval = binomtest(right, len(test.labels)).proportion_ci(0.95, "wilson")
    largest_class = np.bincount(test.labels).max() / len(test.labels)
    return {
        "diverged": bool(loss > 2 * np.log(logits.shape[1])),
        "at_chance": bool(interval.low <= largest_class),
        "accuracy": right / len(test.labels),
        "log_loss": log_loss(logits, test.labels),
    }
