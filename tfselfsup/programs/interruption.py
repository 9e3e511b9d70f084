"""Orders to end that come from outside: Ctrl-C, a scheduler's, a closed terminal's."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # exit status after Ctrl-C


@contextmanager
def interruption(at_once: bool = True) -> Iterator[list[int]]:
    """Treats SIGTERM and SIGHUP as Ctrl-C inside the block.

    An order that is repeated changes nothing: a terminal that is closed gives it twice, and a
    process may get a scheduler's from its parent, too, as Ctrl-C. But a second Ctrl-C raises
    KeyboardInterrupt.

    Args:
        at_once: Whether the first order raises KeyboardInterrupt, too, or is only noted.

    Yields:
        The numbers of the signals that have come.
    """
    orders: list[int] = []

    def note(number: int, _) -> None:
        orders.append(number)
        if (at_once and len(orders) == 1) or orders.count(signal.SIGINT) > 1:
            raise KeyboardInterrupt

    # `nohup` is to be obeyed. That Ctrl-C is ignored, as in the background of a script, is not:
    # it is also what one process sends another to let it save.
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signals.remove(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in signals}
    try:
        yield orders
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_status(orders: list[int]) -> int:
    """Returns the exit status after orders: 128 and the number of the first, as of a shell.

    Where none came here, a program that was waited for has heard Ctrl-C.
    """
    return 128 + orders[0] if orders else INTERRUPTED
