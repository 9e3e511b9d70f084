"""What became of every video: one JSON file each, written last, and a report over all of them.

The crops of a folder of ready crops share one file with a line each instead, because a file per
crop would be thousands.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tfselfsup.datasets.records import FAKE, Crop, Video, VideoKey
from tfselfsup.runs import written_aside

# Of a manifest. A video that several of the first four fit has the first that does.
STATUSES = (
    "truncated",  # the header tells of more frames than can be decoded; the others are used
    "no face",  # in no frame
    "several faces",  # two or more in at least half the frames, so that the choice may be wrong
    "done",
    "unreadable",  # not one frame can be decoded, or the decoder crashed
    "missing",  # listed, but not there
    "duplicate",  # the same bytes as a file listed earlier
)
# Of a row of the report only.
PENDING, NOT_DRAWN, UNLABELLED = "pending", "not drawn", "unlabelled"


class Manifest(NamedTuple):
    """What became of a video.

    Attributes:
        video: As it was listed.
        status: One of `STATUSES`.
        reason: In words, where the status is not `done`.
        settings: Of the extraction; empty if nothing was searched for faces.
        file_size: Of the video, in bytes; with `file_time` it tells whether the file has changed.
        file_time: When the file was last changed, in nanoseconds.
        frames: Frames that were searched.
        frames_with_faces: Those with at least one face.
        frames_with_several_faces: Those with two or more.
        truncated: Whether fewer frames can be decoded than the header tells of.
        mask: Whether the data set has a mask of the manipulated region.
        seconds: Time to decode, to detect and to write.
        detector_seconds: The share of the detector alone.
        crops: The crops, in the order of their frames.
        unreadable_frames: Wanted frames that could not be searched, as they have no pixels.
    """

    video: Video
    status: str
    reason: str = ""
    settings: dict[str, Any] = {}
    file_size: int = 0
    file_time: int = 0
    frames: int = 0
    frames_with_faces: int = 0
    frames_with_several_faces: int = 0
    truncated: bool = False
    mask: bool = False
    seconds: float = 0.0
    detector_seconds: float = 0.0
    crops: tuple[Crop, ...] = ()
    unreadable_frames: int = 0


def manifest_file(out: Path, video: Video) -> Path:
    """Returns where the manifest of a video lies."""
    return Path(out) / "manifests" / video.data_set / f"{video.video_id}.json"


def crops_file(out: Path, data_set: str) -> Path:
    """Returns where the manifests of a folder of ready crops lie, one a line."""
    return Path(out) / "manifests" / f"{data_set}.jsonl"


def stamp(video: Video) -> tuple[int, int]:
    """Returns the size of a video's file in bytes, and its time of change in nanoseconds."""
    stat = video.path.stat()
    return stat.st_size, stat.st_mtime_ns


def write(out: Path, manifest: Manifest) -> None:
    """Writes the manifest of a video, whole or not at all."""
    path = manifest_file(out, manifest.video)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text(json.dumps(_plain(manifest), indent=1) + "\n")


def write_crops(out: Path, data_set: str, manifests: Iterable[Manifest]) -> None:
    """Writes the manifests of a folder of ready crops, whole or not at all."""
    path = crops_file(out, data_set)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text("".join(json.dumps(_plain(each)) + "\n" for each in manifests))


def files(out: str | Path) -> list[str]:
    """Lists the files of manifests in the folder of crops and manifests, sorted."""
    folder = Path(out) / "manifests"
    return sorted(str(path) for path in folder.rglob("*") if path.suffix in (".json", ".jsonl"))


def read_file(path: Path) -> list[Manifest]:
    """Reads the manifest, or the lines of manifests, of a file.

    Raises:
        ValueError: If the file was damaged.
    """
    text = Path(path).read_text()
    parts = text.splitlines() if Path(path).suffix == ".jsonl" else [text]
    return [_parsed(part, path) for part in parts]


def read_all(out: str | Path) -> Iterator[Manifest]:
    """Reads all manifests, also those of videos that were listed once and are no more."""
    return itertools.chain.from_iterable(read_file(Path(file)) for file in files(out))


