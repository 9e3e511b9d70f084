"""Orders to end that come from outside: Ctrl-C, a scheduler's, a closed terminal's."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # exit status after Ctrl-C


@contextmanager
def interruption(at_once: bool = True) -> Iterator[list[int]]:
    """Treats SIGTERM and SIGHUP as Ctrl-C inside the block.

    An order that is repeated changes nothing, as a terminal that is closed gives it twice; but
    Ctrl-C after any order raises KeyboardInterrupt.

    Args:
        at_once: Whether the first order raises KeyboardInterrupt, too, or is only noted.

    Yields:
        The numbers of the signals that have come.
    """
    orders: list[int] = []

    def note(number: int, _) -> None:
        orders.append(number)
        is_first = len(orders) == 1
        if (at_once and is_first) or (number == signal.SIGINT and not is_first):
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
    """Returns the exit status after orders: 128 and the number of the first, as of a shell."""
    return 128 + orders[0]
