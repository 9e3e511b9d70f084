"""A classifier that was trained, ready to be asked: what every program does with one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfselfsup.config import ClassifierExperiment
from tfselfsup.datasets.labelled_images import LabelledImages
from tfselfsup.programs import classifier_encoders
from tfselfsup.programs import classifier_parts as parts
from tfselfsup.programs.classifier_encoders import Encoder
from tfselfsup.runs import RunDirectory
from tfselfsup.vision import features, probe_files, training_checkpoints
from tfselfsup.vision.compiled_outputs import compiled_output
from tfselfsup.vision.linear_probes import LinearProbe
from tfselfsup.vision.training_model import LABEL


@dataclass(frozen=True)
class TrainedClassifier:
    """Answers about images and about data sets.

    Attributes:
        encoder: The trunk; of a network trained end to end, without its weights.
        network: From frames uint8 [B, 1, side, side, C] to a dict with the logits `label`; None
            where neighbours vote, which is no network.
        logits_of: From images, uint8 [B, side, side, C], to logits, float [B, K].
        logits: From a data set and a choice of its examples, bool [N], to the logits of those, in
            the order of its index.
        checkpoint: Which one it is of: `last`, `best`, or `only` for a probe, which has one.
    """

    encoder: Encoder
    network: tf.keras.Model | None
    logits_of: Callable[[np.ndarray], np.ndarray]
    logits: Callable[[LabelledImages, np.ndarray], np.ndarray]
    checkpoint: str

    def required_network(self) -> tf.keras.Model:
        """Returns the network.

        Raises:
            ValueError: If neighbours vote, which cannot be differentiated or exported.
        """
        if self.network is None:
            raise ValueError(
                "expected a classifier that is a network, got the probe knn, which asks its "
                "training images; train one with --probe.solver lbfgs"
            )
        return self.network


def load(
    experiment: ClassifierExperiment, run: RunDirectory, data: LabelledImages
) -> TrainedClassifier:
    """Loads what a run trained.

    Args:
        experiment: The run's settings.
        run: Has the checkpoint.
        data: Images of the kind it was trained on.

    Raises:
        ValueError: If there is no checkpoint, if it does not fit, if the trunk is not the one a
            probe was fitted on, or if it is a pre-training, which has no classes.
    """
    loaders = {"probe": _probe, "fine_tune": _network}
    if experiment.mode not in loaders:
        raise ValueError(
            f"expected a classifier, got {run.path}, a pre-training, which has no class head; "
            f"train one on it with --encoder.weights {run.path}"
        )
    return loaders[experiment.mode](experiment, run, data)


def _probe(
    experiment: ClassifierExperiment, run: RunDirectory, data: LabelledImages
) -> TrainedClassifier:
    encoder = classifier_encoders.make_encoder(experiment, data)
    run.check_inputs({"encoder": encoder.key.weights_hash})
    probe = probe_files.load(run.chosen_checkpoint("last"))

    def logits(data: LabelledImages, chosen: np.ndarray) -> np.ndarray:
        return probe.logits(features_of_all(experiment, encoder, data)[chosen])

    if isinstance(probe, LinearProbe):
        network = parts.with_probe(experiment, encoder, probe)
        return TrainedClassifier(encoder, network, _answers(network, LABEL), logits, "only")
    encode = _answers(encoder.model, encoder.reads)
    return TrainedClassifier(
        encoder, None, lambda images: probe.logits(encode(images)), logits, "only"
    )


def _network(
    experiment: ClassifierExperiment, run: RunDirectory, data: LabelledImages
) -> TrainedClassifier:
    # The checkpoint has all weights: those it began with are not needed again.
    random = dataclasses.replace(experiment.encoder, weights="random")
    encoder = classifier_encoders.make_encoder(
        dataclasses.replace(experiment, encoder=random), data
    )
    encoder = encoder._replace(weights=run.inputs()["weights"])
    network = parts.make_model(experiment, encoder, len(data.label_names)).network
    choice = experiment.scoring.checkpoint
    training_checkpoints.load_weights(network, run.chosen_checkpoint(choice))
    return trained_network(experiment, encoder, network, choice)


def trained_network(
    experiment: ClassifierExperiment, encoder: Encoder, network: tf.keras.Model, checkpoint: str
) -> TrainedClassifier:
    """Makes a classifier of a network that has its weights."""
    answer = _answers(network, LABEL)

    def logits(data: LabelledImages, chosen: np.ndarray) -> np.ndarray:
        batches = data.images(chosen, side=encoder.side, batch_size=experiment.scoring.batch_size)
        return np.concatenate([answer(batch["image"]) for batch in batches])

    return TrainedClassifier(encoder, network, answer, logits, checkpoint)


def features_of_all(
    experiment: ClassifierExperiment, encoder: Encoder, data: LabelledImages
) -> np.ndarray:
    """Returns the features of all examples, float32 [N, d], and says where they are from."""
    key = dataclasses.replace(encoder.key, data=data.fingerprint())
    found, rate = features.features_of(
        encoder.model,
        key,
        data,
        experiment.scoring.batch_size,
        features.FeatureCache(experiment.cache),
    )
    where = "read from the cache" if rate is None else f"computed at {rate:.1f} images/s"
    print(f"{len(data)} images, {found.shape[1]} features of {encoder.described}: {where}")
    return found


def _answers(model: tf.keras.Model, output: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from images, uint8 [B, side, side, C], to an output as float32."""
    answer = compiled_output(model, output)
    return lambda images: answer(images).numpy()
