"""Makes what stage one of the preparation leaves behind, without any video."""

import hashlib
from pathlib import Path

import cv2
import numpy as np

from tfselfsup.datasets import manifests
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import FAKE, REAL, Crop, Video

FRAMES = 2


def picture(number: int, side: int = 24) -> np.ndarray:
    """A picture of two colours that tell its number, uint8 [side, side, 3]."""
    image = np.zeros((side, side, 3), np.uint8)
    image[: side // 2] = (10 * number % 256, 40, 200)
    image[side // 2 :] = (200, 40, 10 * number % 256)
    return image


def write(out: Path, sources: int = 4) -> list[Manifest]:
    """Writes for each source a real video and a fake, with `FRAMES` crops each."""
    written = []
    for number in range(sources):
        for label in (REAL, FAKE):
            video = Video(
                path=Path(f"{number}.mp4"),
                data_set="made",
                video_id=f"{'fake' if label else 'real'}_{number}",
                source_id=f"real_{number}",
                label=label,
                actor=f"actor {number % 2}",
                manipulation="blend" if label else "",
                donor=f"actor {(number + 1) % 2}" if label else "",
            )
            crops = [_crop(out, video, frame, 4 * number + 2 * label + frame) for frame in range(2)]
            manifest = Manifest(video, "done", frames=FRAMES, mask=bool(label), crops=crops)
            manifests.write(out, manifest)
            written.append(manifest)
    return written


def _crop(out: Path, video: Video, frame: int, number: int) -> Crop:
    file = Path("crops") / video.data_set / video.video_id / f"{frame}.jpg"
    (out / file).parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out / file), picture(number), (cv2.IMWRITE_JPEG_QUALITY, 100))
    digest = hashlib.sha256((out / file).read_bytes()).hexdigest()
    return Crop(str(file), frame, frame / 2, 5 + number, 7, 24, 0.5 + number / 100, 1, digest)
