"""Stage one: every listed video becomes face crops and a manifest of what became of it."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from tfselfsup.config import ExtractionConfig
from tfselfsup.datasets import face_crops, manifests, ready_crops
from tfselfsup.datasets.face_crops import extract
from tfselfsup.datasets.face_detection import DETECTORS, Detector
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Video, VideoKey
from tfselfsup.datasets.workers import Died, each_apart


def extract_all(
    videos: Sequence[Video],
    out: str | Path,
    settings: ExtractionConfig,
    *,
    workers: int = 1,
    on_done: Callable[[Manifest], None] = lambda manifest: None,
    each: Callable[..., Generator[tuple[Video, Any], None, None]] = each_apart,
    extract: Callable[[Video, Path, Detector, ExtractionConfig], Manifest] = extract,
) -> None:
    """Extracts all videos, in processes of their own, and copies ready crops.

    A video whose manifest is there, made of the same file with the same settings, is not done
    again, so that a run that was ended goes on where it was; an unreadable one is tried again. One
    whose file has gone since keeps its crops. A video that kills its process, or for which the
    detector fails, is `unreadable`, and the others go on. Where the original of a fake is a copy of
    another video, that one becomes the fake's source.

    Args:
        videos: What is to be done, as listed.
        out: The folder of crops and manifests.
        settings: How to do it.
        workers: How many processes, each with a detector; 1 is one process beside this one.
        on_done: Called with the manifest of every video, also of those that were done before.
        each: What spreads the work; takes the arguments of `each_apart`.
        extract: What is done with a video; picklable.

    Raises:
        ValueError: If `out` holds manifests made with other settings, or a damaged one.
    """
    out = Path(out)
    before = {manifest.video.key: manifest for manifest in manifests.read_all(out)}
    # Those of videos that are not listed now, too: their crops are in the same folder.
    _check_same_settings(out, before.values(), settings)
    firsts = _first_of_the_same_content(videos)
    videos = _with_first_sources(videos, firsts)
    waiting, ready = [], defaultdict(list)
    for video in videos:
        manifest = _without_work(video, out, firsts, before)
        if ready_crops.is_ready_crop(video):
            ready[video.data_set].append(manifest or _copied(video, out))
        elif manifest is None:
            waiting.append(video)
        else:
            if manifest != before.get(video.key):
                manifests.write(out, manifest)
            on_done(manifest)
    for data_set, copied in ready.items():
        manifests.write_crops(out, data_set, copied)
        for manifest in copied:
            on_done(manifest)
    prepare = partial(DETECTORS[settings.detector], settings.longest_side)
    task = partial(_task, out=out, settings=settings, extract=extract)
    with closing(each(task, prepare, waiting, workers)) as outcomes:
        for video, outcome in outcomes:
            if isinstance(outcome, Died):
                reason = f"the decoder crashed ({outcome.cause})"
                outcome = _given_up(video, out, settings, reason)
            on_done(outcome)


def _task(
    detector: Detector, video: Video, out: Path, settings: ExtractionConfig, extract: Callable
) -> Manifest:
    try:
        return extract(video, out, detector, settings)
    except OSError:  # not the video's fault, such as a full disk
        raise
    except Exception as error:  # whatever a decoder or a detector may raise
        return _given_up(video, out, settings, f"{type(error).__name__}: {error}")


def _given_up(video: Video, out: Path, settings: ExtractionConfig, reason: str) -> Manifest:
    """Removes what there is of a video, and writes why."""
    _remove_crops(video, out)
    manifest = face_crops.blank(video, settings)._replace(status="unreadable", reason=reason)
    manifests.write(out, manifest)
    return manifest


def _without_work(
    video: Video, out: Path, firsts: dict[Video, Video], before: dict[VideoKey, Manifest]
) -> Manifest | None:
    """The manifest of a video that need not, or cannot, be opened."""
    mask = video.mask is not None
    known = before.get(video.key)
    whole = known is not None and all((out / crop.file).is_file() for crop in known.crops)
    if not video.path.is_file():
        if whole and known.crops:
            return known._replace(video=video, mask=mask)
        _remove_crops(video, out)
        return Manifest(video, "missing", f"there is no file {video.path.name}", mask=mask)
    if video in firsts:
        _remove_crops(video, out)
        first = firsts[video]
        label = "" if first.label == video.label else ", which has another label"
        reason = f"same content as {first.data_set} {first.video_id}{label}"
        return Manifest(video, "duplicate", reason, mask=mask)
    if known is None or known.status == "unreadable":
        return None
    same = (known.file_size, known.file_time) == manifests.stamp(video)
    return known._replace(video=video, mask=mask) if same and whole else None


def _copied(video: Video, out: Path) -> Manifest:
    size, changed = manifests.stamp(video)
    return ready_crops.copy(video, out)._replace(file_size=size, file_time=changed)


def _check_same_settings(out: Path, before: Iterable[Manifest], settings: ExtractionConfig) -> None:
    wanted = asdict(settings)
    for manifest in before:
        for name, old in manifest.settings.items():
            if old != wanted.get(name):
                raise ValueError(
                    f"{out} holds crops made with {name}={old}, got {wanted.get(name)}; "
                    "name another folder or keep the setting"
                )


def _first_of_the_same_content(videos: Iterable[Video]) -> dict[Video, Video]:
    """Maps every video with the bytes of one listed before to that one."""
    of_size = defaultdict(list)
    for video in videos:
        if video.path.is_file():
            of_size[video.path.stat().st_size].append(video)
    firsts = {}
    # Files of different sizes differ: most videos need not be read for this.
    for same_size in of_size.values():
        if len(same_size) > 1:
            of_content: dict[str, Video] = {}
            for video in same_size:
                with video.path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                first = of_content.setdefault(digest, video)
                if first is not video:
                    firsts[video] = first
    return firsts


def _with_first_sources(videos: Sequence[Video], firsts: dict[Video, Video]) -> list[Video]:
    """Leads fakes whose original is a duplicate to the original that is kept."""
    kept = {
        copy.key: first.source_id
        for copy, first in firsts.items()
        if copy.data_set == first.data_set
    }
    return [
        video
        if video in firsts
        else video._replace(source_id=kept.get((video.data_set, video.source_id), video.source_id))
        for video in videos
    ]


def _remove_crops(video: Video, out: Path) -> None:
    remove = ready_crops.remove if ready_crops.is_ready_crop(video) else face_crops.remove
    remove(video, out)
