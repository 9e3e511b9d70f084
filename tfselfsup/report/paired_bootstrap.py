"""Compares the answers of two classifiers to the same images, by a bootstrap over sources.

Both classifiers see the same images, so that what makes a source hard for both cancels out of the
difference. What is drawn anew is the source with all its images, as in `vision/bootstrap.py` (the
cluster bootstrap: Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x).

Where there are several seeds, the seeds are drawn anew as well, on their own, and a source that is
in the test parts of several seeds has one weight in all of them: it is no new source for being seen
again, and its chance does not average out over seeds. Seeds and sources are crossed, as the rows
and columns of a table are, and are drawn as such (the pigeonhole bootstrap: Owen 2007,
doi:10.1214/07-AOAS122, which is rather too wide than too narrow).
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
# Resamples that are drawn for each that is asked for, before it is given up.
_TRIES = 100


@dataclass(frozen=True)
class Interval:
    """A difference of a score, averaged over seeds, and its 95% interval.

    Attributes:
        mean: The first classifier's score minus the second's.
        low: Lower end, of other sources and other seeds.
        high: Upper end.
        over_sources: Both ends of the interval of other sources and the same seeds.
    """

    mean: float
    low: float
    high: float
    over_sources: tuple[float, float]


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
        ValueError: If there is no pair, the images of a pair are not the same, they are of one
            source only, or hardly any resample has both classes.
    """
    if not pairs or resamples < 1:
        raise ValueError(
            f"expected answers of 1 seed or more and 1 resample or more, got {len(pairs)} and"
            f" {resamples}; give both classifiers' predictions"
        )
    random = np.random.default_rng(seed)
    compared = [_Pair(*pair) for pair in pairs]
    names = ["accuracy", *(["auc"] if all(pair.has_auc for pair in compared) else [])]
    observed = [pair.differences(np.ones((1, len(pair.sources)))) for pair in compared]
    drawn = _of_other_sources(compared, names, resamples, random)
    chosen = random.integers(len(pairs), size=(resamples, len(pairs)))
    found = {}
    for name in names:
        mean = float(np.mean([of_seed[name] for of_seed in observed]))
        # The mean over the seeds drawn, all of them with the same weights of the sources.
        values = np.take_along_axis(drawn[name], chosen, axis=1).mean(axis=1)
        found[name] = Interval(mean, *_ends(values), _ends(drawn[name].mean(axis=1)))
    return found


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


class _Pair:
    """The answers of two classifiers to the images of one seed.

    Attributes:
        sources: The names of the sources of its images.
        has_auc: Whether both tell probabilities of two classes.
        images: How many there are.
    """

    def __init__(self, one: pd.DataFrame, other: pd.DataFrame) -> None:
        """Puts both in one order; raises ValueError if they are not of the same images."""
        sides = [_in_order(table) for table in (one, other)]
        if not sides[0][IMAGE].equals(sides[1][IMAGE]):
            raise ValueError(
                f"expected answers to the same images, got {len(one)} and {len(other)} answers to"
                " others; compare runs of one data set, split and seed"
            )
        self._source, self.sources = pd.factorize(sides[0]["source"])
        if len(self.sources) < 2:
            raise ValueError(
                f"expected images of 2 sources or more, got {len(self.sources)}; an interval needs"
                " sources to draw from"
            )
        self.images = len(self._source)
        self._labels = sides[0]["label"].to_numpy(int)
        self._gain = np.subtract(
            *((side["predicted"] == side["label"]) for side in sides), dtype=float
        )
        self.has_auc = all("probability" in side for side in sides) and (
            set(self._labels) == {0, 1}
        )
        self._ranked_by = [_ranked_by(side) for side in sides if self.has_auc]

    def differences(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the differences for R weightings of the sources, float [R, sources]."""
        weights = weights[:, self._source]
        found = {"accuracy": weights @ self._gain / weights.sum(axis=1)}
        if self.has_auc:
            one, other = (weighted_metrics.auc(self._labels, by, weights) for by in self._ranked_by)
            found["auc"] = one - other
        return found

    def is_valid(self, weights: np.ndarray) -> np.ndarray:
        """Tells which weightings have examples of all that a score needs, bool [R]."""
        if not self.has_auc:
            return weights.any(axis=1)
        has = np.zeros((len(self.sources), 2))
        has[self._source, self._labels] = 1
        return (weights @ has > 0).all(axis=1)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sorts answers by image; those to the images of one video may be in any order."""
    return table.sort_values(IMAGE, kind="stable", ignore_index=True)


def _of_other_sources(
    pairs: Sequence[_Pair], names: Sequence[str], resamples: int, random: np.random.Generator
) -> dict[str, np.ndarray]:
    """Draws the sources of all seeds anew.

    Args:
        pairs: One for each seed.
        names: Of the scores.
        resamples: How many to draw.
        random: Draws.

    Returns:
        The differences of every seed by the name of the score, float [resamples, seeds].
    """
    union = pd.unique(np.concatenate([pair.sources for pair in pairs]))
    places = [pd.Index(union).get_indexer(pair.sources) for pair in pairs]
    at_once = max(1, _WEIGHTS_AT_ONCE // max(len(union), *(pair.images for pair in pairs)))
    blocks, missing, tries = [], resamples, _TRIES * resamples
    while missing > 0:
        drawn = random.multinomial(
            len(union), np.full(len(union), 1 / len(union)), min(at_once, missing)
        )
        valid = [pair.is_valid(drawn[:, own]) for pair, own in zip(pairs, places, strict=True)]
        weights = drawn[np.all(valid, axis=0)].astype(float)
        missing -= len(weights)
        tries -= len(drawn)
        if missing > tries:
            raise ValueError(
                "expected sources of every class in each test part, got so few that hardly any"
                " resample has one; compare runs on more sources"
            )
        if len(weights):
            blocks.append(
                [pair.differences(weights[:, own]) for pair, own in zip(pairs, places, strict=True)]
            )
    return {
        name: np.concatenate([np.stack([one[name] for one in block], axis=1) for block in blocks])
        for name in names
    }


def _ranked_by(answers: pd.DataFrame) -> np.ndarray:
    """Returns what tells fakes from reals; older files have only the rounded probability."""
    return answers["log_odds" if "log_odds" in answers else "probability"].to_numpy(float)
