"""Shows how far a reproduction is: a line for each run, and one bar over the time of all."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from tfselfsup.programs.reproduction_schedule import Ended, Event, Started, Waited

LOGS = "logs"  # below the folder of the runs


def duration(seconds: float) -> str:
    """Writes a time in the unit that suits it."""
    units = {"s": 1, "min": 60, "h": 3600, "days": 86400}
    unit = next((name for name, size in reversed(units.items()) if seconds >= 1.5 * size), "s")
    number = seconds / units[unit]
    return f"{number:.0f} {unit}" if number >= 10 or unit == "s" else f"{number:.1f} {unit}"


class Progress:
    """Consumes what happens.

    Attributes:
        failures: Runs that are not done, with the reason, in the order in which that was known.
    """

    def __init__(self, estimates: Mapping[Path, float | None], logs: Path):
        """Opens the bar, where there is a terminal.

        Args:
            estimates: Seconds of each run that is to be made, by its folder; None if unknown.
            logs: The folder with what the programs print.
        """
        known = [seconds for seconds in estimates.values() if seconds]
        # A run of unknown length moves the bar by as much as the others do on average.
        usual = sum(known) / len(known) if known else 1.0
        self._weights = {folder: seconds or usual for folder, seconds in estimates.items()}
        self._begun: dict[Path, float] = {}
        self._ended = 0.0
        self._logs = logs
        self.failures: list[Ended] = []
        self._bar = tqdm(
            total=sum(self._weights.values()),
            bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            dynamic_ncols=True,
            disable=None,
        )

    def __call__(self, event: Event) -> None:
        """Takes notice of an event."""
        if isinstance(event, Started):
            self._begun[event.one.folder] = time.monotonic()
            self._print(f"{event.one.name}: begun, {self._logs / event.one.name}.log")
        elif isinstance(event, Ended):
            self._end(event)
        elif isinstance(event, Waited):
            self._move()

    def _end(self, event: Ended) -> None:
        self._begun.pop(event.one.folder, None)
        self._ended += self._weights[event.one.folder]
        if event.failure is None:
            self._print(f"{event.one.name}: done in {duration(event.seconds)}")
            return
        self.failures.append(event)
        what = "skipped" if event.is_skipped else "failed"
        self._print(f"{event.one.name}: {what}: {event.failure}")

    def _move(self) -> None:
        """Moves the bar to what has ended and, by the clock, what is under way."""
        now = time.monotonic()
        under_way = sum(
            min(now - begun, self._weights[folder]) for folder, begun in self._begun.items()
        )
        self._bar.set_postfix_str(", ".join(folder.name for folder in self._begun), refresh=False)
        self._bar.update(self._ended + under_way - self._bar.n)

    def _print(self, line: str) -> None:
        self._bar.write(line, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()
