"""Scores of videos: of every face that was cut out, and of the video as a whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfselfsup.datasets.labelled_images import decoded
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.ready_crops import is_ready_crop
from tfselfsup.datasets.records import FAKE, Video

DATA_SET = "videos"  # what the folder of the crops is called
UNKNOWN = -1  # as TFDS has it

# Of a face, in the order of `face_rows`.
FACE_COLUMNS = (
    "video",
    "frame_index",
    "seconds",
    "probability",
    "x",
    "y",
    "side",
    "detector_confidence",
    "faces_in_frame",
    "file",
)

_LEVEL = 0.95
_DIGITS = 6


class ScoredVideo(NamedTuple):
    """A video, what became of it, and its scores.

    Attributes:
        manifest: What became of it, with its crops.
        probabilities: float64 [n], of each crop that it is forged.
        low: Lower bound of the 95% interval of their mean; None with fewer than 2 crops.
        high: Upper bound.
    """

    manifest: Manifest
    probabilities: np.ndarray
    low: float | None = None
    high: float | None = None

    @property
    def probability(self) -> float | None:
        """The mean of the crops' probabilities, as a classifier is scored per video; or None."""
        return float(self.probabilities.mean()) if len(self.probabilities) else None


def list_videos(paths: Sequence[str | Path]) -> list[Video]:
    """Lists files as videos whose label is not known.

    Args:
        paths: Files, whether they are there or not; one that is named twice is listed once.

    Returns:
        Videos named by their file and, as files in different folders may have the same name, by a
        hash of their path. The name does not depend on the other videos: what was cut out of one
        is found again.

    Raises:
        ValueError: If there is none, or one is a folder or an image.
    """
    whole: dict[str, Path] = {}
    for path in paths:
        whole.setdefault(os.path.abspath(path), Path(path))
    if not whole:
        raise ValueError("expected at least one video, got none; name its file")
    return [
        _listed(path, f"{path.stem}-{hashlib.sha256(os.fsencode(where)).hexdigest()[:8]}")
        for where, path in whole.items()
    ]


def _listed(path: Path, name: str) -> Video:
    if path.is_dir():
        raise ValueError(f"expected files of videos, got the folder {path}; name the files in it")
    video = Video(path, DATA_SET, name, name, UNKNOWN)
    if is_ready_crop(video):
        raise ValueError(f"expected files of videos, got the image {path}; leave it out")
    return video


def score(
    manifest: Manifest,
    out: Path,
    side: int,
    predict: Callable[[np.ndarray], np.ndarray],
    *,
    batch_size: int,
    resamples: int,
    seed: int,
) -> ScoredVideo:
    """Scores a video by the crops that were cut out of it.

    Args:
        manifest: Lists the crops; with none there is no score.
        out: The folder of crops and manifests.
        side: Height and width of the images that the classifier takes, in pixels.
        predict: From images, uint8 [B, side, side, 3], to probabilities, float [B, 2].
        batch_size: Crops at a time.
        resamples: Of the bootstrap over frames; see `interval`.
        seed: Of the bootstrap; every video has the same, so that none depends on the others.

    Raises:
        ValueError: If a probability is not a number.
    """
    crops = manifest.crops
    if not crops:
        return ScoredVideo(manifest, np.zeros(0))
    batches = [crops[start : start + batch_size] for start in range(0, len(crops), batch_size)]
    probabilities = np.concatenate(
        [
            predict(np.stack([read_crop(out / crop.file, side) for crop in batch]))[:, FAKE]
            for batch in batches
        ]
    ).astype(np.float64)
    if not np.isfinite(probabilities).all():
        raise ValueError(
            f"expected probabilities, got one that is not a number for {manifest.video.path}; "
            "train the model again"
        )
    return ScoredVideo(manifest, probabilities, *interval(probabilities, resamples, seed))


def read_crop(file: Path, side: int) -> np.ndarray:
    """Reads a crop as it is read from a prepared data set: uint8 [side, side, 3]."""
    return decoded(tf.io.read_file(str(file)), side).numpy()


def interval(
    probabilities: np.ndarray, resamples: int, seed: int
) -> tuple[float, float] | tuple[None, None]:
    """Estimates between which bounds the mean would lie for other frames of the same video.

    The percentile bootstrap (Efron 1979, doi:10.1214/aos/1176344552) over frames. It tells how
    much the frames differ, and not how often the classifier is wrong about whole videos; frames
    close to each other are alike, so that it is too narrow rather than too wide.

    Args:
        probabilities: float [n].
        resamples: How many to draw, at least 1.
        seed: Seeds the drawing.

    Returns:
        The bounds of the 95% interval; None for fewer than 2 frames.
    """
    count = len(probabilities)
    if count < 2:
        return None, None
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    low, high = np.quantile(drawn @ probabilities / count, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def video_row(scored: ScoredVideo) -> dict[str, Any]:
    """Returns what is known of a video; values that are not known are None.

    `name` is that of the folder of its crops, and what other rows call it.
    """
    manifest = scored.manifest
    return {
        "video": str(manifest.video.path),
        "name": manifest.video.video_id,
        "status": manifest.status,
        "reason": manifest.reason,
        "frames": manifest.frames,
        "faces": len(manifest.crops),
        "frames_with_several_faces": manifest.frames_with_several_faces,
        "probability": _rounded(scored.probability),
        "probability_low": _rounded(scored.low),
        "probability_high": _rounded(scored.high),
    }


def face_rows(scored: ScoredVideo) -> list[dict[str, Any]]:
    """Returns a row for every face that was scored, in the order of the frames."""
    video = str(scored.manifest.video.path)
    values = (
        (
            video,
            crop.frame_index,
            round(crop.seconds, 3),
            _rounded(float(probability)),
            crop.x,
            crop.y,
            crop.side,
            _rounded(crop.confidence),
            crop.faces,
            crop.file,
        )
        for crop, probability in zip(scored.manifest.crops, scored.probabilities, strict=True)
    )
    return [dict(zip(FACE_COLUMNS, row, strict=True)) for row in values]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
