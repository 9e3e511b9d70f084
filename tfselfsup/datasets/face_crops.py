"""One video to face crops: what is searched, which face is chosen, and how it is cut out."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import cv2

from tfselfsup.config import ExtractionConfig
from tfselfsup.datasets import manifests
from tfselfsup.datasets.face_detection import CHOICES, Detector, square
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Crop, Face, Frame, Video
from tfselfsup.datasets.videos import UnreadableVideoError, VideoReader

# Frames in memory at a time, and in one batch of the detector; 50 MB in full HD.
_BATCH = 8


def extract(video: Video, out: Path, detector: Detector, settings: ExtractionConfig) -> Manifest:
    """Cuts the faces out of one video, and writes its manifest last.

    Crops are JPEGs of the face's size in the video, in `crops/<data_set>/<video_id>/`, named by
    the number of their frame; those of an earlier attempt are removed.

    Args:
        video: Whose file is there.
        out: The folder of crops and manifests.
        detector: Made for `settings`.
        settings: How to do it.

    Returns:
        The manifest; an unreadable video has one too.
    """
    # Before its crops: a manifest must never list a crop that is not there.
    manifests.manifest_file(out, video).unlink(missing_ok=True)
    remove(video, out)
    rate = settings.frames_per_second
    wanted = {"count": settings.frames_per_video} if rate is None else {"rate": rate}
    reader = VideoReader(video.path, **wanted)
    cutter = _Cutter(video, out, detector, settings)
    manifest = blank(video, settings)
    try:
        cutter.add_all(reader)
        if reader.outlasted:  # the header was wrong, and only the beginning has been searched
            remove(video, out)
            cutter.start_again()
            cutter.add_all(reader)
    except UnreadableVideoError as error:
        manifest = manifest._replace(status="unreadable", reason=str(error))
    else:
        manifest = _judged(cutter.filled(manifest), reader)
    manifests.write(out, manifest)
    return manifest


def blank(video: Video, settings: ExtractionConfig) -> Manifest:
    """Makes a manifest of what is known before a video is opened; it has no status yet."""
    size, changed = manifests.stamp(video)
    return Manifest(video, "", "", asdict(settings), size, changed, mask=video.mask is not None)


def remove(video: Video, out: Path) -> None:
    """Deletes the crops of a video."""
    # Not the folder: with `a` and `a/b` listed, it holds the crops of both.
    for path in (out / _folder(video)).glob("*.jpg"):
        path.unlink()


class _Cutter:
    """Detects, chooses and cuts, a batch of frames of one video at a time."""

    def __init__(self, video: Video, out: Path, detector: Detector, settings: ExtractionConfig):
        self._folder = _folder(video)
        self._out, self._detector, self._settings = out, detector, settings
        self._choose = CHOICES[settings.choose]
        self._started = time.perf_counter()
        self._detector_seconds = 0.0
        self.start_again()

    def start_again(self) -> None:
        """Forgets the crops, but not the time that they took."""
        self._previous: Face | None = None
        self._faces_of_frames: list[int] = []
        self._crops: list[Crop] = []

    def add_all(self, frames: Iterable[Frame]) -> None:
        frames = iter(frames)
        while batch := list(itertools.islice(frames, _BATCH)):
            self._add(batch)

    def _add(self, frames: Sequence[Frame]) -> None:
        started = time.perf_counter()
        found = self._detector.detect([frame.pixels for frame in frames])
        self._detector_seconds += time.perf_counter() - started
        for frame, faces in zip(frames, found, strict=True):
            self._faces_of_frames.append(len(faces))
            face = self._choose(faces, self._previous)
            if face is not None:
                self._crops.append(self._cut(frame, face, len(faces)))
                self._previous = face

    def filled(self, manifest: Manifest) -> Manifest:
        return manifest._replace(
            frames=len(self._faces_of_frames),
            frames_with_faces=sum(faces >= 1 for faces in self._faces_of_frames),
            frames_with_several_faces=sum(faces >= 2 for faces in self._faces_of_frames),
            seconds=time.perf_counter() - self._started,
            detector_seconds=self._detector_seconds,
            crops=tuple(self._crops),
        )

    def _cut(self, frame: Frame, face: Face, faces: int) -> Crop:
        x, y, side = square(face, frame.pixels.shape, self._settings.margin)
        pixels = cv2.cvtColor(frame.pixels[y : y + side, x : x + side], cv2.COLOR_RGB2BGR)
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._settings.jpeg_quality]
        content = cv2.imencode(".jpg", pixels, quality)[1].tobytes()
        file = self._folder / f"{frame.index}.jpg"
        (self._out / file).parent.mkdir(parents=True, exist_ok=True)
        (self._out / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        return Crop(
            str(file), frame.index, frame.seconds, x, y, side, face.confidence, faces, digest
        )


def _judged(manifest: Manifest, reader: VideoReader) -> Manifest:
    several, frames = manifest.frames_with_several_faces, manifest.frames
    verdicts = (
        (
            reader.truncated,
            "truncated",
            f"{reader.decoded} of {reader.promised} frames can be decoded"
            + ("" if manifest.crops else ", and none that was searched has a face"),
        ),
        (not manifest.crops, "no face", f"in {frames} frames"),
        (2 * several >= frames, "several faces", f"in {several} of {frames} frames"),
        (True, "done", ""),
    )
    status, reason = next((status, reason) for holds, status, reason in verdicts if holds)
    return manifest._replace(
        status=status,
        reason=reason,
        truncated=reader.truncated,
        unreadable_frames=reader.unreadable,
    )


def _folder(video: Video) -> PurePosixPath:
    return PurePosixPath("crops", video.data_set, video.video_id)
