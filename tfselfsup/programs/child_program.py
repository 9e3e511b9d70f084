"""Runs a program for a process that waits for it: it ends with that process, and hears Ctrl-C."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from tfselfsup.__main__ import run

_PR_SET_PDEATHSIG = 1  # of Linux' prctl


def main() -> None:
    """Runs the program that the second argument names; the first is the waiting process."""
    parent, *command = sys.argv[1:]
    end_with(int(parent))
    # A process in the background ignores Ctrl-C, one of Ray blocks it, and both would be inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.argv[:] = command
    run(command[0])


def end_with(parent: int) -> None:
    """Lets this process be killed when the waiting one dies.

    Otherwise the run of a worker that was killed would go on, and could not be resumed by another.

    Args:
        parent: The process that started this one.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        raise SystemExit(1)


if __name__ == "__main__":
    main()
