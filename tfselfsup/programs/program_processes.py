"""Runs programs of this package in processes of their own, some runs side by side."""

from __future__ import annotations

import abc
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tfselfsup.programs.interruption import INTERRUPTED

PACKAGE = Path(__file__).resolve().parents[2]
_POLL = 0.1  # seconds between two looks at whether to stop


@dataclass(frozen=True)
class Calls:
    """Programs that run one after another, until one fails.

    Attributes:
        commands: Each with its arguments.
        log: Gets what they print.
        directory: Which they run in.
        environment: Variables beside those of this process.
    """

    commands: tuple[tuple[str, ...], ...]
    log: Path
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Outcome(NamedTuple):
    """How it ended.

    Attributes:
        status: Exit status of the last program; below 0 if a signal ended it.
        reason: If it is not 0, what the program said last.
    """

    status: int
    reason: str


def run_programs(calls: Calls, stop: threading.Event) -> Outcome:
    """Runs programs, each in a process of its own.

    TensorFlow's threads can be set only once in a process, and a crash ends one program only.

    Args:
        calls: What to run.
        stop: Once it is set, the program is told to save its run and to end.

    Returns:
        How it ended; a log that cannot be written is a failure of this run, and of no other.
    """
    try:
        return _run_programs(calls, stop)
    except OSError as error:
        return Outcome(1, str(error))


def _run_programs(calls: Calls, stop: threading.Event) -> Outcome:
    calls.log.parent.mkdir(parents=True, exist_ok=True)
    for command in calls.commands:
        if stop.is_set():
            return Outcome(INTERRUPTED, "interrupted")
        with calls.log.open("ab") as log:
            log.write(f"$ tfselfsup {shlex.join(command)}\n".encode())
            log.flush()
            start = log.tell()
            status = _wait(_start(command, calls, log), stop)
        if status:
            interrupted = INTERRUPTED if stop.is_set() else status
            return Outcome(interrupted, _said_last(calls.log, start, status))
    return Outcome(0, "")


def _start(command: tuple[str, ...], calls: Calls, log) -> subprocess.Popen:
    path = os.pathsep.join(filter(None, (str(PACKAGE), os.environ.get("PYTHONPATH"))))
    # Bars are for terminals; in a log they would be most of it.
    own = {"PYTHONPATH": path, "TQDM_DISABLE": "1", **calls.environment}
    return subprocess.Popen(
        [sys.executable, "-m", "tfselfsup.programs.child_program", str(os.getpid()), *command],
        env=os.environ | own,
        cwd=calls.directory,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Ctrl-C of the terminal reaches this process only, which passes it on once: programs take
        # a second one as an order to end without saving.
        start_new_session=True,
    )


def _wait(process: subprocess.Popen, stop: threading.Event) -> int:
    """Waits for a process; once it has to stop, until it has saved its run."""
    is_told = False
    while True:
        try:
            if stop.is_set() and not is_told:
                is_told = True
                process.send_signal(signal.SIGINT)
            return process.wait(_POLL)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # in a task of Ray, which is thus cancelled
            stop.set()


def _said_last(log: Path, start: int, status: int) -> str:
    """Returns the last line that a program printed, where errors are."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), f"status {status}")


class Workers(abc.ABC):
    """What runs programs, several at once.

    Attributes:
        slots: How many at once.
    """

    slots: int

    @abc.abstractmethod
    def start(self, name: str, calls: Calls) -> None:
        """Begins with programs, under a name that nothing else has that runs."""

    @abc.abstractmethod
    def ended(self, seconds: float) -> dict[str, Outcome]:
        """Waits until something ends, but only so many seconds, and returns what has ended."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Lets everything that runs save and end, and waits for it."""


class LocalWorkers(Workers):
    """Processes of this machine."""

    def __init__(self, slots: int):
        """Starts nothing yet.

        Args:
            slots: How many at once.
        """
        self.slots = slots
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(slots)
        self._names: dict[Future, str] = {}

    def start(self, name: str, calls: Calls) -> None:
        """Begins with programs."""
        self._names[self._threads.submit(run_programs, calls, self._stop)] = name

    def ended(self, seconds: float) -> dict[str, Outcome]:
        """Waits until something ends."""
        done, _ = wait(self._names, seconds, FIRST_COMPLETED)
        return {self._names.pop(future): future.result() for future in done}

    def stop(self) -> None:
        """Passes Ctrl-C on, and waits."""
        self._stop.set()
        self._threads.shutdown()
