"""Pictures as an mp4."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable

import numpy as np

from tfselfsup.runs.mp4 import mp4


def write(path: str | os.PathLike[str], pictures: Iterable[np.ndarray], rate: float) -> None:
    """Writes a video, which appears under its name when it is complete.

    Args:
        path: The mp4 to write, in a folder that exists.
        pictures: uint8 [H, W, 3], RGB, all of one size, at least one.
        rate: Pictures per second.

    Raises:
        OSError: If the file cannot be written.
    """
    pictures = iter(pictures)
    first = next(pictures)
    with mp4(path, rate, (first.shape[1], first.shape[0])) as append:
        for picture in itertools.chain([first], pictures):
            append(picture)
