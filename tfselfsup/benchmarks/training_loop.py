"""Speed of the whole training loop: act, step, store, sample, learn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from tfselfsup.benchmarks.stages import Stages
from tfselfsup.rl.training import Event, Stepped

# Sampling is done in a thread of its own while the network learns.
STAGES = ("act", "step", "store", "learn", "sample")


class Interval(NamedTuple):
    """What was measured over some agent steps.

    Attributes:
        steps_per_second: Agent steps per second.
        shares: Of each stage in the time that went by, in [0, 1].
    """

    steps_per_second: float
    shares: dict[str, float]


class TrainingLoop:
    """A training loop that goes on for one interval at a time."""

    def __init__(self, events: Iterator[Event], stages: Stages):
        """Takes its collaborators.

        Args:
            events: The training loop.
            stages: Watches its parts.
        """
        self._events = events
        self._stages = stages

    def run(self, agent_steps: int) -> Interval:
        """Trains for at least so many agent steps, and measures them."""
        self._stages.reset()
        started = time.perf_counter()
        taken = 0
        for event in self._events:
            if isinstance(event, Stepped):
                taken += event.progress.agent_steps - event.steps_before
                if taken >= agent_steps:
                    break
        elapsed = time.perf_counter() - started
        shares = {stage: self._stages.seconds[stage] / elapsed for stage in STAGES}
        return Interval(taken / elapsed, shares)
