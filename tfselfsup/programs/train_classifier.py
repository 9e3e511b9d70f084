"""Trains one classifier of images: a probe on a frozen trunk, or a network end to end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfselfsup.command_line import built, experiment_parser
from tfselfsup.config import ClassifierExperiment
from tfselfsup.programs.startup import (
    fail,
    import_quietly,
    start_tensorflow,
    user_mistakes,
    warn_of_slow_precision,
)
from tfselfsup.runs import RunDirectory

if TYPE_CHECKING:
    import numpy as np


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = experiment_parser(
        __doc__ + " A run directory that holds a checkpoint is resumed.", ClassifierExperiment
    )
    parser.add_argument("--run_dir", required=True, help="folder of the run")
    parsed = parser.parse_args(arguments)
    train(built(ClassifierExperiment, parser, parsed), RunDirectory(parsed.run_dir))


def train(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Trains the classifier, or goes on with it; ends the process on an error.

    Args:
        experiment: All settings.
        run: Where everything is written.
    """
    start_tensorflow(experiment.runtime)
    import_quietly("tensorflow_datasets")
    warn_of_slow_precision(experiment.encoder.precision, "--encoder.precision")
    from tfselfsup.vision.training import InterruptedTraining
    from tfselfsup.vision.training_callbacks import NonFiniteLossError

    with user_mistakes(), run.training():
        try:
            _MODES[experiment.mode](experiment, run)
        except NonFiniteLossError as error:
            fail(error, status=1)
        except InterruptedTraining as error:
            fail(error, status=130)


def _fit_probe(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Fits a classifier to the features of a frozen trunk."""
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.runs import written_aside
    from tfselfsup.vision import probe_files
    from tfselfsup.vision.labelled_features import LabelledFeatures

    data = parts.open_data(experiment.data)
    part = parts.make_parts(experiment, data)
    encoder = parts.make_encoder(experiment, data)
    method = parts.make_probe(experiment.probe)
    run.start(experiment)
    features = trained_classifier.features_of_all(experiment, encoder, data)
    labels = data.index["label"].to_numpy(int)
    training, validation = (
        LabelledFeatures(features[part == name], labels[part == name])
        for name in ("train", "validation")
    )
    probe = method.fit(training, validation, parts.seeds(experiment.seed)["probe"])
    with written_aside(run.checkpoint(0)) as folder:
        folder.mkdir()
        probe_files.save(probe, folder)
    run.rewind_metrics(-1, "epoch")
    run.append_metrics({"epoch": 0, **parts.described_probe(probe)})
    _calibrate(run, {"only": probe.logits(validation.features)}, validation.labels)


def _train_network(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Trains the trunk and the class head end to end, with the tasks beside them."""
    from tfselfsup.programs import trained_classifier

    data, part, model = _fit(experiment, run)
    chosen, logits = part == "validation", {}
    for checkpoint in ("last", "best"):
        scoring = dataclasses.replace(experiment.scoring, checkpoint=checkpoint)
        classifier = trained_classifier.load(
            dataclasses.replace(experiment, scoring=scoring), run, data, model.network
        )
        logits[checkpoint] = classifier.logits(data, chosen)
    _calibrate(run, logits, data.index["label"].to_numpy(int)[chosen])


def _pretrain_trunk(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Trains the trunk with the tasks alone, and writes its weights for other runs."""
    from tfselfsup.models import weights
    from tfselfsup.vision import training_checkpoints

    _, _, model = _fit(experiment, run)
    checkpoint = run.chosen_checkpoint(experiment.scoring.checkpoint)
    training_checkpoints.load_weights(model.network, checkpoint)
    tasks = {task.name for task in experiment.training.tasks}
    trunk = [layer for layer in model.network.layers if layer.name not in tasks]
    weights.save(trunk, run.trunk_weights)
    print(f"the trunk's weights: --encoder.weights {run.path}")


def _fit(experiment: ClassifierExperiment, run: RunDirectory):
    """Trains until the last epoch; returns the data, the part of each example and the model."""
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.vision import training
    from tfselfsup.vision.training_model import frames_and_labels

    data = parts.open_data(experiment.data)
    part = parts.make_parts(experiment, data)
    encoder = parts.make_encoder(experiment, data)
    model = parts.make_model(experiment, encoder, len(data.label_names))
    run.start(experiment)
    training.train(
        model,
        lambda epoch: parts.training_batches(
            experiment, data, part == "train", encoder.side, epoch
        ),
        frames_and_labels(
            data.images(
                part == "validation",
                side=encoder.side,
                batch_size=experiment.scoring.batch_size,
            )
        ),
        experiment.training,
        run,
    )
    return data, part, model


def _calibrate(run: RunDirectory, logits: dict[str, np.ndarray], labels: np.ndarray) -> None:
    """Fits the temperatures to the validation part, and says how good the classifier is there.

    Args:
        run: The temperatures are written there.
        logits: Of the validation part, float [N, K], for each checkpoint.
        labels: The true classes, int [N].
    """
    from tfselfsup.vision import calibration, metrics

    temperatures = {
        checkpoint: calibration.fit_temperature(found, labels)
        for checkpoint, found in logits.items()
    }
    run.write_temperatures(temperatures)
    for checkpoint, temperature in temperatures.items():
        scores = metrics.scores(labels, calibration.apply(logits[checkpoint], temperature))
        shown = ", ".join(
            f"{name} {scores[name]:.3f}"
            for name in ("accuracy", "auc", "log_loss")
            if name in scores
        )
        print(f"validation part, {checkpoint} checkpoint: {shown}, temperature {temperature:.2f}")
    print(f"score it with bin/evaluate_classifier {run.path}")


_MODES: dict[str, Callable[[ClassifierExperiment, RunDirectory], None]] = {
    "probe": _fit_probe,
    "fine_tune": _train_network,
    "pretrain": _pretrain_trunk,
}