def read(out: Path, videos: Iterable[Video]) -> dict[VideoKey, Manifest]:
    """Reads the manifests of those videos that have one.

    Args:
        out: The folder that the crops were written to.
        videos: The videos.

    Returns:
        The manifests by `data_set` and `video_id`, in the order of `videos`.

    Raises:
        ValueError: If a manifest was damaged.
    """
    videos = list(videos)
    ready = {}
    for data_set in {video.data_set for video in videos}:
        path = crops_file(out, data_set)
        if path.is_file():
            ready |= {manifest.video.key: manifest for manifest in read_file(path)}
    found = {}
    for video in videos:
        path = manifest_file(out, video)
        if path.is_file():
            (found[video.key],) = read_file(path)
        elif video.key in ready:
            found[video.key] = ready[video.key]
    return found


def missing(video: Video) -> Manifest:
    """Makes the manifest of a video whose file is not there."""
    reason = f"there is no file {video.path.name}"
    return Manifest(video, "missing", reason, mask=video.mask is not None)


def report(
    out: Path,
    videos: Sequence[Video],
    unlabelled: Iterable[Path] = (),
    drawn: Collection[VideoKey] | None = None,
) -> list[dict[str, Any]]:
    """Tells of every listed video what became of it.

    Args:
        out: The folder that the crops were written to.
        videos: All that are listed, in the order of the rows.
        unlabelled: Files that are there without a label; they come last.
        drawn: Which of the videos were to be extracted; all by default.

    Returns:
        Rows with the columns data_set, video_id, label, status, reason, frames,
        unreadable_frames, faces, frames_with_several_faces, mask (0 or 1), seconds and
        detector_seconds. A video without a manifest is `pending`, a file without a label
        `unlabelled`. One that was not to be extracted is `not drawn`, whatever an earlier run made
        of it, unless its file is missing.
    """
    drawn = {video.key for video in videos} if drawn is None else drawn
    manifests = read(out, [video for video in videos if video.key in drawn])
    rows = [
        _row(manifests.get(video.key) or _unwritten(video, video.key in drawn)) for video in videos
    ]
    nothing = dict.fromkeys(_row(Manifest(Video(Path(), "", "", "", FAKE), "")), "")
    for path in unlabelled:
        reason = "the data set gives it no label"
        rows.append(nothing | {"video_id": str(path), "status": UNLABELLED, "reason": reason})
    return rows


def summary(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Counts the rows of a report by status; all statuses are there, `done` first."""
    counts = dict.fromkeys(("done", *STATUSES, PENDING, NOT_DRAWN, UNLABELLED), 0)
    for row in rows:
        counts[row["status"]] += 1
    return counts


def _unwritten(video: Video, drawn: bool) -> Manifest:
    """Stands for the manifest of a video that has none."""
    if drawn:
        return Manifest(video, PENDING, "not extracted yet")
    # Where a number of videos is drawn, it is from those that are there.
    there = video.path.is_file()
    return Manifest(video, NOT_DRAWN, "left out on request") if there else missing(video)


def _row(manifest: Manifest) -> dict[str, Any]:
    video = manifest.video
    return {
        "data_set": video.data_set,
        "video_id": video.video_id,
        "label": "fake" if video.label == FAKE else "real",
        "status": manifest.status,
        "reason": manifest.reason,
        "frames": manifest.frames,
        "unreadable_frames": manifest.unreadable_frames,
        "faces": len(manifest.crops),
        "frames_with_several_faces": manifest.frames_with_several_faces,
        "mask": int(manifest.mask),
        "seconds": round(manifest.seconds, 3),
        "detector_seconds": round(manifest.detector_seconds, 3),
    }


def _plain(manifest: Manifest) -> dict[str, Any]:
    video = manifest.video
    mask = None if video.mask is None else str(video.mask)
    return manifest._asdict() | {
        "video": video._asdict() | {"path": str(video.path), "mask": mask},
        "crops": [crop._asdict() for crop in manifest.crops],
    }


def _parsed(text: str, path: Path) -> Manifest:
    try:
        plain = json.loads(text)
        video = plain["video"]
        mask = None if video["mask"] is None else Path(video["mask"])
        video = Video(**(video | {"path": Path(video["path"]), "mask": mask}))
        crops = tuple(Crop(**crop) for crop in plain["crops"])
        return Manifest(**(plain | {"video": video, "crops": crops}))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"expected a manifest in {path}, got: {error!r}; delete it") from error
