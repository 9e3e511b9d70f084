"""Scores videos with a trained classifier: every face over time, and every video as a whole."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfselfsup.command_line import ExperimentParser, built
from tfselfsup.config import ClassifierExperiment
from tfselfsup.config.video_scoring import VideoScoring
from tfselfsup.programs.startup import import_quietly, start_tensorflow, user_mistakes
from tfselfsup.runs import RunDirectory, locked, written_aside

if TYPE_CHECKING:
    from tfselfsup.datasets.records import Video
    from tfselfsup.programs.trained_classifier import TrainedClassifier
    from tfselfsup.vision.annotated_video import DrawFace
    from tfselfsup.vision.video_scoring import ScoredVideo

# How faces of other settings differ from those that were learnt from.
COMPARED = ("detector", "margin", "jpeg_quality", "choose")
COPIES = 20  # noisy ones of each face, for an attribution
MAPS_AT_ONCE = 64  # attributions of faces that are computed together
SHOWN = ("video", "status", "faces", "probability", "probability_low", "probability_high")


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("videos", nargs="+", help="files of videos")
    parser.add_argument("--model", required=True, help="run directory of a classifier of faces")
    parser.add_argument(
        "--out",
        type=str | None,
        help="folder for scores and crops; by default 'scored_videos' in the run directory",
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument(
        "--video", action="store_true", help="also write the videos with boxes and scores"
    )
    parser.add_argument(
        "--attribution",
        action="store_true",
        help="in them, also draw over every face where its score is sensitive (SmoothGrad)",
    )
    parser.add_class_arguments(VideoScoring)
    parsed = parser.parse_args(arguments)
    settings = built(VideoScoring, parser, parsed)
    with user_mistakes():
        if parsed.attribution and not parsed.video:
            raise ValueError("expected --video with --attribution, got none; add it")
        run = RunDirectory.existing(parsed.model)
        experiment = run.experiment(ClassifierExperiment)
        if experiment.data.kind != "faces":
            raise ValueError(
                f"expected a classifier of faces as --model, got {run.path}, of "
                f"{experiment.data.kind}; train one with --data.kind faces"
            )
    if settings.checkpoint is not None:
        scoring = dataclasses.replace(experiment.scoring, checkpoint=settings.checkpoint)
        experiment = dataclasses.replace(experiment, scoring=scoring)
    # For the processes that detect; they would each tell that there is no GPU.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    start_tensorflow(experiment.runtime)
    import_quietly("tensorflow_datasets")
    out = Path(parsed.out) if parsed.out is not None else run.path / "scored_videos"
    with user_mistakes(), locked(out):
        score(
            experiment,
            run,
            parsed.videos,
            out,
            settings,
            annotate=parsed.video,
            attribution=parsed.attribution,
        )


def score(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    paths: Sequence[str | Path],
    out: Path,
    settings: VideoScoring,
    annotate: bool = False,
    attribution: bool = False,
) -> list[ScoredVideo]:
    """Cuts the faces out of videos, scores them, and writes what came of it.

    Args:
        experiment: The classifier's settings, with those of its scoring.
        run: Has its checkpoint.
        paths: The videos.
        out: Folder to write to: scores.csv, videos.csv, scores.json, the crops and, if asked for,
            annotated/.
        settings: How to do it.
        annotate: Whether to write the videos with boxes and scores.
        attribution: Whether to draw into these where a face's score is sensitive.

    Returns:
        The videos, in the order in which they were given.

    Raises:
        ValueError: If the run is no classifier of faces that was trained to its end, or no network
            whose gradient an attribution could take, a video is none, or `out` holds crops made
            with other settings.
    """
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.vision import calibration, video_scoring

    videos = video_scoring.list_videos(paths)
    # The class of the data tells what its images are like; they need not be at hand.
    classifier = trained_classifier.load(experiment, run, parts.DATA[experiment.data.kind])
    temperature = run.temperature(classifier.checkpoint)
    faces_of = _face_drawer(classifier, out) if attribution else lambda video: None
    _warn_of_other_crops(experiment, settings)

    def scored_of(manifest) -> ScoredVideo:
        return video_scoring.score(
            manifest,
            out,
            classifier.encoder.side,
            lambda images: calibration.apply(classifier.logits_of(images), temperature),
            batch_size=experiment.scoring.batch_size,
            resamples=settings.resamples,
            seed=parts.seeds(experiment.seed)["bootstrap"],
        )

    scored = _score_all(videos, out, settings, scored_of)
    described = {
        "model": str(run.path),
        **_described(experiment, classifier),
        "temperature": temperature,
        "extraction": dataclasses.asdict(settings.extraction),
    }
    _write(scored, described, out)
    _print(scored, described, out)
    if annotate:
        _annotate(scored, out, faces_of)
    return scored


def _score_all(
    videos: Sequence[Video], out: Path, settings: VideoScoring, scored_of: Callable
) -> list[ScoredVideo]:
    """Scores each video as soon as its faces are cut out, while others are searched."""
    from tqdm import tqdm

    from tfselfsup.datasets import extraction

    found = {}
    with tqdm(total=len(videos), unit=" videos", disable=None) as bar:

        def on_done(manifest) -> None:
            found[manifest.video.key] = scored_of(manifest)
            bar.update()

        extraction.extract_all(
            videos, out, settings.extraction, workers=settings.workers, on_done=on_done
        )
    return [found[video.key] for video in videos]


def _warn_of_other_crops(experiment: ClassifierExperiment, settings: VideoScoring) -> None:
    """Warns where the model learnt from crops that were made otherwise, if that can be known."""
    from tfselfsup.datasets import manifests

    of_training = (manifest.settings for manifest in manifests.read_all(experiment.data.path))
    learnt = next((found for found in of_training if found), {})
    for name in COMPARED:
        own = getattr(settings.extraction, name)
        if learnt.get(name, own) != own:
            print(
                f"warning: the model learnt from faces cut out with {name} {learnt[name]}, not "
                f"{own}; for the same ones: --extraction.{name} {learnt[name]}",
                file=sys.stderr,
            )


def _described(experiment: ClassifierExperiment, classifier: TrainedClassifier) -> dict[str, Any]:
    return {
        "trunk": experiment.encoder.trunk,
        "weights": classifier.encoder.weights,
        "stand_in": classifier.encoder.is_stand_in,
        "checkpoint": classifier.checkpoint,
    }


def _write(scored: Sequence[ScoredVideo], described: dict[str, Any], out: Path) -> None:
    import pandas as pd

    from tfselfsup.vision import video_scoring

    rows = [video_scoring.video_row(video) for video in scored]
    faces = [video_scoring.face_rows(video) for video in scored]
    out.mkdir(parents=True, exist_ok=True)
    tables = {
        "videos": pd.DataFrame(rows),
        # With its columns also if there is no face in any video.
        "scores": pd.DataFrame(
            [row for of_video in faces for row in of_video], columns=video_scoring.FACE_COLUMNS
        ),
    }
    for name, table in tables.items():
        with written_aside(out / f"{name}.csv") as aside:
            table.to_csv(aside, index=False, errors="backslashreplace")
    videos = [row | {"scores": of_video} for row, of_video in zip(rows, faces, strict=True)]
    with written_aside(out / "scores.json") as aside:
        aside.write_text(json.dumps({**described, "videos": videos}, indent=1) + "\n")


def _print(scored: Sequence[ScoredVideo], described: dict[str, Any], out: Path) -> None:
    from tabulate import tabulate

    from tfselfsup.programs import classifier_encoders
    from tfselfsup.vision import video_scoring

    rows = [video_scoring.video_row(video) for video in scored]
    model = classifier_encoders.described(
        described["trunk"], described["weights"], described["stand_in"]
    )
    print(f"{model}: probability that the face is forged, with the 95% interval over frames")
    table = [[row[name] for name in SHOWN] for row in rows]
    print(tabulate(table, headers=SHOWN, tablefmt="pipe", floatfmt=".3f"))
    print("\n".join(str(out / name) for name in ("videos.csv", "scores.csv", "scores.json")))


def _face_drawer(classifier: TrainedClassifier, out: Path) -> Callable[[ScoredVideo], DrawFace]:
    """Makes what returns, for a video, what draws the maps of its faces."""
    import numpy as np

    from tfselfsup.attribution import overlays, position_maps
    from tfselfsup.datasets.records import FAKE
    from tfselfsup.vision import video_scoring
    from tfselfsup.vision.training_model import LABEL

    maps_of = position_maps.of_classes(classifier.required_network(), LABEL, COPIES)
    side = classifier.encoder.side

    def drawing(video: ScoredVideo) -> DrawFace:
        files = [out / crop.file for crop in video.manifest.crops]

        # A video may be long, and its frames come in their order, or nearly: the last maps suffice.
        @functools.lru_cache(maxsize=2)
        def maps_at(numbers: range) -> np.ndarray:
            faces = [video_scoring.read_crop(files[number], side) for number in numbers]
            return maps_of(np.stack(faces), FAKE)

        # One scale for the whole video, so that it does not flicker, from faces all over it.
        every = -(-len(files) // MAPS_AT_ONCE)
        largest = overlays.scale_of(maps_at(range(0, len(files), every)))

        def draw(face: np.ndarray, number: int) -> np.ndarray:
            start = number - number % MAPS_AT_ONCE
            map_ = maps_at(range(start, min(start + MAPS_AT_ONCE, len(files))))[number - start]
            return overlays.overlay(face, overlays.fitted(map_, *face.shape[:2]), largest)

        return draw

    return drawing


def _annotate(
    scored: Sequence[ScoredVideo], out: Path, faces_of: Callable[[ScoredVideo], DrawFace | None]
) -> None:
    from tqdm import tqdm

    from tfselfsup.vision import annotated_video

    # The crops of a file that has gone since are still there.
    drawn = [
        video
        for video in scored
        if len(video.probabilities) and video.manifest.video.path.is_file()
    ]
    for found in tqdm(drawn, unit=" videos drawn", disable=None):
        path = out / "annotated" / f"{found.manifest.video.video_id}.mp4"
        annotated_video.write(found, path, faces_of(found))
    print(out / "annotated")
