"""Intervals of a classifier's scores by a bootstrap over sources.

Crops of one person, and a video and the fakes made from it, are alike: they are not as many
independent observations as there are images. What is drawn anew is therefore the source with all
its examples (the cluster bootstrap: Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tfselfsup.vision import metrics, weighted_metrics

# Weights that are in memory at once: 16 MB, and a few times that on the way.
_WEIGHTS_AT_ONCE = 2_000_000


def intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    sources: np.ndarray,
    resamples: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Estimates between which bounds each score would lie for other sources of the same kind.

    In a resample, as many sources are drawn as there are, with replacement; a source drawn twice
    counts twice, with all its examples. A resample of one class only has no AUC and is drawn
    again. The bounds are percentiles of the scores of the resamples. They are not centred on the
    score: the calibration error in particular is larger in a resample, as duplicates make its bins
    noisier, and its interval may lie above it.

    Args:
        labels: The true class of each of N examples, int [N] in [0, K).
        probabilities: float [N, K], rows sum to 1.
        sources: What each example is from, [N], of any type that can be compared.
        resamples: How many to draw, at least 1; 1,000 give bounds to about a twentieth of the
            interval.
        seed: Seeds the drawing.
        level: Share of the resamples between the bounds, in (0, 1).

    Returns:
        (low, high) by name, of every score in `metrics.scores` but `classes`.

    Raises:
        ValueError: If the arguments are not as described, all examples are of one class or all of
            one source.
    """
    labels, probabilities = metrics.check_probabilities(labels, probabilities)
    metrics.check_classes(labels)
    source_of_example = _numbered(sources, len(labels))
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(
            f"expected 1 resample or more and a level between 0 and 1, got {resamples} and {level}"
            "; such as 1000 and 0.95"
        )
    found = defaultdict(list)
    for weights in _resampled(labels, source_of_example, resamples, np.random.default_rng(seed)):
        for name, values in weighted_metrics.scores(labels, probabilities, weights).items():
            found[name].append(values)
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = {
        name: np.quantile(np.concatenate(values), tails).tolist() for name, values in found.items()
    }
    return {name: (low, high) for name, (low, high) in bounds.items()}


def _resampled(labels, source_of_example, resamples, random) -> Iterator[np.ndarray]:
    """Draws weights of the examples, float64 [r, N], in blocks that together have all resamples."""
    counts_of_class = _counts_of_class(labels, source_of_example)
    count = len(counts_of_class)
    at_once = max(1, _WEIGHTS_AT_ONCE // len(labels))
    while resamples > 0:
        drawn = random.multinomial(count, np.full(count, 1 / count), min(at_once, resamples))
        # Two classes are in about 4 of 10 resamples at the very least.
        valid = ((drawn @ counts_of_class) > 0).sum(axis=1) >= 2
        resamples -= valid.sum()
        if valid.any():
            yield drawn[valid].astype(np.float64)[:, source_of_example]


def _counts_of_class(labels, source_of_example):
    """Counts the examples of every class in every source, int64 [sources, K]."""
    counts = np.zeros((source_of_example.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (source_of_example, labels), 1)
    return counts


def _numbered(sources, count):
    sources = np.asarray(sources)
    if sources.shape != (count,):
        raise ValueError(
            f"expected a source for each of {count} examples, got an array of shape "
            f"{sources.shape}; give those of the same examples"
        )
    # Sorted, so that the bounds do not depend on the order of the examples.
    numbers, names = pd.factorize(sources, sort=True)
    if len(names) < 2 or numbers.min() < 0:
        unknown = (numbers < 0).sum()
        raise ValueError(
            f"expected examples of 2 known sources or more, got {len(names)} and {unknown} "
            "examples without one; an interval needs sources to draw from"
        )
    return numbers
