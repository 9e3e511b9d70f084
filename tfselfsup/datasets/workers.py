"""A process pool that survives a worker's death, and tells which item it was at."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

# Not fork: TensorFlow does not survive it.
_PROCESSES = multiprocessing.get_context("spawn")


class Died(NamedTuple):
    """What came of an item whose process died.

    Attributes:
        exit_code: The process's; -N for a death by signal N.
    """

    exit_code: int

    @property
    def cause(self) -> str:
        """The signal's name, or the exit code."""
        names = {member.value: member.name for member in signal.Signals}
        # A shell reports a death by signal N as 128 + N.
        number = -self.exit_code if self.exit_code < 0 else self.exit_code - 128
        return names.get(number, f"exit code {self.exit_code}")


def each_apart(
    task: Callable[[Any, Any], Any], prepare: Callable[[], Any], items: Iterable[Any], workers: int
) -> Iterator[tuple[Any, Any]]:
    """Applies a task to every item, in processes that stay from item to item.

    The standard library's pools either hang or give up everything when a process dies, and do not
    tell which item it was.

    Args:
        task: Gets what `prepare` made, and an item; like all that goes between processes it
            must be picklable.
        prepare: Called once in every process.
        items: What there is to do.
        workers: How many processes, at least 1.

    Yields:
        Each item and the task's result, or `Died`, as they come.

    Raises:
        Exception: What the task or `prepare` raised.
        RuntimeError: If a process dies before its first item.
        ValueError: If there is no worker.
    """
    if workers < 1:
        raise ValueError(f"expected at least 1 worker, got {workers}")
    waiting = deque(items)
    running = [_Worker(task, prepare) for _ in range(min(workers, len(waiting)))]
    try:
        while running:
            ready = wait([worker.connection for worker in running])
            for worker in [worker for worker in running if worker.connection in ready]:
                items_done, outcome = worker.items, worker.receive()
                if isinstance(outcome, Died):
                    running.remove(worker)
                    if not items_done:
                        raise RuntimeError(f"a worker did not start: {outcome.cause}")
                    if waiting:
                        running.append(_Worker(task, prepare))
                elif waiting:
                    worker.give(waiting.popleft())
                else:
                    running.remove(worker)
                    worker.end()
                yield from ((item, outcome) for item in items_done)
    finally:
        for worker in running:
            worker.end()


class _Worker:
    """A process and the items it has in hand: none while it prepares, then one."""

    def __init__(self, task: Callable[[Any, Any], Any], prepare: Callable[[], Any]):
        self.items: list[Any] = []
        self.connection, theirs = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_work, args=(theirs, task, prepare), daemon=True)
        self._process.start()
        # With the parent's copy closed, the death of the process ends the connection.
        theirs.close()

    def give(self, item: Any) -> None:
        self.items = [item]
        try:
            self.connection.send(item)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it died between two items; `receive` tells

    def receive(self) -> Any:
        try:
            succeeded, outcome = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            return Died(self._process.exitcode)
        if not succeeded:
            raise outcome
        return outcome

    def end(self) -> None:
        self.connection.close()
        self._process.terminate()
        self._process.join()


def _work(
    connection: Connection, task: Callable[[Any, Any], Any], prepare: Callable[[], Any]
) -> None:
    # Ctrl-C reaches every process of the terminal; the parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        prepared = prepare()
        connection.send((True, None))
        while True:
            connection.send((True, task(prepared, connection.recv())))
    except (EOFError, BrokenPipeError):
        return  # the parent has gone, or needs no more
    except Exception as error:
        connection.send((False, error))
