"""Carries out a plan: several runs at once, each after what it needs, past those that fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tfselfsup.programs.interruption import INTERRUPTED
from tfselfsup.programs.planned_runs import Planned
from tfselfsup.programs.program_processes import Calls, Outcome, Workers

_PAUSE = 1.0  # seconds between two signs of life


class Started(NamedTuple):
    """A run began."""

    one: Planned


class Waited(NamedTuple):
    """A moment went by, whether or not a run began or ended in it."""


class Ended(NamedTuple):
    """A run ended, or was skipped.

    Attributes:
        one: The run.
        failure: Why it is not done; None if it is.
        is_skipped: Whether it was not begun, as something failed that it needs.
        seconds: How long it took.
    """

    one: Planned
    failure: str | None = None
    is_skipped: bool = False
    seconds: float = 0.0


Event = Started | Waited | Ended


def carry_out(
    planned: Sequence[Planned], workers: Workers, calls: Callable[[Planned], Calls]
) -> Iterator[Event]:
    """Makes what is not there yet.

    Args:
        planned: Each after what it needs.
        workers: Run the programs.
        calls: Returns the programs that make something.

    Yields:
        What happens.

    Raises:
        KeyboardInterrupt: At Ctrl-C, also in a program; the workers have yet to be stopped.
    """
    waiting: list[Planned] = []
    running: dict[str, tuple[Planned, float]] = {}
    failed: set[Path] = set()
    for one in planned:
        status = one.status()
        if status.is_to_be_made:
            waiting.append(one)
        elif status.fault is not None:
            failed.add(one.folder)
            yield Ended(one, status.fault)
    while waiting or running:
        for one in list(waiting):
            unfinished = {
                other.folder for other in (*waiting, *(run for run, _ in running.values()))
            }
            if broken := [need for need in one.needs if need in failed]:
                waiting.remove(one)
                failed.add(one.folder)
                yield Ended(one, f"it needs {broken[0]}", is_skipped=True)
            elif len(running) < workers.slots and unfinished.isdisjoint(one.needs):
                waiting.remove(one)
                workers.start(one.name, calls(one))
                running[one.name] = one, time.monotonic()
                yield Started(one)
        for name, outcome in workers.ended(_PAUSE).items():
            one, started = running.pop(name)
            failure = _failure(one, outcome)
            if failure is not None:
                failed.add(one.folder)
            yield Ended(one, failure, seconds=time.monotonic() - started)
        yield Waited()


def _failure(one: Planned, outcome: Outcome) -> str | None:
    if outcome.status == INTERRUPTED:
        raise KeyboardInterrupt
    if outcome.status:
        return outcome.reason
    status = one.status()
    return "it ended without its final score" if status.is_to_be_made else status.fault
