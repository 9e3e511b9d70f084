"""A classifier that was trained, ready to be asked: what every program does with one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfselfsup.config import ClassifierExperiment
from tfselfsup.datasets.labelled_images import LabelledImages
from tfselfsup.programs import classifier_parts as parts
from tfselfsup.runs import RunDirectory
from tfselfsup.vision import features, probe_files, training_checkpoints
from tfselfsup.vision.training_model import LABEL


@dataclass(frozen=True)
class TrainedClassifier:
    """Answers about images and about data sets.

    Attributes:
        encoder: The trunk; of a network trained end to end, as it was before.
        logits_of: From images, uint8 [B, side, side, C], to logits, float [B, K].
        logits: From a data set and a choice of its examples, bool [N], to the logits of those, in
            the order of its index.
        checkpoint: Which one it is of: `last`, `best`, or `only` for a probe, which has one.
    """

    encoder: parts.Encoder
    logits_of: Callable[[np.ndarray], np.ndarray]
    logits: Callable[[LabelledImages, np.ndarray], np.ndarray]
    checkpoint: str


def load(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    data: LabelledImages,
    network: tf.keras.Model | None = None,
) -> TrainedClassifier:
    """Loads what a run trained.

    Args:
        experiment: The run's settings.
        run: Has the checkpoint.
        data: Images of the kind it was trained on.
        network: Gets the weights, where it was made already.

    Raises:
        ValueError: If there is no checkpoint, if it does not fit, or if it is a pre-training, which
            has no classes.
    """
    if experiment.mode == "pretrain":
        raise ValueError(
            f"expected a classifier, got {run.path}, a pre-training, which has no class head; "
            f"train one on it with --encoder.weights {run.path}"
        )
    encoder = parts.make_encoder(experiment, data)
    if experiment.mode == "probe":
        return _probe(experiment, run, encoder)
    return _network(experiment, run, data, encoder, network)


def _probe(
    experiment: ClassifierExperiment, run: RunDirectory, encoder: parts.Encoder
) -> TrainedClassifier:
    probe = probe_files.load(run.chosen_checkpoint("last"))

    def encode(images: np.ndarray) -> np.ndarray:
        return _compiled(encoder.model, encoder.reads)(tf.constant(images)).numpy()

    def logits(data: LabelledImages, chosen: np.ndarray) -> np.ndarray:
        return probe.logits(features_of_all(experiment, encoder, data)[chosen])

    return TrainedClassifier(encoder, lambda images: probe.logits(encode(images)), logits, "only")


def _network(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    data: LabelledImages,
    encoder: parts.Encoder,
    network: tf.keras.Model | None,
) -> TrainedClassifier:
    if network is None:
        network = parts.make_model(experiment, encoder, len(data.label_names)).network
    choice = experiment.scoring.checkpoint
    training_checkpoints.load_weights(network, run.chosen_checkpoint(choice))
    answer = _compiled(network, LABEL)

    def logits(data: LabelledImages, chosen: np.ndarray) -> np.ndarray:
        batches = data.images(chosen, side=encoder.side, batch_size=experiment.scoring.batch_size)
        return np.concatenate([answer(batch["image"]).numpy() for batch in batches])

    return TrainedClassifier(
        encoder, lambda images: answer(tf.constant(images)).numpy(), logits, choice
    )


def features_of_all(
    experiment: ClassifierExperiment, encoder: parts.Encoder, data: LabelledImages
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
    print(f"{len(data)} images, {found.shape[1]} features of {key.encoder}: {where}", flush=True)
    return found


def _compiled(model: tf.keras.Model, output: str) -> Callable[[tf.Tensor], tf.Tensor]:
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[2:]), tf.uint8)])
    def answer(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(images[:, tf.newaxis], training=False)[output], tf.float32)

    return answer
