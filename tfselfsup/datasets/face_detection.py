"""Finding the faces in frames, and choosing one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from tfselfsup.datasets.records import Face

# MTCNN proposes faces from 20 pixels on and cannot build its pyramid of scales much below.
_SMALLEST_IMAGE = 24
_SMALLEST_FACE = 20


class Detector(ABC):
    """Finds faces in frames that are scaled down first.

    A detector says in `_find` how faces are found in small frames of one size.
    """

    def __init__(self, longest_side: int = 640):
        """Makes the detector.

        Args:
            longest_side: Longer frames are scaled down to this before the search, in pixels; the
                time a search takes falls with its square, and so does the least face it finds.

        Raises:
            ValueError: If it is below 24.
        """
        if longest_side < _SMALLEST_IMAGE:
            raise ValueError(
                f"expected a longest_side of at least {_SMALLEST_IMAGE} pixels, got {longest_side}"
            )
        self._longest_side = longest_side

    def detect(self, frames: Sequence[np.ndarray]) -> list[list[Face]]:
        """Finds the faces in frames; those of one size are searched together.

        Args:
            frames: uint8 [H, W, 3] each, RGB, or uint8 [H, W], grey.

        Returns:
            The faces of every frame, the most confident first; boxes in pixels of the full frame,
            cut off at its edges. A frame without a face, or below 24 pixels, has none.
        """
        if not len(frames):
            return []
        if len({frame.shape[:2] for frame in frames}) > 1:
            return [self.detect([frame])[0] for frame in frames]
        height, width = frames[0].shape[:2]
        scale = min(1.0, self._longest_side / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if min(size) < _SMALLEST_IMAGE:
            return [[] for _ in frames]
        small = [cv2.resize(_colour(frame), size, interpolation=cv2.INTER_AREA) for frame in frames]
        stretch = np.array([width / size[0], height / size[1]] * 2)
        return [
            _faces(np.asarray(found, np.float64).reshape(-1, 5), stretch, (width, height))
            for found in self._find(small)
        ]

    @abstractmethod
    def _find(self, frames: list[np.ndarray]) -> list[Sequence[Sequence[float]]]:
        """Finds the faces of RGB frames as rows of x, y, width, height and confidence."""


class Mtcnn(Detector):
    """Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded CNNs".

    arXiv:1604.02878, by the package `mtcnn`, which ships the weights. The confidence is the last
    network's probability. All frames of a call are one batch.
    """

    def __init__(self, longest_side: int = 640):
        """See `Detector`; loads TensorFlow."""
        super().__init__(longest_side)
        from mtcnn import MTCNN  # brings TensorFlow, which the Haar cascade does without

        self._network = MTCNN(device=None)  # a graphics processor if there is one

    def _find(self, frames: list[np.ndarray]) -> list[list[list[float]]]:
        found = self._network.detect_faces(frames, min_face_size=_SMALLEST_FACE)
        return [[[*face["box"], face["confidence"]] for face in faces] for faces in found]


class Haar(Detector):
    """OpenCV's cascade for frontal faces: fast, and blind to faces turned aside.

    Viola and Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features". The
    confidence is w / (1 + w), where w > 0 is the weighted vote of the cascade's last stage: it
    ranks faces and is no probability.
    """

    def __init__(self, longest_side: int = 640):
        """See `Detector`."""
        super().__init__(longest_side)
        file = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
        self._cascade = cv2.CascadeClassifier(str(file))

    def _find(self, frames: list[np.ndarray]) -> list[list[list[float]]]:
        return [self._find_one(frame) for frame in frames]

    def _find_one(self, frame: np.ndarray) -> list[list[float]]:
        grey = cv2.equalizeHist(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
        boxes, _, weights = self._cascade.detectMultiScale3(
            grey,
            scaleFactor=1.1,
            minNeighbors=6,
            minSize=(_SMALLEST_FACE, _SMALLEST_FACE),
            outputRejectLevels=True,
        )
        votes = np.maximum(0.0, np.reshape(weights, -1))
        return [[*box, vote / (1 + vote)] for box, vote in zip(boxes, votes, strict=True)]


DETECTORS = {"mtcnn": Mtcnn, "haar": Haar}


def largest(faces: Sequence[Face], previous: Face | None = None) -> Face | None:
    """Chooses the face with the largest box; None if there is no face."""
    return max(faces, key=lambda face: face.width * face.height, default=None)


def follow(faces: Sequence[Face], previous: Face | None = None) -> Face | None:
    """Chooses the face that overlaps most with the one before, so that the person stays the same.

    Args:
        faces: Of a frame.
        previous: The face chosen in the last frame that had one.

    Returns:
        The face of the largest intersection over union, the largest face if none overlaps, None
        if there is no face.
    """
    if previous is None or not any(overlap(face, previous) for face in faces):
        return largest(faces)
    return max(faces, key=lambda face: overlap(face, previous))


CHOICES = {"largest": largest, "follow": follow}


def overlap(one: Face, other: Face) -> float:
    """Returns the intersection over union of two boxes, in [0, 1]."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0.0, width) * max(0.0, height)
    union = one.width * one.height + other.width * other.height - shared
    return shared / union if union else 0.0


def square(face: Face, frame_shape: Sequence[int], margin: float = 1.3) -> tuple[int, int, int]:
    """Widens a box to the square that is cut out.

    Args:
        face: In pixels of the frame.
        frame_shape: Height and width first.
        margin: The square's side, as a multiple of the box's longer side.

    Returns:
        x, y and side of a square around the box's centre, shifted where it would leave the frame,
        and smaller only where the frame's shorter side is.
    """
    height, width = map(int, frame_shape[:2])
    side = min(max(1, round(margin * max(face.width, face.height))), height, width)
    x = round(face.x + face.width / 2 - side / 2)
    y = round(face.y + face.height / 2 - side / 2)
    return min(max(x, 0), width - side), min(max(y, 0), height - side), side


def _colour(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(frame, cv2.COLOR_GRAY2RGB) if frame.ndim == 2 else frame


def _faces(found: np.ndarray, stretch: np.ndarray, size: tuple[int, int]) -> list[Face]:
    """Takes boxes back to the full frame, whose size is its width and height."""
    first = np.clip(found[:, :2] * stretch[:2], 0, size)
    last = np.clip((found[:, :2] + found[:, 2:4]) * stretch[2:], 0, size)
    faces = [
        Face(*map(float, corner), *map(float, extent), float(np.clip(confidence, 0, 1)))
        for corner, extent, confidence in zip(first, last - first, found[:, 4], strict=True)
        if extent.min() > 0
    ]
    return sorted(faces, key=lambda face: -face.confidence)
