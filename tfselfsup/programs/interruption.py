"""Orders to end that come from outside: Ctrl-C, a scheduler's, a closed terminal's."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED = 130  # exit status


@contextmanager
def interruption(handler: Callable = signal.default_int_handler) -> Iterator[None]:
    """Treats every order to end as Ctrl-C, inside the block.

    Args:
        handler: Of the signals, as `signal.signal` takes it; by default they raise
            KeyboardInterrupt.
    """
    # What was started in the background ignores Ctrl-C, and could not be told to save; but `nohup`
    # is meant.
    orders = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        orders.remove(signal.SIGHUP)
    before = {order: signal.signal(order, handler) for order in orders}
    try:
        yield
    finally:
        for order, its_handler in before.items():
            signal.signal(order, its_handler)
