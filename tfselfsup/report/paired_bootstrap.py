"""Compares the answers of two classifiers to the same images, by a bootstrap over sources.

Both classifiers see the same images, so that what makes a source hard for both cancels out of the
difference. What is drawn anew is the source with all its images, as in `vision/bootstrap.py` (the
cluster bootstrap: Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x). Where there are
several seeds, each with a split and a training of its own, the seeds are drawn anew as well, and
within each its sources (the hierarchical bootstrap: Saravanan et al. 2020, arXiv:2007.07797).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfselfsup.vision import weighted_metrics

RESAMPLES = 1000
LEVEL = 0.95
# What names an image of a table of answers; several images of a video share it.
IMAGE = ["source", "video", "label"]
# Weights that are in memory at once: 16 MB, and a few times that on the way.
_WEIGHTS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A difference of a score, averaged over seeds, and its 95% interval.

    Attributes:
        mean: The first classifier's score minus the second's.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float


def differences(
    pairs: Sequence[tuple[pd.DataFrame, pd.DataFrame]],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Compares two classifiers.

    Args:
        pairs: For each seed the answers of both classifiers to the same images, in any order: rows
            with the columns `source`, `video`, `label`, `predicted` and, of two classes,
            `probability` of the second.
        resamples: How many to draw, at least 1.
        seed: Seeds the drawing.

    Returns:
        The difference of `accuracy` and, where both tell probabilities, of `auc`.

    Raises:
        ValueError: If there is no pair, the images of a pair are not the same, or they are of one
            source only.
    """
    if not pairs or resamples < 1:
        raise ValueError(
            f"expected answers of 1 seed or more and 1 resample or more, got {len(pairs)} and"
            f" {resamples}; give both classifiers' predictions"
        )
    random = np.random.default_rng(seed)
    compared = [_Pair(*pair) for pair in pairs]
    names = ["accuracy", *(["auc"] if all(pair.has_auc for pair in compared) else [])]
    observed = [pair.differences(np.ones((1, pair.sources))) for pair in compared]
    drawn = [_of_other_sources(pair, resamples, random) for pair in compared]
    found = {}
    for name in names:
        mean = float(np.mean([of_seed[name] for of_seed in observed]))
        values = _of_other_seeds(np.stack([of_seed[name] for of_seed in drawn]), random)
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        found[name] = Interval(mean, float(low), float(high))
    return found


class _Pair:
    """The answers of two classifiers to the images of one seed."""

    def __init__(self, one: pd.DataFrame, other: pd.DataFrame) -> None:
        """Puts both in one order; raises ValueError if they are not of the same images."""
        sides = [_in_order(table) for table in (one, other)]
        if not sides[0][IMAGE].equals(sides[1][IMAGE]):
            raise ValueError(
                f"expected answers to the same images, got {len(one)} and {len(other)} answers to"
                " others; compare runs of one data set, split and seed"
            )
        self._source, names = pd.factorize(sides[0]["source"])
        self.sources = len(names)
        if self.sources < 2:
            raise ValueError(
                f"expected images of 2 sources or more, got {self.sources}; an interval needs"
                " sources to draw from"
            )
        self._labels = sides[0]["label"].to_numpy(int)
        self._gain = np.subtract(
            *((side["predicted"] == side["label"]) for side in sides), dtype=float
        )
        self.has_auc = all("probability" in side for side in sides) and len(set(self._labels)) == 2
        self._fake = [side["probability"].to_numpy(float) for side in sides if self.has_auc]

    def differences(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the differences for R weightings of the sources, float [R, sources]."""
        weights = weights[:, self._source]
        found = {"accuracy": weights @ self._gain / weights.sum(axis=1)}
        if self.has_auc:
            one, other = (weighted_metrics.auc(self._labels, fake, weights) for fake in self._fake)
            found["auc"] = one - other
        return found

    def is_valid(self, weights: np.ndarray) -> np.ndarray:
        """Tells which weightings have examples of two classes, bool [R]; others have no AUC."""
        if not self.has_auc:
            return np.ones(len(weights), bool)
        has = np.zeros((self.sources, 2))
        has[self._source, self._labels] = 1
        return (weights @ has > 0).all(axis=1)

    @property
    def at_once(self) -> int:
        """How many weightings fit into memory."""
        return max(1, _WEIGHTS_AT_ONCE // len(self._labels))


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sorts answers by image; those to the images of one video may be in any order."""
    return table.sort_values(IMAGE, kind="stable", ignore_index=True)


def _of_other_sources(
    pair: _Pair, resamples: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draws the sources of one seed anew; the differences, float [resamples] by name."""
    blocks = []
    while resamples > 0:
        share = np.full(pair.sources, 1 / pair.sources)
        weights = random.multinomial(pair.sources, share, min(pair.at_once, resamples))
        weights = weights[pair.is_valid(weights)]
        resamples -= len(weights)
        if len(weights):
            blocks.append(pair.differences(weights.astype(float)))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _of_other_seeds(drawn: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draws the seeds anew, and for each a resample of its sources.

    Args:
        drawn: Differences for other sources, float [seeds, resamples].
        random: Draws.

    Returns:
        The means over seeds, float [resamples].
    """
    seeds, resamples = drawn.shape
    if seeds == 1:
        return drawn[0]
    chosen = random.integers(seeds, size=(resamples, seeds))
    return drawn[chosen, random.integers(resamples, size=chosen.shape)].mean(axis=1)
