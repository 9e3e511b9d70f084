"""Trains one classifier of images: a probe on a frozen trunk, or a network end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tfselfsup.command_line import built, experiment_parser
from tfselfsup.config import ClassifierExperiment
from tfselfsup.config.flattened import flattened
from tfselfsup.programs.interruption import exit_status, interruption
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
    import tensorflow as tf

    from tfselfsup.vision.tensorboard_images import Explain, MisclassifiedImages

SEARCHED = 512  # images of the validation part, for those that TensorBoard shows
COPIES = 8  # noisy ones of each image that TensorBoard shows a map of


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
    from tfselfsup.vision.linear_probes import Diverged
    from tfselfsup.vision.training_callbacks import NonFiniteLossError

    with user_mistakes(), run.training(), interruption() as orders:
        try:
            _MODES[experiment.mode](experiment, run)
        except (NonFiniteLossError, Diverged) as error:
            fail(error, status=1)
        except KeyboardInterrupt as error:  # an `InterruptedTraining` says more
            reason = str(error) or "interrupted; the same command begins anew"
            fail(reason, status=exit_status(orders))


def _fit_probe(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Fits a classifier to the features of a frozen trunk."""
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.programs.classifier_encoders import make_encoder
    from tfselfsup.runs import written_aside
    from tfselfsup.vision import probe_files
    from tfselfsup.vision.labelled_features import LabelledFeatures
    from tfselfsup.vision.linear_probes import LinearProbe

    if experiment.training.tasks:
        raise ValueError(
            "expected no training.tasks in mode probe, whose trunk learns nothing, got "
            f"{experiment.training.tasks[0].name}; choose mode fine_tune or pretrain"
        )
    data = parts.open_data(experiment.data)
    part = parts.make_parts(experiment, data)
    encoder = make_encoder(experiment, data)
    features = trained_classifier.features_of_all(experiment, encoder, data)
    labels = data.index["label"].to_numpy(int)
    training, validation = (
        LabelledFeatures(features[part == name], labels[part == name])
        for name in ("train", "validation")
    )
    method = parts.make_probe(experiment.probe)
    probe = method.fit(training, validation, parts.seeds(experiment.seed)["probe"])
    _start(experiment, run, parts.inputs(experiment, encoder, data))
    with written_aside(run.checkpoint(0)) as folder:
        folder.mkdir()
        probe_files.save(probe, folder)
    run.rewind_metrics(-1, "epoch")
    run.append_metrics({"epoch": 0, **parts.described_probe(probe)})
    print(encoder.described)
    scores = _calibrate(run, {"only": probe.logits(validation.features)}, validation.labels)
    logits = probe.logits(features)
    # Neighbours that vote are no network, whose gradient could be taken.
    is_network = isinstance(probe, LinearProbe)
    network = parts.with_probe(experiment, encoder, probe) if is_network else None
    wrong = _misclassified(
        lambda batch: logits[batch["row"]], network, experiment, data, part, encoder.side
    )
    _show_probe(experiment, run, scores["only"], wrong)


def _start(experiment: ClassifierExperiment, run: RunDirectory, inputs: dict[str, Any]) -> None:
    """Begins the run, or checks that it is the same one, made from the same."""
    run.start(experiment)
    run.bind(inputs)


