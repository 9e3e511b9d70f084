import time

import pytest

from tfselfsup.benchmarks.stages import STAGES, Stages
from tfselfsup.benchmarks.training_loop import TrainingLoop
from tfselfsup.rl.training import Progress, Stepped, Updated


class Clock:
    """In the place of the clock: it goes on only when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += seconds


def events(num_envs, learn, clock):
    progress = Progress()
    while True:
        before = progress.agent_steps
        progress.agent_steps += num_envs
        learn(0.5)
        yield Updated({})
        clock.pass_by(1.5)
        yield Stepped(progress, before, finished=False)


def test_an_interval_has_at_least_the_steps_asked_for_and_the_next_goes_on(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    stages = Stages()
    stream = events(8, stages.timed("learn", clock.pass_by), clock)
    loop = TrainingLoop(stream, stages)
    interval = loop.run(20)
    # 24 steps, in three turns of two seconds, of which half a second is learning.
    assert interval.steps_per_second == pytest.approx(4)
    assert interval.shares == pytest.approx(dict.fromkeys(STAGES, 0) | {"learn": 0.25})
    assert loop.run(8).shares["learn"] == pytest.approx(0.25)
    assert next(event for event in stream if isinstance(event, Stepped)).steps_before == 32
