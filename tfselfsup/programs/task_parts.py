"""Finds the self-supervised tasks that an experiment names, of an agent or of a classifier."""

from __future__ import annotations

from collections.abc import Sequence

from tfselfsup import tasks
from tfselfsup.config import TaskConfig


def make_tasks(
    chosen: Sequence[TaskConfig], frame_shape: tuple[int, ...], key: str
) -> dict[str, tasks.Task]:
    """Finds the tasks and checks that they suit the frames.

    Args:
        chosen: The settings of the tasks.
        frame_shape: (T, H, W, C).
        key: Dotted name of these settings, for messages.

    Returns:
        The tasks by name.

    Raises:
        ValueError: If a task is named twice, unknown, or cannot be asked on such frames.
    """
    found = {}
    for one in chosen:
        if one.name in found:
            raise ValueError(f"expected each task once in {key}, got '{one.name}' twice")
        found[one.name] = tasks.get(one.name, **one.options)
        found[one.name].check(frame_shape)
    return found