def _train_network(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Trains the trunk and the class head end to end, with the tasks beside them."""
    from tfselfsup.programs import trained_classifier
    from tfselfsup.vision import training_checkpoints

    data, part, encoder, network = _fit(experiment, run)
    chosen, logits = part == "validation", {}
    for checkpoint in ("last", "best"):
        training_checkpoints.load_weights(network, run.chosen_checkpoint(checkpoint))
        classifier = trained_classifier.trained_network(experiment, encoder, network, checkpoint)
        logits[checkpoint] = classifier.logits(data, chosen)
    print(encoder.described)
    _calibrate(run, logits, data.index["label"].to_numpy(int)[chosen])


def _pretrain_trunk(experiment: ClassifierExperiment, run: RunDirectory) -> None:
    """Trains the trunk with the tasks alone, and writes its weights for other runs."""
    from tfselfsup.models import weights
    from tfselfsup.vision import training_checkpoints

    _, _, encoder, network = _fit(experiment, run)
    checkpoint = run.chosen_checkpoint(experiment.scoring.checkpoint)
    training_checkpoints.load_weights(network, checkpoint)
    weights.save(encoder.model.layers, run.trunk_weights)
    print(f"the trunk's weights: --encoder.weights {run.path}")


def _fit(experiment: ClassifierExperiment, run: RunDirectory):
    """Trains until the last epoch; returns the data, their parts, the trunk and the network."""
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs.classifier_encoders import make_encoder
    from tfselfsup.vision import training
    from tfselfsup.vision.compiled_outputs import compiled_output
    from tfselfsup.vision.training_model import LABEL, frames_and_labels

    data = parts.open_data(experiment.data)
    part = parts.make_parts(experiment, data)
    encoder = make_encoder(experiment, data)
    model = parts.make_model(experiment, encoder, len(data.label_names))
    network, logits_of = model.network, compiled_output(model.network, LABEL)
    _start(experiment, run, parts.inputs(experiment, encoder, data))
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
        hyper_parameters=flattened(experiment),
        # A pre-training knows no classes to be wrong about.
        summaries=[
            _misclassified(
                lambda batch: logits_of(batch["image"]),
                network,
                experiment,
                data,
                part,
                encoder.side,
            )
        ]
        if model.num_classes
        else [],
    )
    return data, part, encoder, network


def _misclassified(
    answer: Callable,
    network: tf.keras.Model | None,
    experiment: ClassifierExperiment,
    data,
    part: np.ndarray,
    side: int,
) -> MisclassifiedImages:
    """Makes what shows mistakes in the validation part, or in the first images of a large one.

    Args:
        answer: From a batch to logits.
        network: Explains the mistakes; None for no explanation.
        experiment: All settings.
        data: The data set.
        part: Of each of its examples.
        side: Of the images, in pixels.
    """
    import numpy as np

    from tfselfsup.vision.tensorboard_images import MisclassifiedImages

    searched = part == "validation"
    searched &= np.cumsum(searched) <= SEARCHED
    batches = data.images(searched, side=side, batch_size=experiment.scoring.batch_size)
    explain = None if network is None else _explaining(network)
    return MisclassifiedImages(answer, batches, data.label_names, explain)


def _explaining(network: tf.keras.Model) -> Explain:
    """Makes what draws images beside SmoothGrad maps of where a class's score is sensitive."""
    import numpy as np

    from tfselfsup.attribution import overlays, position_maps
    from tfselfsup.vision.training_model import LABEL

    maps_of = position_maps.of_classes(network, LABEL, COPIES)

    def draw(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        pairs = zip(images, maps_of(images, classes), strict=True)
        return np.stack([overlays.input_and_overlay(image, map_) for image, map_ in pairs])

    return draw


def _show_probe(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    scores: dict[str, float],
    misclassified: MisclassifiedImages,
) -> None:
    """Writes to TensorBoard what is known of a probe, which has no epochs."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api as hparams

    writer = tf.summary.create_file_writer(str(run.path))
    with writer.as_default(step=0):
        hparams.hparams(flattened(experiment))
        for name, score in scores.items():
            tf.summary.scalar(f"val_{name}", score)
        misclassified()
    writer.close()


def _calibrate(
    run: RunDirectory, logits: dict[str, np.ndarray], labels: np.ndarray
) -> dict[str, dict[str, float]]:
    """Fits the temperatures to the validation part, and says how good the classifier is there.

    Args:
        run: The temperatures are written there.
        logits: Of the validation part, float [N, K], for each checkpoint.
        labels: The true classes, int [N].

    Returns:
        The scores of each checkpoint, on the validation part, by name.
    """
    from tfselfsup.vision import calibration, metrics

    temperatures = {
        checkpoint: calibration.fit_temperature(found, labels)
        for checkpoint, found in logits.items()
    }
    run.write_temperatures(temperatures)
    scores = {}
    for checkpoint, temperature in temperatures.items():
        found = metrics.scores(labels, calibration.apply(logits[checkpoint], temperature))
        scores[checkpoint] = {
            name: found[name] for name in ("accuracy", "auc", "log_loss") if name in found
        }
        shown = ", ".join(f"{name} {score:.3f}" for name, score in scores[checkpoint].items())
        print(f"validation part, {checkpoint} checkpoint: {shown}, temperature {temperature:.2f}")
    print(f"score it with bin/evaluate_classifier {run.path}")
    return scores


_MODES: dict[str, Callable[[ClassifierExperiment, RunDirectory], None]] = {
    "probe": _fit_probe,
    "fine_tune": _train_network,
    "pretrain": _pretrain_trunk,
}
