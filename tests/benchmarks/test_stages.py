import time
from types import SimpleNamespace

import pytest

from tfselfsup.benchmarks.stages import Stages


@pytest.fixture
def pass_by(monkeypatch):
    """Lets seconds go by; no other time does."""
    moments = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: moments[-1])
    return lambda seconds: moments.append(moments[-1] + seconds)


def test_the_time_of_a_stage_adds_up_until_it_is_reset(pass_by):
    stages = Stages()
    sleep = stages.timed("sleep", pass_by)
    sleep(2)
    pass_by(10)
    sleep(3)
    assert stages.seconds["sleep"] == 5
    stages.reset()
    assert stages.seconds["sleep"] == 0


def test_a_watched_method_does_what_it_did(pass_by):
    def double(number):
        pass_by(number)
        return 2 * number

    owner = SimpleNamespace(double=double)
    stages = Stages()
    stages.watch(owner, "double", "doubling")
    assert owner.double(4) == 8
    assert stages.seconds["doubling"] == 4


def test_a_call_that_fails_counts_too(pass_by):
    def divide():
        pass_by(2)
        return 1 / 0

    stages = Stages()
    with pytest.raises(ZeroDivisionError):
        stages.timed("division", divide)()
    assert stages.seconds["division"] == 2
