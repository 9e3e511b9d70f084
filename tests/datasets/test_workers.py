import os
import signal
from functools import partial

import pytest

from tfselfsup.datasets.workers import Died, each_apart


def prepare():
    return os.getpid()


def square_or_die(pid, item):
    if item == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(139)
    if item == "error":
        raise ValueError("the item is wrong")
    return pid, item * item


def not_started():
    os._exit(3)


def not_prepared():
    raise ValueError("there is no detector")


def test_a_death_costs_its_item_only():
    items = [1, "segfault", 2, "exit", 3]
    outcomes = dict(each_apart(square_or_die, prepare, items, workers=1))
    assert list(outcomes) == items
    assert [outcomes[item][1] for item in (1, 2, 3)] == [1, 4, 9]
    assert outcomes["segfault"] == Died(-signal.SIGSEGV)
    assert outcomes["exit"] == Died(139)
    assert [outcomes[item].cause for item in ("segfault", "exit")] == ["SIGSEGV", "SIGSEGV"]
    # A process serves until it dies.
    assert len({outcomes[item][0] for item in (1, 2, 3)}) == 3


def test_processes_are_shared_out_and_stay():
    outcomes = dict(each_apart(square_or_die, prepare, range(6), workers=2))
    assert {item: outcome[1] for item, outcome in outcomes.items()} == {
        item: item**2 for item in range(6)
    }
    pids = {pid for pid, _ in outcomes.values()}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_an_error_of_the_task_is_raised():
    with pytest.raises(ValueError, match="the item is wrong"):
        list(each_apart(square_or_die, prepare, ["error"], workers=1))


@pytest.mark.parametrize(
    "broken, error, message",
    [(not_started, RuntimeError, "exit code 3"), (not_prepared, ValueError, "no detector")],
)
def test_a_worker_that_does_not_start_ends_the_run(broken, error, message):
    with pytest.raises(error, match=message):
        list(each_apart(square_or_die, broken, [1, 2], workers=1))


def test_processes_end_with_the_iteration():
    outcomes = each_apart(square_or_die, prepare, range(5), workers=1)
    _, (pid, _) = next(outcomes)
    os.kill(pid, 0)
    outcomes.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nothing_to_do_starts_no_process():
    assert list(each_apart(partial(pytest.fail), not_started, [], workers=3)) == []


def test_no_worker_is_an_error():
    with pytest.raises(ValueError, match="at least 1 worker, got 0"):
        list(each_apart(square_or_die, prepare, [1], workers=0))
