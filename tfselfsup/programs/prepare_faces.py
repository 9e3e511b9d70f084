"""Turns face videos, or ready crops, into a data set with splits that can be trusted."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfselfsup.command_line import ExperimentParser, built
from tfselfsup.config import FacePreparation
from tfselfsup.datasets.records import Video
from tfselfsup.programs.startup import import_quietly, user_mistakes
from tfselfsup.runs import locked, written_aside

if TYPE_CHECKING:
    from tfselfsup.datasets.extraction import Work

SPLICES = "splices"
AUDITED = ("random", "video", "hard", "actor")
LOADED_SIDE, LOADED_BATCH = 224, 32
MOST_READ = 8000  # images, to measure how fast they are read


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "source",
        help="folder of DFDC, FaceForensics++ or DeepFakeDetection videos, or of ready crops with "
        f"a CSV; or '{SPLICES}', forged images made on the spot",
    )
    parser.add_argument("--out", required=True, help="folder for crops, report and data set")
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument(
        "--beam_pipeline_options",
        type=str | None,
        help="extract and build on Apache Beam, with its options as `tfds build` takes them, such "
        "as runner=FlinkRunner,flink_master=HOST:8081",
    )
    parser.add_argument("--dry_run", action="store_true", help="list what would be done, and stop")
    parser.add_class_arguments(FacePreparation)
    parsed = parser.parse_args(arguments)
    settings = built(FacePreparation, parser, parsed)
    beam_options = None
    if parsed.beam_pipeline_options is not None:
        beam_options = [f"--{option}" for option in parsed.beam_pipeline_options.split(",")]
    from tfselfsup.datasets import splits

    with user_mistakes():
        if beam_options is not None:
            _check_beam()
        splits.checked_fractions(settings.fractions)
        out = Path(parsed.out)
        alone = contextlib.nullcontext() if parsed.dry_run else locked(out)
        with alone:
            _check_ours(out)
            if parsed.source == SPLICES:
                videos = _make_splices(settings, out, parsed.dry_run)
            else:
                videos = _extract(parsed.source, settings, out, beam_options, parsed.dry_run)
            if not parsed.dry_run:
                _build(settings, out, videos, beam_options)


def _check_beam() -> None:
    if importlib.util.find_spec("apache_beam") is None:
        raise ValueError(
            "expected Apache Beam for --beam_pipeline_options, got no package apache_beam; "
            "pip install 'tfselfsup[beam]'"
        )


def _check_ours(out: Path) -> None:
    """Checks before hours of work what the data set would replace at their end."""
    if (out / "tfds").exists():
        import_quietly("tensorflow_datasets")
        from tfselfsup.datasets import forged_faces

        forged_faces.check_ours(out)


def _make_splices(settings: FacePreparation, out: Path, dry_run: bool) -> list[Video]:
    from tfselfsup.datasets import splices

    print(f"{settings.splices} splices of {settings.splice_side} pixels")
    if dry_run:
        return []
    return splices.write(out, settings.splices, settings.splice_side, settings.seed)


def _extract(
    source: str,
    settings: FacePreparation,
    out: Path,
    beam_options: list[str] | None,
    dry_run: bool,
) -> list[Video]:
    """Lists the videos, cuts out their faces and reports what became of each."""
    from tqdm import tqdm

    from tfselfsup.datasets import extraction, layouts, manifests, workers

    listing = layouts.list_videos(
        source,
        settings.layout,
        compression=settings.compression,
        manipulations=settings.manipulations,
    )
    videos = _chosen(listing.videos, settings)
    print(_listed(listing.videos, listing.unlabelled))
    for folder in listing.empty:
        print(f"warning: no {settings.compression} video in {folder}", file=sys.stderr)
    if len(videos) < len(listing.videos):
        print(f"{len(videos)} of them are taken")
    if dry_run:
        return videos
    # For the processes that detect; they would each tell that there is no GPU.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    each = workers.each_apart
    if beam_options is not None:
        from tfselfsup.datasets import on_beam

        each = on_beam.each(beam_options, out)
    with tqdm(total=len(videos), unit=" videos", disable=None) as bar:
        work = extraction.extract_all(
            videos,
            out,
            settings.extraction,
            workers=settings.workers,
            on_done=lambda manifest: bar.update(),
            each=each,
        )
    drawn = {video.key for video in videos}
    rows = manifests.report(out, listing.videos, listing.unlabelled, drawn)
    _write_report(rows, out)
    print(_summary(rows))
    print(out / "report.csv")
    if work.frames:
        print(_rates(work))
    return videos


def _chosen(videos: Sequence[Video], settings: FacePreparation) -> list[Video]:
    """Draws as many real and manipulated videos as asked for."""
    from tfselfsup.datasets import layouts

    if settings.real is None and settings.fake is None:
        return list(videos)[: settings.limit]
    drawn = layouts.sample(videos, settings.real, settings.fake, settings.seed)
    return drawn[: settings.limit]


def _listed(videos: Sequence[Video], unlabelled: Sequence[Path]) -> str:
    fakes = sum(video.label for video in videos)
    missing = sum(not video.path.is_file() for video in videos)
    sets = ", ".join(sorted({video.data_set for video in videos}))
    return (
        f"{sets}: {len(videos) - fakes} real and {fakes} fake videos or crops are listed, "
        f"{missing} of them missing; {len(unlabelled)} files without a label"
    )


def _write_report(rows: Sequence[dict[str, Any]], out: Path) -> None:
    import pandas as pd

    with written_aside(out / "report.csv") as aside:
        # Names of files may be of no encoding.
        pd.DataFrame(rows).to_csv(aside, index=False, errors="backslashreplace")


def _summary(rows: Sequence[dict[str, Any]]) -> str:
    """Counts the videos by what became of them."""
    from tabulate import tabulate

    from tfselfsup.datasets import manifests

    counts = [
        {"status": status, "videos": count}
        for status, count in manifests.summary(rows).items()
        if count
    ]
    return tabulate(counts, headers="keys", tablefmt="pipe")


def _rates(work: Work) -> str:
    """Says how fast this run was beside its detector alone, which searched the same frames."""
    from tabulate import tabulate

    timed = {
        "this run, all processes": work.seconds,
        "one process": work.busy_seconds,
        "its detector alone": work.detector_seconds,
    }
    rows = [
        {"": what, "frames/s": work.frames / seconds, "faces/s": work.faces / seconds}
        for what, seconds in timed.items()
    ]
    table = tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=".1f")
    return (
        f"{work.frames} frames, {work.faces} faces of {work.videos} videos "
        f"in {work.seconds:.0f} s\n{table}"
    )


def _build(
    settings: FacePreparation, out: Path, videos: Sequence[Video], beam_options: list[str] | None
) -> None:
    """Builds the data set, audits its splits and measures how fast it is read."""
    import_quietly("tensorflow", "tensorflow_datasets")
    import tensorflow_datasets as tfds

    from tfselfsup.datasets import forged_faces
    from tfselfsup.datasets.loading import FaceData

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    wanted = {video.key for video in videos}
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS tells of a folder that will be renamed
        folder = forged_faces.build(out, wanted, beam_options)
    data = FaceData(out)
    fakes = int(data.index["label"].sum())
    print(f"{folder}: {len(data) - fakes} real and {fakes} fake crops")
    print(_audit(data.index, settings))
    print(_reading_speed(data, out, videos))


def _audit(index, settings: FacePreparation) -> str:
    """Writes what stands on both sides of each split, or why there is no such split."""
    from tabulate import tabulate

    from tfselfsup.datasets import leakage, splits

    sizes, leaks, remarks = [], [], []
    for split in AUDITED:
        if split == "video" and splits.coincide(index, "random", "video"):
            remarks.append("one crop per video: the splits 'random' and 'video' coincide")
            continue
        try:
            parts = splits.assign(index, split, settings.fractions, settings.seed)
        except ValueError as error:
            remarks.append(f"no split '{split}': {error}")
            continue
        sizes += [{"split": split, **row} for row in _sizes(index, parts)]
        leaks += [{"split": split, **row} for row in leakage.audit(index, parts) if row["in all"]]
    tables = [
        tabulate(rows, headers="keys", tablefmt="pipe", floatfmt=".3f") for rows in (sizes, leaks)
    ]
    return "\n\n".join(["Parts:", tables[0], "Leakage:", tables[1], *remarks])


def _sizes(index, parts) -> list[dict[str, Any]]:
    """Counts the crops and sources of each part."""
    from tfselfsup.datasets import splits

    rows = []
    for part in splits.PARTS:
        chosen = index[parts == part]
        if len(chosen):
            sources = len(chosen.drop_duplicates(splits.SOURCE))
            fake = int(chosen["label"].sum())
            rows.append(
                {"part": part, "sources": sources, "real": len(chosen) - fake, "fake": fake}
            )
    return rows


def _reading_speed(data, out: Path, videos: Sequence[Video]) -> str:
    """Compares images of the data set with the crops' files, read and decoded one by one."""
    import cv2
    import numpy as np

    from tfselfsup.datasets import manifests

    found = manifests.read(out, videos).values()
    files = [out / crop.file for manifest in found for crop in manifest.crops][:MOST_READ]
    started = time.perf_counter()
    for file in files:
        cv2.imread(str(file))
    plain = len(files) / (time.perf_counter() - started)
    images = data.images(
        np.arange(len(data)) < MOST_READ, side=LOADED_SIDE, batch_size=LOADED_BATCH, shuffle_seed=0
    )
    started = time.perf_counter()
    count = sum(len(batch["row"]) for batch in images.as_numpy_iterator())
    loaded = count / (time.perf_counter() - started)
    return (
        f"{loaded:.0f} images/s shuffled, decoded and scaled to {LOADED_SIDE} pixels; "
        f"{plain:.0f} images/s read plainly from their files with OpenCV"
    )
