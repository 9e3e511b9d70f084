import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from tqdm import tqdm

from tfselfsup.programs import reproduction_progress
from tfselfsup.programs.planned_runs import Planned
from tfselfsup.programs.reproduction_progress import Progress
from tfselfsup.programs.reproduction_schedule import Ended, Started, Waited


@dataclass(frozen=True)
class Nothing(Planned):
    folder: Path
    needs: tuple[Path, ...] = ()

    def commands(self, threads):
        return []

    def is_done(self):
        return False

    def described(self):
        return "nothing"


A, B, C = (Nothing(Path("out", name)) for name in "abc")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [0.0]
    monkeypatch.setattr(reproduction_progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def bars(monkeypatch):
    """The bars that are opened, as on a terminal."""
    opened = []

    def open_bar(**settings):
        opened.append(tqdm(**settings | {"disable": False, "file": io.StringIO()}))
        return opened[-1]

    open_bar.write = tqdm.write
    monkeypatch.setattr(reproduction_progress, "tqdm", open_bar)
    yield opened
    for bar in opened:
        bar.close()


def test_each_run_has_a_line_when_it_begins_and_when_it_ends(capsys):
    progress = Progress({one.folder: 60.0 for one in (A, B, C)}, Path("out/logs"))
    for event in (
        Started(A),
        Waited(),
        Ended(A, seconds=90.0),
        Started(B),
        Ended(B, "no luck", seconds=1.0),
        Ended(C, "it needs out/b", is_skipped=True),
    ):
        progress(event)
    progress.close()
    assert capsys.readouterr().out.splitlines() == [
        "a: begun, out/logs/a.log",
        "a: done in 1.5 min",
        "b: begun, out/logs/b.log",
        "b: failed: no luck",
        "c: skipped: it needs out/b",
    ]
    assert [(ended.one, ended.is_skipped) for ended in progress.failures] == [(B, False), (C, True)]


def test_the_bar_goes_by_the_time_that_was_estimated(clock, bars, capsys):
    progress = Progress({A.folder: 30.0, B.folder: 90.0, C.folder: None}, Path("logs"))
    (bar,) = bars
    # What is not known counts as the mean of the others.
    assert bar.total == 30 + 90 + 60
    progress(Started(A))
    progress(Started(B))
    clock[0] = 20.0
    progress(Waited())
    assert bar.n == 20 + 20
    clock[0] = 50.0
    progress(Waited())
    assert bar.n == 30 + 50  # a run that takes longer than was thought stays where it should end
    progress(Ended(B, seconds=50.0))
    progress(Waited())
    assert bar.n == 30 + 90
    progress(Ended(A, "no luck"))
    progress(Ended(C, "it needs out/a", is_skipped=True))
    progress(Waited())
    assert bar.n == bar.total


def test_where_nothing_is_known_all_runs_count_alike(bars):
    Progress({A.folder: None, B.folder: None}, Path("logs"))
    assert bars[0].total == 2
