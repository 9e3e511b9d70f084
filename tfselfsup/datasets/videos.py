"""Evenly sampled frames of a video, decoded one after the other."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

# A broken file is told about in our own words; FFmpeg's and OpenCV's lines name no file. The
# first is read when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from tfselfsup.datasets.records import Frame  # noqa: E402

cv2.setLogLevel(2)  # errors, without warnings

# Headers of healthy files promise a frame or two more than decoders give.
_TOLERANCE = 2
# Time stamps are multiples of the container's clock, not of the wanted rate.
_HALF_TICK = 5e-4


class UnreadableVideoError(Exception):
    """A file of which not one of the wanted frames can be read."""


class VideoReader:
    """Samples a video's frames; an iteration opens the file anew and holds one frame at a time.

    All frames are decoded in their order and only the wanted ones are converted: seeking lands
    on another frame than asked for in too many files. Rotation in the metadata is applied.

    Attributes:
        promised: Frames that the header tells of; 0 if it does not.
        decoded: Frames that could be decoded, known after an iteration.
        unreadable: Wanted frames that were decoded but could not be converted to pixels, likewise.
        outlasted: Whether the video went on so long after the frames that its header tells of that
            other frames are wanted than were yielded; another iteration yields these. A length that
            is wrong by less than half of one of the equal parts does not count.
    """

    def __init__(self, path: str | Path, *, count: int | None = None, rate: float | None = None):
        """Says what is wanted.

        Args:
            path: The video.
            count: How many frames, at least 1: the middle ones of `count` equal parts of the
                video, or all frames if it has fewer.
            rate: How many frames per second, above 0: the first at or after each multiple of
                1 / `rate` seconds; every frame if the video has fewer per second.

        Raises:
            ValueError: If not exactly one of `count` and `rate` is given, or it is too small.
        """
        if (count is None) == (rate is None):
            raise ValueError(f"expected a count or a rate of frames, got {count} and {rate}")
        if count is not None and count < 1:
            raise ValueError(f"expected a count of at least 1 frame, got {count}")
        if rate is not None and not 0 < rate < math.inf:
            raise ValueError(f"expected a rate above 0 frames per second, got {rate}")
        self._path, self._count, self._rate = Path(path), count, rate
        self.promised = 0
        self.decoded = 0
        self.unreadable = 0
        self.outlasted = False
        self._counted = 0  # how many frames there are, where the header is of no use

    @property
    def truncated(self) -> bool:
        """Whether the header tells of more frames than could be decoded; after an iteration."""
        return self.decoded < self.promised - _TOLERANCE

    def __iter__(self) -> Iterator[Frame]:
        """Yields the wanted frames that can be decoded, those before a truncation included.

        Raises:
            UnreadableVideoError: If there is none at all.
        """
        capture = self._opened()
        try:
            self.promised = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
            wanted = self._wanted()
            self.decoded, self.unreadable, self.outlasted, read = 0, 0, False, 0
            while capture.grab():
                # Seconds before the grab are those of the frame before.
                seconds = max(0.0, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
                index, self.decoded = self.decoded, self.decoded + 1
                if wanted(index, seconds):
                    pixels = _pixels(capture)
                    if pixels is None:
                        self.unreadable += 1
                    else:
                        read += 1
                        yield Frame(index, seconds, pixels)
        except cv2.error as error:
            raise UnreadableVideoError(f"{self._path.name}: {error.err}") from error
        finally:
            capture.release()
        if not self.decoded:
            raise UnreadableVideoError(f"no frame of {self._path.name} can be decoded")
        if self.unreadable and not read:
            raise UnreadableVideoError(
                f"none of {self.unreadable} wanted frames of {self._path.name} has pixels"
            )
        if self._count is not None and not self._counted:
            half_a_part = self.promised / (2 * self._count)
            self.outlasted = self.decoded - self.promised > half_a_part
            self._counted = self.decoded if self.outlasted else 0

    def _opened(self) -> cv2.VideoCapture:
        if not self._path.is_file():
            raise UnreadableVideoError(f"there is no file {self._path.name}")
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise UnreadableVideoError(f"{self._path.name} is no video that FFmpeg can open")
        # On by default in some builds of OpenCV only.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _wanted(self) -> Callable[[int, float], bool]:
        if self._rate is None:
            if not self.promised and not self._counted:
                self._counted = self._count_frames()
            share = (self._counted or self.promised) / self._count
            middles = {int((part + 0.5) * share) for part in range(self._count)}
            return lambda index, seconds: index in middles
        return _Clock(self._rate)

    def _count_frames(self) -> int:
        """Counts the frames of a file whose header does not, which takes a pass of its own."""
        capture = self._opened()
        frames = 0
        while capture.grab():
            frames += 1
        capture.release()
        return frames


def _pixels(capture: cv2.VideoCapture) -> np.ndarray | None:
    """Converts the frame that was grabbed, if that can be done: uint8 [H, W, 3], RGB."""
    try:
        found, pixels = capture.retrieve()
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if found else None
    except cv2.error:
        return None


class _Clock:
    """Wants the first frame at or after each tick."""

    def __init__(self, rate: float):
        self._rate = rate
        self._next = 0

    def __call__(self, index: int, seconds: float) -> bool:
        if seconds + _HALF_TICK < self._next / self._rate:
            return False
        # Ticks that fell between two frames are not made up for.
        self._next = math.floor((seconds + _HALF_TICK) * self._rate) + 1
        return True
