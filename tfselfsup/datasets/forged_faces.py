"""Stage two: the TFDS data set `forged_faces`, built from the manifests of stage one."""

from __future__ import annotations

import functools
import io
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from tfselfsup.datasets import manifests
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import VideoKey
from tfselfsup.runs import written_aside

# The only split that is stored, and no reserved word such as `all`. Parts are computed from ids.
STORED_SPLIT = "faces"
LABELS = ("real", "fake")
DATA_DIR = "tfds"  # in the folder of the manifests; TFDS' own layout begins there


class ForgedFaces(tfds.core.GeneratorBasedBuilder):
    """Face crops of real and manipulated videos, with what is known of where they come from."""

    name = "forged_faces"
    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.0.0": "The first.", "1.1.0": "With the donors of fakes."}

    def __init__(
        self,
        *,
        prepared: str | Path,
        videos: Collection[VideoKey] | None = None,
        on_beam: bool = False,
        **kwargs,
    ):
        """Takes the folder of the manifests.

        Args:
            prepared: What stage one wrote to.
            videos: Which videos; all that have a manifest by default.
            on_beam: Read the crops in an Apache Beam pipeline.
            **kwargs: TFDS' own, such as `data_dir`.
        """
        self._prepared = Path(prepared)
        self._videos = None if videos is None else frozenset(videos)
        self._on_beam = on_beam
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        text, integer, number = tfds.features.Text(), np.int64, np.float32
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=LABELS),
            "data_set": text,
            "video_id": text,
            "source_id": text,
            "actor": text,
            "donor": text,
            "manipulation": text,
            "frame_index": integer,
            "seconds": number,
            # Left edge, upper edge, width and height, in pixels of the frame.
            "box": tfds.features.Tensor(shape=(4,), dtype=np.int32),
            "confidence": number,
            "faces_in_frame": integer,
            "has_mask": np.bool_,
            "sha256": text,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Face crops of real and manipulated videos. Prepared by bin/prepare_faces.",
            features=tfds.features.FeaturesDict(features),
        )

    def _split_generators(self, dl_manager) -> dict[str, Any]:
        del dl_manager  # nothing is downloaded
        return {STORED_SPLIT: self._generate_examples()}

    def _generate_examples(self):
        read = functools.partial(_examples_in, self._prepared, self._videos)
        files = manifests.files(self._prepared)
        if not self._on_beam:
            return (example for file in files for example in read(file))
        import apache_beam as beam

        return beam.Create(files) | beam.Reshuffle() | beam.FlatMap(read)


def build(
    prepared: Path,
    videos: Collection[VideoKey] | None = None,
    beam_options: list[str] | None = None,
) -> Path:
    """Builds the data set from what stage one wrote; what was built before is replaced.

    Args:
        prepared: What stage one wrote to.
        videos: Which videos; all that have a manifest by default.
        beam_options: Command-line options of the Apache Beam pipeline to build with; without them
            it is built in this process.

    Returns:
        The folder of the data set; see `folder`.

    Raises:
        ValueError: If there is no crop, or if the data set would replace others.
    """
    listed = manifests.read_all(prepared)
    if not any(manifest.crops for manifest in listed if _wanted(manifest, videos)):
        raise ValueError(f"expected at least one face crop in {prepared}, got none")
    config = tfds.download.DownloadConfig()
    if beam_options is not None:
        from apache_beam.options.pipeline_options import PipelineOptions

        config = tfds.download.DownloadConfig(beam_options=PipelineOptions(beam_options))
    check_ours(prepared)
    with written_aside(Path(prepared) / DATA_DIR) as aside:
        builder = ForgedFaces(
            prepared=prepared, videos=videos, on_beam=beam_options is not None, data_dir=aside
        )
        builder.download_and_prepare(download_config=config)
    return folder(prepared)


def check_ours(prepared: Path) -> None:
    """Makes sure that building would not replace other data sets, such as a folder of all of TFDS.

    Args:
        prepared: What stage one writes to.

    Raises:
        ValueError: If it would.
    """
    data_dir = Path(prepared) / DATA_DIR
    others = {path.name for path in data_dir.glob("[!.]*")} - {ForgedFaces.name, "downloads"}
    if others:
        raise ValueError(
            f"expected a folder of its own for the data set, got {data_dir} with {min(others)} in "
            "it; name another --out"
        )


def folder(prepared: str | Path) -> Path:
    """Returns where the data set lies that was, or will be, built from what stage one wrote.

    Args:
        prepared: What stage one wrote to.

    Returns:
        The folder of the version that is there, an earlier one too, or of the present one.
    """
    versions = Path(prepared) / DATA_DIR / ForgedFaces.name
    # Building replaces all that was there, so that there is one at most.
    return next(versions.glob("*/"), versions / str(ForgedFaces.VERSION))


def _wanted(manifest: Manifest, videos: Collection[VideoKey] | None) -> bool:
    return videos is None or manifest.video.key in videos


def _examples_in(
    prepared: Path, videos: Collection[VideoKey] | None, file: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads the examples of a file of manifests."""
    for manifest in manifests.read_file(Path(file)):
        if _wanted(manifest, videos):
            yield from _examples_of(manifest, prepared)


def _examples_of(manifest: Manifest, prepared: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    video = manifest.video
    for crop in manifest.crops:
        key = f"{video.data_set}/{video.video_id}/{crop.frame_index}"
        yield (
            key,
            {
                # The file's own bytes: nothing is compressed a second time.
                "image": io.BytesIO((prepared / crop.file).read_bytes()),
                "label": video.label,
                "data_set": video.data_set,
                "video_id": video.video_id,
                "source_id": video.source_id,
                "actor": video.actor,
                "donor": video.donor,
                "manipulation": video.manipulation,
                "frame_index": crop.frame_index,
                "seconds": crop.seconds,
                "box": (crop.x, crop.y, crop.side, crop.side),
                "confidence": crop.confidence,
                "faces_in_frame": crop.faces,
                "has_mask": manifest.mask,
                "sha256": crop.sha256,
            },
        )
