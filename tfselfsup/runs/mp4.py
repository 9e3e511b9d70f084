"""Writes mp4 videos, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

# VP9: what browsers play of what OpenCV's wheels write. They play no MPEG-4 Part 2 (`mp4v`).
CODEC = "vp09"


@contextmanager
def mp4(path: str | Path, rate: float, size: tuple[int, int]) -> Iterator[Callable]:
    """Opens a video to write pictures to; it takes its place at `path` when the block ends well.

    Args:
        path: The file; what is there is replaced.
        rate: Pictures per second.
        size: Width and height of every picture, in pixels.

    Yields:
        A function that appends a picture, uint8 [H, W, 3] in RGB.

    Raises:
        OSError: If nothing can be written there.
    """
    path = Path(path)
    partial = path.with_name(f"{path.stem}.partial.mp4")  # OpenCV goes by the ending
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*CODEC), rate, size)
    if not writer.isOpened():
        raise OSError(f"expected a folder to write a video to, cannot write {path}")

    def append(picture: np.ndarray) -> None:
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    try:
        yield append
        writer.release()
        os.replace(partial, path)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)
