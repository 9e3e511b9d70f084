"""Faces that were cut out before: they are copied as they are, byte by byte."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from PIL import Image

from tfselfsup.datasets import manifests
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Crop, Video, VideoKey
from tfselfsup.datasets.tables import IMAGE_ENDINGS
from tfselfsup.runs import written_aside

# With what a file begins and ends.
_KINDS = {"JPEG": (b"\xff\xd8", b"\xff\xd9"), "PNG": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")}

# An interruption costs as many crops at most, or such a share of all.
_SAVED_CROPS, _SAVED_SHARE = 1000, 0.1


def is_ready_crop(video: Video) -> bool:
    """Tells whether a listed video is an image."""
    return video.path.suffix.lower() in IMAGE_ENDINGS


def copy_all(
    crops: Sequence[Video],
    out: Path,
    before: Mapping[VideoKey, Manifest],
    without_work: Callable[[Video], Manifest | None],
    on_done: Callable[[Manifest], None],
) -> None:
    """Copies the crops of a data set, and saves from time to time what became of them.

    Args:
        crops: At least one; all of one data set.
        out: The folder of crops and manifests.
        before: What became of crops earlier. Those that are not among `crops` are kept.
        without_work: Returns the manifest of a crop that need not, or cannot, be copied.
        on_done: Called with the manifest of every crop.
    """
    data_set = crops[0].data_set
    known = {
        key: manifest
        for key, manifest in before.items()
        if key[0] == data_set and is_ready_crop(manifest.video)
    }
    unsaved = 0
    for video in crops:
        manifest = without_work(video) or copy(video, out)
        if manifest != known.get(video.key):
            known[video.key] = manifest
            unsaved += 1
        # The file is written whole: the longer it is, the less often.
        if unsaved >= max(_SAVED_CROPS, _SAVED_SHARE * len(known)):
            manifests.write_crops(out, data_set, known.values())
            unsaved = 0
        on_done(manifest)
    if unsaved:
        manifests.write_crops(out, data_set, known.values())


def copy(video: Video, out: Path) -> Manifest:
    """Copies a crop to `crops/<data_set>/<video_id>`, with its own ending.

    Args:
        video: Whose image is there.
        out: The folder of crops and manifests.

    Returns:
        The manifest, `done` or `unreadable`. The crop counts as one frame with one face, of
        confidence 1; its `side` is the image's shorter one.
    """
    size, changed = manifests.stamp(video)
    manifest = Manifest(
        video, "done", file_size=size, file_time=changed, mask=video.mask is not None
    )
    content = video.path.read_bytes()
    try:
        side = min(_size(content))
    except ValueError as error:
        return manifest._replace(status="unreadable", reason=str(error))
    file = _file(video)
    target = out / file
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(target) as aside:
        aside.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    crop = Crop(str(file), 0, 0.0, 0, 0, side, confidence=1.0, faces=1, sha256=digest)
    return manifest._replace(frames=1, frames_with_faces=1, crops=(crop,))


def remove(video: Video, out: Path) -> None:
    """Deletes the copy of a crop."""
    (out / _file(video)).unlink(missing_ok=True)


def _file(video: Video) -> PurePosixPath:
    return PurePosixPath("crops", video.data_set, video.video_id + video.path.suffix.lower())


def _size(content: bytes) -> tuple[int, int]:
    """Decodes a JPEG or a PNG, as strictly as TensorFlow does, which OpenCV is not.

    Returns:
        Its width and its height.

    Raises:
        ValueError: If it is damaged, or none; with what is wrong.
    """
    # Pillow overlooks a missing end, TensorFlow does not. Some writers pad a whole file with zeros.
    for kind, (start, end) in _KINDS.items():
        if content.startswith(start) and end not in content.rstrip(b"\0")[-64:]:
            raise ValueError(f"the {kind} ends early")
    # Of other kinds, whatever the ending says, TensorFlow reads none.
    if not content.startswith(tuple(start for start, _ in _KINDS.values())):
        raise ValueError("it is neither a JPEG nor a PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                image.load()
                return image.size
    except Exception as error:  # of many kinds, and for a size that no memory holds
        raise ValueError("the image cannot be decoded") from error
