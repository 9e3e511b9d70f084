"""Scores a trained classifier per crop and per video, with intervals over sources."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from jsonargparse.typing import PositiveInt

from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import ClassifierExperiment
from tfselfsup.programs.startup import import_quietly, start_tensorflow, user_mistakes
from tfselfsup.runs import RunDirectory

if TYPE_CHECKING:
    import pandas as pd

    from tfselfsup.datasets.labelled_images import LabelledImages
    from tfselfsup.programs.trained_classifier import TrainedClassifier

SHOWN = ("accuracy", "balanced_accuracy", "auc", "eer", "log_loss", "calibration_error")


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", help="folder of the run")
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument(
        "--part", choices=["validation", "test"], default="test", help="of the run's own split"
    )
    parser.add_argument(
        "--data",
        help="score on this data set instead, on all that is not of a source or an image that was "
        "learnt from; writes evaluation_on_NAME.json",
    )
    parser.add_argument(
        "--checkpoint", choices=["last", "best"], help="default: as the run's config.yaml"
    )
    parser.add_argument(
        "--resamples", type=PositiveInt | None, help="default: as the run's config.yaml"
    )
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="also measure on images that are compressed, rescaled, blurred or noisy; writes "
        "robustness.csv",
    )
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        run = RunDirectory.existing(parsed.run_dir)
        experiment = run.experiment(ClassifierExperiment)
    chosen = {
        name: parsed[name] for name in ("checkpoint", "resamples") if parsed[name] is not None
    }
    experiment = dataclasses.replace(
        experiment, scoring=dataclasses.replace(experiment.scoring, **chosen)
    )
    start_tensorflow(experiment.runtime)
    import_quietly("tensorflow_datasets")
    with user_mistakes():
        evaluate(experiment, run, parsed.part, parsed.data, parsed.robustness)


def evaluate(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    part: str,
    other_data: str | None = None,
    robustness: bool = False,
) -> dict[str, Any]:
    """Scores a classifier, and writes what came of it.

    Args:
        experiment: The run's settings, with those of the scoring.
        run: Has the checkpoint.
        part: Of the run's own split, `validation` or `test`.
        other_data: Path of another data set to score on instead, all of it but what was learnt.
        robustness: Whether to measure on corrupted images, too.

    Returns:
        What was written to evaluation.json, or to evaluation_on_NAME.json for other data.

    Raises:
        ValueError: If the run is no classifier, or cannot be scored on these images.
    """
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.vision import evaluation

    own = data = parts.open_data(experiment.data)
    chosen = parts.make_parts(experiment, own) == part
    if other_data is not None:
        data = parts.open_data(dataclasses.replace(experiment.data, path=other_data))
        part, chosen = "all", ~_is_learnt(experiment, own, data)
        print(f"{(~chosen).sum()} of {len(data)} images are left out: they were learnt from")
    if data.label_names != own.label_names or data.channels != own.channels:
        raise ValueError(
            f"expected images of the classes {', '.join(own.label_names)}, got {other_data} with "
            f"{', '.join(data.label_names)}; choose data of the same kind"
        )
    if note := parts.coinciding_splits(experiment, own):
        print(note, file=sys.stderr)
    classifier = trained_classifier.load(experiment, run, data)
    temperature = run.temperature(classifier.checkpoint)
    rows = data.index[chosen]
    measured = evaluation.evaluate(
        rows["label"].to_numpy(int),
        classifier.logits(data, chosen),
        temperature,
        rows,
        experiment.scoring.resamples,
        parts.seeds(experiment.seed)["bootstrap"],
    )
    described = _described(experiment, classifier, parts.data_set_name(data), part)
    written = {**described, **measured}
    path = run.write_evaluation(written, on=written["data_set"] if other_data else None)
    _print(written)
    print(path)
    if robustness:
        table = _robustness(classifier, data, chosen, temperature)
        print(table.to_markdown(index=False, floatfmt=".3f"))
        print(run.write_table("robustness", table.to_csv(index=False)))
    return written


def _is_learnt(experiment: ClassifierExperiment, own: LabelledImages, other: LabelledImages):
    """Tells which images of another data set the classifier knows, or others of their source."""
    import numpy as np

    from tfselfsup.datasets import splits
    from tfselfsup.programs import classifier_parts as parts

    learnt = own.index[np.isin(parts.make_parts(experiment, own), ("train", "validation"))]
    known = np.zeros(len(other), bool)
    for columns in (splits.SOURCE, splits.IMAGE):
        keys = set(learnt[columns].itertuples(index=False, name=None))
        found = other.index[columns].itertuples(index=False, name=None)
        known |= np.fromiter((key in keys for key in found), bool, len(other))
    return known


def _described(
    experiment: ClassifierExperiment, classifier: TrainedClassifier, data_set: str, part: str
) -> dict[str, Any]:
    from tfselfsup.programs import classifier_parts as parts

    encoder, training = classifier.encoder, experiment.training
    how = {
        "probe": lambda: {"solver": experiment.probe.solver},
        "fine_tune": lambda: {"checkpoint": classifier.checkpoint, "epochs": training.epochs},
    }
    return {
        "kind": "classifier",
        "model": experiment.encoder.trunk,
        "weights": encoder.weights,
        "stand_in": encoder.is_stand_in,
        "task": parts.task_names(experiment),
        "data_set": data_set,
        "split": experiment.data.split,
        "part": part,
        "seed": experiment.seed,
        "protocol": {
            "mode": experiment.mode,
            **how[experiment.mode](),
            "side": encoder.side,
            "precision": encoder.key.precision,
            "balanced": experiment.data.balance,
        },
    }


def _print(written: dict[str, Any]) -> None:
    """Prints the scores with their intervals, of the crops and of the videos."""
    stand_in = " (stand-in)" if written["stand_in"] else ""
    task = f" with {written['task']}" if written["task"] else ""
    print(
        f"{written['model']}, weights {written['weights']}{stand_in}{task}: {written['data_set']}, "
        f"split {written['split']}, part {written['part']}, seed {written['seed']}"
    )
    parts = {"images": written}
    if written["videos"]["examples"] != written["examples"]:
        parts["videos"] = written["videos"]
    for name, scores in parts.items():
        shown = (
            f"{score} {scores[score]:.3f} [{scores[f'{score}_low']:.3f}, "
            f"{scores[f'{score}_high']:.3f}]"
            for score in SHOWN
            if score in scores
        )
        print(f"{scores['examples']} {name} of {scores['sources']} sources: {', '.join(shown)}")
    changes = (
        f"{name} {written[f'{name}_uncalibrated']:.3f} to {written[name]:.3f}"
        for name in ("log_loss", "calibration_error")
    )
    print(f"temperature {written['temperature']:.2f}: {', '.join(changes)}")


def _robustness(
    classifier: TrainedClassifier, data: LabelledImages, chosen, temperature: float
) -> pd.DataFrame:
    """Measures accuracy and AUC on images that are corrupted more and more."""
    import pandas as pd
    from tqdm import tqdm

    from tfselfsup.vision import calibration, robustness

    def predict(images):
        return calibration.apply(classifier.logits_of(images), temperature)

    labels, curves = data.index["label"].to_numpy(int)[chosen], []
    for corruption in tqdm(robustness.CORRUPTIONS, unit=" corruptions"):
        batches = data.images(chosen, side=classifier.encoder.side, batch_size=64)
        images = (batch["image"] for batch in batches.as_numpy_iterator())
        curves.append(robustness.curve(predict, images, labels, corruption))
    return pd.concat(curves, ignore_index=True)
