import time

from tfselfsup.benchmarks.stages import STAGES, Stages
from tfselfsup.benchmarks.training_loop import TrainingLoop
from tfselfsup.rl.training import Progress, Stepped, Updated


def events(num_envs, learn):
    progress = Progress()
    while True:
        before = progress.agent_steps
        progress.agent_steps += num_envs
        learn(0.002)
        yield Updated({})
        yield Stepped(progress, before, finished=False)


def test_an_interval_has_at_least_the_steps_asked_for_and_the_next_goes_on():
    stages = Stages()
    stream = events(8, stages.timed("learn", time.sleep))
    loop = TrainingLoop(stream, stages)
    interval = loop.run(20)
    # 24 steps, in three turns of 2 ms and a little more.
    assert 24 / 0.5 < interval.steps_per_second <= 24 / 0.006
    assert set(interval.shares) == set(STAGES)
    assert 0.3 < interval.shares["learn"] <= 1
    assert interval.shares["act"] == 0
    loop.run(8)
    assert next(event for event in stream if isinstance(event, Stepped)).steps_before == 32
