import time
from types import SimpleNamespace

import pytest

from tfselfsup.benchmarks.stages import Stages


def test_the_time_of_a_stage_adds_up_until_it_is_reset():
    stages = Stages()
    sleep = stages.timed("sleep", time.sleep)
    sleep(0.02)
    sleep(0.03)
    assert 0.05 <= stages.seconds["sleep"] < 0.5
    stages.reset()
    assert stages.seconds["sleep"] == 0


def test_a_watched_method_does_what_it_did():
    owner = SimpleNamespace(double=lambda number: 2 * number)
    stages = Stages()
    stages.watch(owner, "double", "doubling")
    assert owner.double(4) == 8
    assert stages.seconds["doubling"] > 0


def test_a_call_that_fails_counts_too():
    stages = Stages()
    with pytest.raises(ZeroDivisionError):
        stages.timed("division", lambda: 1 / 0)()
    assert stages.seconds["division"] > 0
