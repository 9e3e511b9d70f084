"""How the time of a training loop divides among its stages."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

# They overlap: the network learns in a thread of its own.
STAGES = ("act", "step", "store", "learn", "sample")


class Interval(NamedTuple):
    """What was measured over some agent steps.

    Attributes:
        steps_per_second: Agent steps per second.
        shares: Of each stage in the time that went by, in [0, 1].
    """

    steps_per_second: float
    shares: dict[str, float]


class Stages:
    """Sums up the time that is spent in each stage.

    Attributes:
        seconds: By stage, since the last `reset`.
    """

    def __init__(self):
        """Begins with nothing."""
        self.seconds: dict[str, float] = defaultdict(float)

    def reset(self) -> None:
        """Begins anew."""
        self.seconds.clear()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wraps a function so that its time counts for a stage."""

        def call(*args, **kwargs):
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage] += time.perf_counter() - started

        return call

    def watch(self, owner: Any, method: str, stage: str) -> None:
        """Times a method of one object."""
        setattr(owner, method, self.timed(stage, getattr(owner, method)))
