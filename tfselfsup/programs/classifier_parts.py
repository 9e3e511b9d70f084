"""Assembles the parts of a classifier's experiment from its configuration."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfselfsup import tasks
from tfselfsup.config import ClassifierExperiment, ImageDataConfig, ProbeConfig
from tfselfsup.datasets import splits
from tfselfsup.datasets.augmentation import Augmentation
from tfselfsup.datasets.digits import DigitData
from tfselfsup.datasets.labelled_images import LabelledImages
from tfselfsup.datasets.loading import FaceData
from tfselfsup.models import encoders, heads, hub_encoders, hub_stand_in, trunks, weights
from tfselfsup.models.multi_head import multi_head
from tfselfsup.runs import RunDirectory
from tfselfsup.vision import features
from tfselfsup.vision.linear_probes import Adam, Lbfgs
from tfselfsup.vision.neighbour_probe import NearestNeighbours
from tfselfsup.vision.probe import FittedProbe, Probe
from tfselfsup.vision.training import shuffle_seed
from tfselfsup.vision.training_model import LABEL, MultiTaskModel, frames_and_labels

DATA = {"faces": FaceData, "digits": DigitData}

# What `weights: imagenet` means for the encoders that are TF-Hub modules; any other module goes by
# the name `tfhub`, with its handle or folder as weights.
HUB_ENCODERS = {
    "bigbigan_resnet50": "https://tfhub.dev/deepmind/bigbigan-resnet50/1",
    "bigbigan_revnet50x4": "https://tfhub.dev/deepmind/bigbigan-revnet50x4/1",
    "tfhub": None,
}
HUB_FEATURE = "avepool_feat"
TRUNK_FEATURE = "pooled"
STAND_IN = "stand_in"


class Encoder(NamedTuple):
    """A trunk with its weights.

    Attributes:
        model: From frames uint8 [B, 1, side, side, C] to a dict of features.
        reads: Which of these the class head reads.
        key: What its features depend on, all but the data.
        weights: What its weights are called in tables: `random`, `imagenet` or where they are from.
        is_stand_in: Whether they only stand in for published ones that are out of reach.
    """

    model: tf.keras.Model
    reads: str
    key: features.FeatureKey
    weights: str
    is_stand_in: bool

    @property
    def side(self) -> int:
        """Height and width of the images, in pixels."""
        return self.key.side


def seeds(seed: int) -> dict[str, int]:
    """Derives independent seeds for what is random in a run from the run's own seed.

    The split has the run's seed itself, so that `bin/prepare_faces --seed` audits the same one.
    """
    names = ("weights", "order", "tasks", "probe", "bootstrap")
    states = np.random.SeedSequence(seed).generate_state(len(names)) >> 2  # below 2**30
    return {name: int(state) for name, state in zip(names, states, strict=True)}


def open_data(settings: ImageDataConfig) -> LabelledImages:
    """Opens the images."""
    return DATA[settings.kind](settings.path)


def make_parts(experiment: ClassifierExperiment, data: LabelledImages) -> np.ndarray:
    """Returns the part of every example, str [N].

    Raises:
        ValueError: If there is no validation part, or as the split says.
    """
    settings = experiment.data
    if not settings.fractions[1] > 0:
        raise ValueError(
            f"expected a validation part, got data.fractions {list(settings.fractions)}; "
            "the regularisation and the temperature are chosen on it"
        )
    return data.parts(settings.split, settings.fractions, experiment.seed, settings.balance)


def make_encoder(experiment: ClassifierExperiment, data: LabelledImages) -> Encoder:
    """Builds the trunk, with random weights that depend on the experiment's seed only."""
    tf.keras.utils.set_random_seed(seeds(experiment.seed)["weights"])
    is_module = experiment.encoder.trunk in HUB_ENCODERS
    return (_module_encoder if is_module else _trunk_encoder)(experiment, data)


