"""A video with the faces that were scored and their scores drawn into it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from tfselfsup.datasets.records import Frame
from tfselfsup.datasets.videos import VideoReader
from tfselfsup.runs.mp4 import mp4
from tfselfsup.vision.video_scoring import ScoredVideo

FRAMES_PER_SECOND = 30

# From the pixels of a frame where a crop was cut out, uint8 [side, side, 3], and the number of the
# crop, to what is drawn in their place.
DrawFace = Callable[[np.ndarray, int], np.ndarray]

# Time stamps of broken files may be anywhere: no frame is held for longer.
_LONGEST_HELD = 10 * FRAMES_PER_SECOND
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def write(scored: ScoredVideo, path: Path, draw_face: DrawFace | None = None) -> None:
    """Writes an mp4 at the video's own speed; it appears under its name when it is complete.

    A box stands around a face from halfway after the scored frame before it to halfway to the one
    after it: green where the probability that it is forged is 0, by way of yellow to red for 1.

    Args:
        scored: A video with scores, whose file is there.
        path: The mp4 to write.
        draw_face: Draws the inside of the box; None leaves it as it is.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = iter(VideoReader(scored.manifest.video.path, rate=FRAMES_PER_SECOND))
    first = next(frames)
    height, width = first.pixels.shape[:2]
    with mp4(path, FRAMES_PER_SECOND, (width, height)) as append:
        for frame, times in _paced(itertools.chain([first], frames)):
            drawn = annotated(frame, scored, draw_face)
            for _ in range(times):
                append(drawn)


def annotated(frame: Frame, scored: ScoredVideo, draw_face: DrawFace | None = None) -> np.ndarray:
    """Returns a copy of a frame with a box around the face and its score, if one is near in time.

    Args:
        frame: Of the video.
        scored: Its scores.
        draw_face: As for `write`.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    picture = frame.pixels.copy()
    number = _nearest(frame.seconds, np.array([crop.seconds for crop in scored.manifest.crops]))
    if number is None:
        return picture
    crop, probability = scored.manifest.crops[number], float(scored.probabilities[number])
    if draw_face is not None:
        inside = np.s_[crop.y : crop.y + crop.side, crop.x : crop.x + crop.side]
        picture[inside] = draw_face(picture[inside], number)
    colour = tuple(min(255, round(510 * share)) for share in (probability, 1 - probability)) + (0,)
    height = picture.shape[0]
    thickness, size = max(1, height // 240), max(0.4, height / 720)
    corner, opposite = (crop.x, crop.y), (crop.x + crop.side - 1, crop.y + crop.side - 1)
    cv2.rectangle(picture, corner, opposite, colour, thickness)
    text = f"fake {probability:.2f}"
    (_, text_height), _ = cv2.getTextSize(text, _FONT, size, thickness)
    # Above the box, or inside where there is no room.
    gap = 2 * thickness + 2
    baseline = crop.y - gap if crop.y > text_height + gap else crop.y + text_height + gap
    # With a dark edge, to be read before any background.
    for ink, width in (((0, 0, 0), 3 * thickness), (colour, thickness)):
        cv2.putText(picture, text, (crop.x, baseline), _FONT, size, ink, width, cv2.LINE_AA)
    return picture


def _nearest(seconds: float, times: np.ndarray) -> int | None:
    """Finds the scored frame that is nearest, unless it is further than such frames are apart."""
    number = int(np.abs(times - seconds).argmin())
    # With one crop there is no telling how far its score reaches.
    apart = np.median(np.diff(times)) if len(times) > 1 else 0.0
    return number if abs(times[number] - seconds) <= apart / 2 + 1 / FRAMES_PER_SECOND else None


def _paced(frames: Iterable[Frame]) -> Iterator[tuple[Frame, int]]:
    """Says how many times each frame is written, so that those of slower videos last longer."""
    before, shown_at = None, 0
    for frame in frames:
        now = round(frame.seconds * FRAMES_PER_SECOND)
        if before is not None:
            yield before, min(max(now - shown_at, 0), _LONGEST_HELD)
        before, shown_at = frame, now
    if before is not None:
        yield before, 1
