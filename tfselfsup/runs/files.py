"""Writes files and folders aside first, so that they are there whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, which takes its place if the block ends well.

    Args:
        path: A file or a folder. What stood there before is replaced, a folder by a folder only.

    Yields:
        The path to write to; what is there is deleted if the block does not end well.

    Raises:
        IsADirectoryError: If a file is written, and a folder is in its place.
    """
    aside = path.with_name(path.name + ".writing")
    remove(aside)
    try:
        yield aside
        if path.is_dir() and not aside.is_dir():
            raise IsADirectoryError(f"expected a file or nothing at {path}, got a folder")
    except BaseException:
        remove(aside)
        raise
    if path.is_dir():
        # A folder cannot be replaced in one step; `.replaced` is ignored by every reader.
        replaced = path.with_name(path.name + ".replaced")
        remove(replaced)
        path.rename(replaced)
        aside.rename(path)
        remove(replaced)
    else:
        aside.replace(path)


@contextmanager
def locked(folder: Path, taken: str = "is being written by another process") -> Iterator[None]:
    """Keeps other processes out of a folder that they would lock, too.

    Args:
        folder: Made if it is not there, and then removed if it is empty at the end.
        taken: What is said of it if another process has it.

    Raises:
        ValueError: If another process has it.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"{folder} {taken}; wait for it, or name another folder") from error
        try:
            yield
        finally:
            if is_new:
                with suppress(OSError):
                    folder.rmdir()  # it is empty: nothing came of it
    finally:
        os.close(opened)


def json_object(path: Path, remedy: str) -> dict[str, Any]:
    """Reads a file that holds a JSON object.

    Args:
        path: The file.
        remedy: What to do if it does not: `score the run again`.

    Raises:
        ValueError: If it holds something else.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object in {path}, got something else; {remedy}")
    return content


def remove(path: Path) -> None:
    """Deletes a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