def _trunk_encoder(experiment: ClassifierExperiment, data: LabelledImages) -> Encoder:
    settings = experiment.encoder
    if settings.trunk not in trunks.TRUNKS:
        raise ValueError(
            f"expected encoder.trunk among {', '.join([*trunks.TRUNKS, *HUB_ENCODERS])}, "
            f"got '{settings.trunk}'"
        )
    side = settings.side or trunks.get(settings.trunk).side
    pretrained = Path(settings.weights, "config.yaml").is_file()
    file, name = (_pretrained if pretrained else _published)(experiment)
    model = encoders.encoder(
        (1, side, side, data.channels), settings.trunk, file, settings.precision
    )
    reads = settings.feature or TRUNK_FEATURE
    if len(model.output_shape.get(reads, ())) != 2:
        vectors = [key for key, shape in model.output_shape.items() if len(shape) == 2]
        raise ValueError(
            f"expected encoder.feature among {', '.join(vectors)} for trunk '{settings.trunk}', "
            f"got '{reads}'"
        )
    content = weights.content_hash(model)
    key = features.FeatureKey(settings.trunk, reads, content, side, settings.precision, data="")
    return Encoder(model, reads, key, name, is_stand_in=False)


def _published(experiment: ClassifierExperiment) -> tuple[Path | None, str]:
    """Finds a file of weights, and what to call it."""
    settings = experiment.encoder
    file = weights.resolve(settings.trunk, settings.weights)
    is_word = settings.weights in ("random", "imagenet")
    return file, settings.weights if is_word else Path(settings.weights).stem


def _pretrained(experiment: ClassifierExperiment) -> tuple[Path, str]:
    """Finds the trunk of a pre-training here, and names it by its tasks."""
    run = RunDirectory.existing(experiment.encoder.weights)
    before = run.experiment(ClassifierExperiment)
    if before.mode != "pretrain" or before.encoder.trunk != experiment.encoder.trunk:
        raise ValueError(
            f"expected the run of a pre-training of '{experiment.encoder.trunk}' as "
            f"encoder.weights, got {run.path}, a {before.mode} of '{before.encoder.trunk}'"
        )
    if (before.data, before.seed) != (experiment.data, experiment.seed):
        print(
            f"warning: {run.path} learnt from other data, another split or another seed: it may "
            "have seen images of this run's test part, without their labels",
            file=sys.stderr,
        )
    return run.trunk_weights, "+".join(task.name for task in before.training.tasks)


def _module_encoder(experiment: ClassifierExperiment, data: LabelledImages) -> Encoder:
    settings = experiment.encoder
    if settings.precision != "float32":
        raise ValueError(
            f"expected encoder.precision float32 for '{settings.trunk}', a TF-Hub module, got "
            f"{settings.precision}"
        )
    directory, name = _module(experiment)
    side, reads = settings.side or hub_encoders.SIDE, settings.feature or HUB_FEATURE
    model = hub_encoders.encoder((1, side, side, data.channels), directory, reads)
    content = hub_encoders.content_hash(directory)
    # The module's output goes by another name in the model.
    named = f"{settings.trunk} {reads}"
    key = features.FeatureKey(named, TRUNK_FEATURE, content, side, "float32", data="")
    return Encoder(model, TRUNK_FEATURE, key, name, hub_stand_in.is_stand_in(directory))


def _module(experiment: ClassifierExperiment) -> tuple[Path, str]:
    """Finds the folder of a TF-Hub module, and what to call its weights."""
    settings, handle = experiment.encoder, HUB_ENCODERS[experiment.encoder.trunk]
    if settings.weights == STAND_IN:
        folder = Path(experiment.cache) / STAND_IN
        hub_stand_in.write_stand_in(folder)
        return folder, STAND_IN
    if settings.weights == "random" or (settings.weights == "imagenet" and handle is None):
        raise ValueError(
            f"expected the handle or the folder of a TF-Hub module as encoder.weights of "
            f"'{settings.trunk}', or {STAND_IN} to try things, got '{settings.weights}'"
        )
    given = handle if settings.weights == "imagenet" else settings.weights
    directory = hub_encoders.resolve(given)
    # A folder in the place of a published handle holds what was downloaded from there.
    published = handle is not None and not hub_stand_in.is_stand_in(directory)
    return directory, "imagenet" if published else Path(given).name


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


def make_tasks(experiment: ClassifierExperiment, encoder: Encoder) -> dict[str, tasks.Task]:
    """Finds the tasks and checks that they suit the images."""
    found = {}
    for chosen in experiment.training.tasks:
        if chosen.name in found:
            raise ValueError(
                f"expected each task once in training.tasks, got '{chosen.name}' twice"
            )
        found[chosen.name] = tasks.get(chosen.name, **chosen.options)
        found[chosen.name].check(encoder.model.input_shape[1:])
    return found


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
    found = make_tasks(experiment, encoder)
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
