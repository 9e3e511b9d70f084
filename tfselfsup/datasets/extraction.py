"""Stage one: every listed video becomes face crops and a manifest of what became of it."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tfselfsup.config import ExtractionConfig
from tfselfsup.datasets import face_crops, manifests, ready_crops
from tfselfsup.datasets.face_crops import extract
from tfselfsup.datasets.face_detection import DETECTORS, Detector
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Video, VideoKey
from tfselfsup.datasets.workers import Died, each_apart


class Work(NamedTuple):
    """What was done in one call, without what had been done before.

    Attributes:
        videos: Videos that were opened; ready crops do not count.
        frames: Frames that were searched.
        faces: Faces that were cut out.
        seconds: From the start of the first process to the end of the last.
        busy_seconds: Time to decode, to detect and to write, summed over the videos.
        detector_seconds: The share of the detector alone.
    """

    videos: int = 0
    frames: int = 0
    faces: int = 0
    seconds: float = 0.0
    busy_seconds: float = 0.0
    detector_seconds: float = 0.0

    def and_with(self, manifest: Manifest) -> Work:
        """Returns the work with that on one more video."""
        return self._replace(
            videos=self.videos + 1,
            frames=self.frames + manifest.frames,
            faces=self.faces + len(manifest.crops),
            busy_seconds=self.busy_seconds + manifest.seconds,
            detector_seconds=self.detector_seconds + manifest.detector_seconds,
        )


def extract_all(
    videos: Sequence[Video],
    out: str | Path,
    settings: ExtractionConfig,
    *,
    workers: int,
    on_done: Callable[[Manifest], None] = lambda manifest: None,
    each: Callable[..., Generator[tuple[Video, Any], None, None]] = each_apart,
    extract: Callable[[Video, Path, Detector, ExtractionConfig], Manifest] = extract,
) -> Work:
    """Extracts all videos, in processes of their own, and copies ready crops.

    A video whose manifest is there, made of the same file with the same settings, is not done
    again, so that a run that was ended goes on where it was; an unreadable one is tried again. One
    whose file has gone since keeps its crops. A video that kills its process, or for which the
    detector fails, is `unreadable`, and the others go on. Where the original of a fake is a copy of
    another video, that one becomes the fake's source. What is there of videos that are not listed
    now is left as it is.

    Args:
        videos: What is to be done, as listed.
        out: The folder of crops and manifests.
        settings: How to do it.
        workers: How many processes, each with a detector; 1 is one process beside this one.
        on_done: Called with the manifest of every video, also of those that were done before.
        each: What spreads the work; takes the arguments of `each_apart`.
        extract: What is done with a video; picklable.

    Returns:
        How much there was to do, and how long it took.

    Raises:
        ValueError: If `out` holds manifests made with other settings, or a damaged one.
    """
    out = Path(out)
    before = {manifest.video.key: manifest for manifest in manifests.read_all(out)}
    # Those of videos that are not listed now, too: their crops are in the same folder.
    _check_same_settings(out, before.values(), settings)
    firsts = _first_of_the_same_content(videos)
    waiting, ready = [], defaultdict(list)
    for video in _with_first_sources(videos, firsts):
        if ready_crops.is_ready_crop(video):
            ready[video.data_set].append(video)
            continue
        manifest = _without_work(video, out, firsts, before)
        if manifest is None:
            waiting.append(video)
        else:
            if manifest != before.get(video.key):
                manifests.write(out, manifest)
            on_done(manifest)
    for crops in ready.values():
        ready_crops.copy_all(
            crops, out, before, lambda crop: _without_work(crop, out, firsts, before), on_done
        )
    prepare = partial(DETECTORS[settings.detector], settings.longest_side)
    task = partial(_task, out=out, settings=settings, extract=extract)
    work, started = Work(), time.perf_counter()
    with closing(each(task, prepare, waiting, workers)) as outcomes:
        for video, outcome in outcomes:
            if isinstance(outcome, Died):
                reason = f"the decoder crashed ({outcome.cause})"
                outcome = _given_up(video, out, settings, reason)
            work = work.and_with(outcome)
            on_done(outcome)
    return work._replace(seconds=time.perf_counter() - started)


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
        return manifests.missing(video)
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


def _check_same_settings(out: Path, before: Iterable[Manifest], settings: ExtractionConfig) -> None:
    wanted = asdict(settings)
    for manifest in before:
        for name, old in manifest.settings.items():
            rates = manifest.settings.get("frames_per_second"), settings.frames_per_second
            if name == "frames_per_video" and rates != (None, None):
                continue  # a rate takes its place
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
    """Leads fakes whose original, or whose donor's, is a duplicate to the one that is kept."""
    kept = {
        copy.key: first.source_id
        for copy, first in firsts.items()
        if copy.data_set == first.data_set
    }

    def kept_id(data_set: str, video_id: str) -> str:
        return kept.get((data_set, video_id), video_id)

    return [
        video
        if video in firsts
        else video._replace(
            source_id=kept_id(video.data_set, video.source_id),
            donor=kept_id(video.data_set, video.donor),
        )
        for video in videos
    ]


def _remove_crops(video: Video, out: Path) -> None:
    remove = ready_crops.remove if ready_crops.is_ready_crop(video) else face_crops.remove
    remove(video, out)
