"""Assembles the parts of a classifier's experiment, all but its trunk, from its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfselfsup import plugins, tasks
from tfselfsup.config import ClassifierExperiment, ImageDataConfig, ProbeConfig
from tfselfsup.datasets import splits
from tfselfsup.datasets.augmentation import Augmentation
from tfselfsup.datasets.digits import DigitData
from tfselfsup.datasets.labelled_images import LabelledImages
from tfselfsup.datasets.loading import FaceData
from tfselfsup.models import heads
from tfselfsup.models.multi_head import multi_head
from tfselfsup.programs.classifier_encoders import HUB_ENCODERS, Encoder, pretraining, seeds
from tfselfsup.programs.task_parts import make_tasks
from tfselfsup.vision.linear_probes import Adam, Lbfgs, LinearProbe
from tfselfsup.vision.neighbour_probe import NearestNeighbours
from tfselfsup.vision.probe import FittedProbe, Probe
from tfselfsup.vision.training import shuffle_seed
from tfselfsup.vision.training_model import LABEL, MultiTaskModel, frames_and_labels

DATA = {"faces": FaceData, "digits": DigitData}


def data_kind(settings: ImageDataConfig) -> type[LabelledImages]:
    """Finds the class of the images, here or in a package: an entry point of `tfselfsup.data`.

    Raises:
        ValueError: If there is none of this name, or what a package has is something else.
    """
    return plugins.find("data", "a data.kind", DATA, settings.kind, _is_concrete)


def open_data(settings: ImageDataConfig) -> LabelledImages:
    """Opens the images."""
    return data_kind(settings)(settings.path)


def _is_concrete(kind: object) -> bool:
    """Tells whether it is a class of images from which an object can be made."""
    is_images = isinstance(kind, type) and issubclass(kind, LabelledImages)
    return is_images and not inspect.isabstract(kind)


def make_parts(experiment: ClassifierExperiment, data: LabelledImages) -> np.ndarray:
    """Returns the part of every example, str [N].

    Whatever keeps the test part apart, the rest is divided by source: what the regularisation, the
    temperature and the best epoch are chosen on shares no source with what is learnt from.

    Raises:
        ValueError: If there is no validation part, if a label has no name, if a part has one class
            only, or as the split says.
    """
    settings = experiment.data
    if not settings.fractions[1] > 0:
        raise ValueError(
            f"expected a validation part, got data.fractions {list(settings.fractions)}; "
            "the regularisation and the temperature are chosen on it"
        )
    part = data.parts(settings.split, settings.fractions, experiment.seed, settings.balance)
    if settings.split in ("random", "video"):
        _divide_by_source(experiment, data, part)
    labels = data.index["label"].to_numpy(int)
    if (unnamed := labels[(labels < 0) | (labels >= len(data.label_names))]).size:
        raise ValueError(
            f"expected labels from 0 to {len(data.label_names) - 1} "
            f"({', '.join(data.label_names)}), got {unnamed[0]}; correct the data set"
        )
    for name in splits.PARTS:
        if len(np.unique(labels[part == name])) < 2:
            raise ValueError(
                f"expected two classes or more in the {name} part, got "
                f"{np.count_nonzero(part == name)} examples of one; choose another split or other "
                "fractions"
            )
    return part


def _divide_by_source(
    experiment: ClassifierExperiment, data: LabelledImages, part: np.ndarray
) -> None:
    """Divides what is not for the test into training and validation again, by source."""
    settings, (train, validation, test) = experiment.data, splits.PARTS
    (rest,) = np.nonzero(np.isin(part, (train, validation)))
    share = settings.fractions[1] / (settings.fractions[0] + settings.fractions[1])
    divided = splits.assign(
        data.index.iloc[rest], "hard", (1 - share, 0.0, share), experiment.seed, settings.balance
    )
    part[rest] = np.where(divided == test, validation, divided)


def inputs(
    experiment: ClassifierExperiment, encoder: Encoder, data: LabelledImages
) -> dict[str, Any]:
    """Lists what a run is made from, which config.yaml names only by paths."""
    return {
        "data": data.fingerprint(),
        "data_set": data_set_name(data),
        "encoder": encoder.key.weights_hash,
        "weights": encoder.weights,
        "stand_in": encoder.is_stand_in,
        **pretraining(experiment, data),
    }


def make_probe(settings: ProbeConfig) -> Probe:
    """Makes the probe with the settings that are its own."""
    makers = {
        "lbfgs": lambda: Lbfgs(sorted(settings.strengths)),
        "adam": lambda: Adam(settings.learning_rate, settings.batch_size, settings.epochs),
        "knn": lambda: NearestNeighbours(settings.neighbours),
    }
    return makers[settings.solver]()


def described_probe(fitted: FittedProbe) -> dict[str, float | int | bool | None]:
    """Lists the numbers of a fitted probe, for metrics.csv."""
    names = ("strength", "iterations", "converged", "validation_log_loss")
    return {name: getattr(fitted, name) for name in names if hasattr(fitted, name)}


def make_network(
    experiment: ClassifierExperiment,
    encoder: Encoder,
    num_classes: int,
    tasks_found: Mapping[str, tasks.Task],
) -> tf.keras.Model:
    """Puts the class head and the tasks' heads on the trunk; a pre-training has no class head."""
    own = {LABEL: lambda: heads.LabelHead(num_classes, encoder.reads)}
    return multi_head(
        encoder.model,
        {
            **({} if experiment.mode == "pretrain" else own),
            **{name: task.head for name, task in tasks_found.items()},
        },
        experiment.encoder.precision,
    )


