"""Pictures as an mp4."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np


def write(path: str | os.PathLike[str], pictures: Iterable[np.ndarray], rate: float) -> None:
    """Writes a video, which appears under its name when it is complete.

    Args:
        path: The mp4 to write, in a folder that exists.
        pictures: uint8 [H, W, 3], RGB, all of one size, at least one.
        rate: Pictures per second.

    Raises:
        OSError: If the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f"{path.stem}.partial.mp4")  # OpenCV goes by the ending
    pictures = iter(pictures)
    first = next(pictures)
    size = (first.shape[1], first.shape[0])
    writer = cv2.VideoWriter(str(partial), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    if not writer.isOpened():
        raise OSError(f"expected a folder to write a video to, cannot write {path}")
    try:
        writer.write(cv2.cvtColor(first, cv2.COLOR_RGB2BGR))
        for picture in pictures:
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        writer.release()
        os.replace(partial, path)
    finally:
        writer.release()
        partial.unlink(missing_ok=True)
