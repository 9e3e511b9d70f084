"""The extraction on Apache Beam, for sets of videos that outgrow a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfselfsup.datasets import manifests
from tfselfsup.datasets.records import Video


def each(options: list[str], out: Path) -> Callable[..., Iterator[tuple[Video, Any]]]:
    """Returns what takes the place of `workers.each_apart` in `extraction.extract_all`.

    Videos are read, and crops and manifests written, at the same paths on every machine. A video
    that kills its process is tried again as often as the runner does that, and then ends the run;
    those that were done are not done again by the same command.

    Args:
        options: Command-line options of the pipeline, such as `--runner=DirectRunner`.
        out: The folder of crops and manifests.

    Returns:
        A function as `each_apart`. It raises a ValueError if workers wrote to other folders.
    """

    def each_on_beam(
        task: Callable[[Any, Video], Any],
        prepare: Callable[[], Any],
        videos: Iterable[Video],
        workers: int,
    ) -> Iterator[tuple[Video, Any]]:
        del workers  # the runner's own options say so
        videos = list(videos)
        for video in videos:  # or what an earlier run wrote would be taken for this one's
            manifests.manifest_file(out, video).unlink(missing_ok=True)
        with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
            _ = (
                pipeline
                | "videos" >> beam.Create(videos)
                | "spread" >> beam.Reshuffle()
                | "extract" >> beam.ParDo(_Apply(task, prepare))
            )
        written = manifests.read(out, videos)
        lost = [video for video in videos if video.key not in written]
        if lost:
            raise ValueError(
                f"expected the workers to write {len(videos)} manifests to {out}, got none of "
                f"{len(lost)} videos, such as {lost[0].video_id}; name a folder that all machines "
                "share, at the same path"
            )
        for video in videos:
            yield video, written[video.key]

    return each_on_beam


class _Apply(beam.DoFn):
    """Applies a task; a worker makes its detector once."""

    def __init__(self, task: Callable[[Any, Video], Any], prepare: Callable[[], Any]):
        self._task, self._prepare = task, prepare

    def setup(self) -> None:
        self._prepared = self._prepare()

    def process(self, video: Video) -> None:
        self._task(self._prepared, video)
