"""Speed of the whole training loop: act, step, store, sample, learn."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tfselfsup.benchmarks.stages import STAGES, Interval, Stages
from tfselfsup.rl.training import Event, Stepped


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
