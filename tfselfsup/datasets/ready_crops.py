"""Faces that were cut out before: they are copied as they are, byte by byte."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Crop, Video
from tfselfsup.datasets.tables import IMAGE_ENDINGS
from tfselfsup.runs import written_aside

_JPEG, _END_OF_JPEG = b"\xff\xd8", b"\xff\xd9"


def is_ready_crop(video: Video) -> bool:
    """Tells whether a listed video is an image."""
    return video.path.suffix.lower() in IMAGE_ENDINGS


def copy(video: Video, out: Path) -> Manifest:
    """Copies a crop to `crops/<data_set>/<video_id>`, with its own ending.

    Args:
        video: Whose image is there.
        out: The folder of crops and manifests.

    Returns:
        The manifest, `done` or `unreadable`. The crop counts as one frame with one face, of
        confidence 1; its `side` is the image's shorter one.
    """
    content = video.path.read_bytes()
    reason = _damage(content)
    if reason:
        return Manifest(video, "unreadable", reason)
    file = _file(video)
    target = out / file
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(target) as aside:
        aside.write_bytes(content)
    side = min(_decoded(content).shape[:2])
    digest = hashlib.sha256(content).hexdigest()
    crop = Crop(str(file), 0, 0.0, 0, 0, side, confidence=1.0, faces=1, sha256=digest)
    return Manifest(
        video, "done", frames=1, frames_with_faces=1, mask=video.mask is not None, crops=(crop,)
    )


def remove(video: Video, out: Path) -> None:
    """Deletes the copy of a crop."""
    (out / _file(video)).unlink(missing_ok=True)


def _file(video: Video) -> PurePosixPath:
    return PurePosixPath("crops", video.data_set, video.video_id + video.path.suffix.lower())


def _damage(content: bytes) -> str:
    # OpenCV fills what is missing of a JPEG with grey. Some writers pad a whole one with zeros.
    if content.startswith(_JPEG) and _END_OF_JPEG not in content.rstrip(b"\0")[-64:]:
        return "the JPEG ends early"
    return "" if _decoded(content) is not None else "the image cannot be decoded"


def _decoded(content: bytes) -> np.ndarray | None:
    if not content:
        return None
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
