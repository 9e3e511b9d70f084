from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programs.fake_workers import PROGRAMS, FakeWorkers
from tfselfsup.programs.planned_runs import Planned
from tfselfsup.programs.program_processes import Calls
from tfselfsup.programs.reproduction_schedule import Ended, Started, carry_out


@dataclass(frozen=True)
class Made(Planned):
    """Is done once its file is there; the program that makes it is `make`."""

    folder: Path
    needs: tuple[Path, ...] = ()

    def commands(self, threads):
        return [("make", str(self.folder))]

    def is_done(self):
        if (self.folder / "damaged").exists():
            raise ValueError(f"expected a file, got {self.folder / 'damaged'}")
        return (self.folder / "made").exists()

    def described(self):
        return "a file"


def make(folder):
    Path(folder).mkdir()
    Path(folder, "made").touch()


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """Makes plans out of names, each with the names it needs."""
    monkeypatch.setitem(PROGRAMS, "make", make)
    return lambda **needs: [
        Made(tmp_path / name, tuple(tmp_path / other for other in others))
        for name, others in needs.items()
    ]


def calls(one):
    return Calls(tuple(one.commands(None)), Path("log"), Path())


def carried_out(planned, workers):
    """Carries out a plan; returns what began and what ended, by name."""
    events = list(carry_out(planned, workers, calls))
    started = [event.one.name for event in events if isinstance(event, Started)]
    return started, {event.one.name: event for event in events if isinstance(event, Ended)}


def test_everything_is_made_in_the_order_of_the_plan(plan):
    planned = plan(a=(), b=("a",), c=())
    started, ended = carried_out(planned, FakeWorkers())
    assert started == list(ended) == ["a", "b", "c"]
    assert all(event.failure is None for event in ended.values())
    assert all(one.is_done() for one in planned)


def test_what_is_done_is_not_made_again(plan):
    planned = plan(a=(), b=("a",))
    make(planned[0].folder)
    assert carried_out(planned, FakeWorkers())[0] == ["b"]
    assert carried_out(planned, FakeWorkers()) == ([], {})


def test_as_many_run_at_once_as_there_are_slots(plan):
    workers = FakeWorkers(slots=2)
    carried_out(plan(a=(), b=(), c=(), d=()), workers)
    assert workers.at_once == [("a",), ("a", "b"), ("b", "c"), ("c", "d")]


def test_nothing_begins_before_what_it_needs_has_ended(plan):
    workers = FakeWorkers(slots=3)
    carried_out(plan(a=(), b=("a",), c=("b", "a"), d=()), workers)
    # d needs nothing, and does not wait for its turn.
    assert [Path(folder).name for _, folder in workers.commands] == ["a", "d", "b", "c"]
    assert workers.at_once == [("a",), ("a", "d"), ("d", "b"), ("c",)]


def test_what_needs_something_that_failed_is_skipped_and_the_rest_made(plan):
    workers = FakeWorkers()
    workers.statuses["make", "a"] = 1
    planned = plan(a=(), b=("a",), c=("b",), d=())
    started, ended = carried_out(planned, workers)
    assert started == ["a", "d"]
    assert ended["a"].failure == "make: error: no luck" and not ended["a"].is_skipped
    assert ended["b"].is_skipped and str(planned[0].folder) in ended["b"].failure
    assert ended["c"].is_skipped and str(planned[1].folder) in ended["c"].failure
    assert ended["d"].failure is None


def test_past_a_run_that_is_damaged_the_rest_is_made(plan):
    planned = plan(a=(), b=("a",), c=())
    planned[0].folder.mkdir()
    (planned[0].folder / "damaged").touch()
    assert [one.status().state for one in planned] == ["broken", "to do", "to do"]
    started, ended = carried_out(planned, FakeWorkers())
    assert started == ["c"]
    assert "damaged" in ended["a"].failure and not ended["a"].is_skipped
    assert ended["b"].is_skipped and ended["c"].failure is None


def test_a_run_that_ends_with_a_damaged_file_has_failed(plan, monkeypatch):
    def damage(folder):
        Path(folder).mkdir()
        Path(folder, "damaged").touch()

    monkeypatch.setitem(PROGRAMS, "make", damage)
    _, ended = carried_out(plan(a=()), FakeWorkers())
    assert "damaged" in ended["a"].failure


def test_a_run_that_ends_well_without_its_score_has_failed(plan, monkeypatch):
    monkeypatch.setitem(PROGRAMS, "make", lambda folder: None)
    _, ended = carried_out(plan(a=()), FakeWorkers())
    assert "without its final score" in ended["a"].failure


@pytest.mark.parametrize("slots", [1, 2])
def test_ctrl_c_in_a_program_ends_it_all(plan, slots):
    workers = FakeWorkers(slots)
    workers.statuses["make", "a"] = 130
    planned = plan(a=(), b=(), c=())
    with pytest.raises(KeyboardInterrupt):
        carried_out(planned, workers)
    assert not any(one.is_done() for one in planned)