def with_probe(
    experiment: ClassifierExperiment, encoder: Encoder, fitted: LinearProbe
) -> tf.keras.Model:
    """Puts a fitted linear probe on its trunk: an ordinary network with one Dense layer."""
    network = make_network(experiment, encoder, len(fitted.bias), {})
    network.get_layer(LABEL).set_weights([fitted.kernel, fitted.bias])
    return network


def make_model(
    experiment: ClassifierExperiment, encoder: Encoder, num_classes: int
) -> MultiTaskModel:
    """Makes what is trained end to end.

    Raises:
        ValueError: If the trunk cannot be trained, or a task does not suit it.
    """
    if experiment.encoder.trunk in HUB_ENCODERS:
        raise ValueError(
            f"expected mode probe for '{experiment.encoder.trunk}', a TF-Hub module, which stays "
            f"frozen, got {experiment.mode}"
        )
    frame_shape = encoder.model.input_shape[1:]
    found = make_tasks(experiment.training.tasks, frame_shape, "training.tasks")
    return MultiTaskModel(
        make_network(experiment, encoder, num_classes, found),
        found,
        {task.name: task.weight for task in experiment.training.tasks},
        seed=seeds(experiment.seed)["tasks"],
        pretrain=experiment.mode == "pretrain",
    )


def training_batches(
    experiment: ClassifierExperiment,
    data: LabelledImages,
    chosen: np.ndarray,
    side: int,
    epoch: int,
) -> tf.data.Dataset:
    """Returns the batches (frames, labels) of an epoch, counted from 0."""
    settings = experiment.training
    changes = settings.augmentation
    batches = data.images(
        chosen,
        side=side,
        batch_size=settings.batch_size,
        shuffle_seed=shuffle_seed(seeds(experiment.seed)["order"], epoch),
        augmentation=Augmentation(changes.flip, changes.crop, changes.colour, changes.jpeg),
    )
    return frames_and_labels(batches)


def task_names(experiment: ClassifierExperiment) -> str | None:
    """Names the tasks that a network was trained with beside its classes; None for a probe."""
    learnt = experiment.training.tasks if experiment.mode == "fine_tune" else ()
    return "+".join(task.name for task in learnt) or None


def data_set_name(data: LabelledImages) -> str:
    """Names what the images are from."""
    return "+".join(sorted(data.index["data_set"].unique()))


def coinciding_splits(experiment: ClassifierExperiment, data: LabelledImages) -> str | None:
    """Says that a split by frame is one by video, where every video has one crop."""
    is_one = experiment.data.split in ("random", "video") and splits.coincide(
        data.index, "random", "video"
    )
    return "one crop per video: the splits 'random' and 'video' coincide" if is_one else None
