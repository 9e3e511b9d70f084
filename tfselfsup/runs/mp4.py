"""Writes mp4 videos, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

# H.264: of what all browsers and players show, the fastest to write.
CODEC = "libx264"


@contextmanager
def mp4(path: str | Path, rate: float, size: tuple[int, int]) -> Iterator[Callable]:
    """Opens a video to write pictures to; it takes its place at `path` when the block ends well.

    Args:
        path: The file; what is there is replaced.
        rate: Pictures per second.
        size: Width and height of every picture, in pixels. An odd side loses its last pixels, as
            colours are stored for squares of two by two.

    Yields:
        A function that appends a picture, uint8 [H, W, 3] in RGB.

    Raises:
        OSError: If nothing can be written there.
    """
    path = Path(path)
    partial = path.with_name(f"{path.stem}.partial.mp4")  # ffmpeg goes by the ending
    width, height = (side - side % 2 for side in size)
    try:
        partial.open("wb").close()  # ffmpeg itself would say so late, and in many lines
    except OSError as error:
        raise OSError(f"expected a folder to write a video to, cannot write {path}") from error
    writer = imageio_ffmpeg.write_frames(
        str(partial), (width, height), fps=rate, codec=CODEC, macro_block_size=1
    )
    writer.send(None)

    pictures = 0

    def append(picture: np.ndarray) -> None:
        nonlocal pictures
        pictures += 1
        try:
            writer.send(np.ascontiguousarray(picture[:height, :width]))
        except OSError as error:
            raise OSError(f"expected room for a video, cannot write all of {path}") from error

    try:
        yield append
        writer.close()
        # The writer passes over what goes wrong with the last pictures.
        if cv2.VideoCapture(str(partial)).get(cv2.CAP_PROP_FRAME_COUNT) != pictures:
            raise OSError(f"expected a video of {pictures} pictures, cannot write all of {path}")
        os.replace(partial, path)
    finally:
        writer.close()
        partial.unlink(missing_ok=True)
