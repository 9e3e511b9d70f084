"""The stratified bootstrap over runs of rliable, repeatable.

Agarwal et al. (2021), arXiv:2108.13264: the runs of every game are drawn anew, with replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

# On each side, for an interval. A bootstrap of fewer is far too narrow: where all runs of one agent
# beat all of another, as among three they often do by chance, it has no width at all.
ENOUGH_RUNS = 5


def interval(
    scores: np.ndarray | tuple[np.ndarray, ...], aggregate: Callable, resamples: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Aggregates scores, and estimates the 95% interval of the aggregate.

    Args:
        scores: float [runs, games, ...] of an agent, or a tuple of such of several.
        aggregate: Makes one or several figures of each array in `scores`.
        resamples: How many to draw.

    Returns:
        The figures and the lower and the upper ends of their intervals, of one shape.
    """
    from rliable import library  # takes seconds, and most reports are of single seeds

    with _seeded():
        figures, intervals = library.get_interval_estimates(
            {"agent": scores}, aggregate, reps=resamples
        )
    low, high = intervals["agent"]
    return np.atleast_1d(figures["agent"]), low, high


@contextmanager
def _seeded() -> Iterator[None]:
    """Seeds NumPy's global random numbers, as rliable 1.2 draws from nothing else."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
