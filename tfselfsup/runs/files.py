"""Writes files and folders aside first, so that they are there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, which takes its place if the block ends well.

    Args:
        path: A file or a folder. What stood there before is replaced.

    Yields:
        The path to write to.
    """
    aside = path.with_name(path.name + ".writing")
    remove(aside)
    yield aside
    if path.is_dir():
        # A folder cannot be replaced in one step; `.replaced` is ignored by every reader.
        replaced = path.with_name(path.name + ".replaced")
        remove(replaced)
        path.rename(replaced)
        aside.rename(path)
        remove(replaced)
    else:
        aside.replace(path)


def remove(path: Path) -> None:
    """Deletes a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
