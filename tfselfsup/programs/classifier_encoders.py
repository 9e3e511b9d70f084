"""Builds the trunk of a classifier with the weights that its configuration names."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfselfsup.config import ClassifierExperiment
from tfselfsup.datasets.labelled_images import LabelledImages
from tfselfsup.models import encoders, hub_encoders, hub_stand_in, trunks, weights
from tfselfsup.runs import RunDirectory
from tfselfsup.vision import features

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

    @property
    def described(self) -> str:
        """Its name and that of its weights, for people to read."""
        return described(self.key.encoder, self.weights, self.is_stand_in)


def described(model: str, weights_name: str, is_stand_in: bool) -> str:
    """Names a trunk and its weights, for people to read; a stand-in is always marked."""
    return f"{model}, weights {marked(weights_name, is_stand_in)}"


def marked(name: str, is_stand_in: bool) -> str:
    """Marks the name of what only stands in for published weights."""
    return f"{name} (stand-in)" if is_stand_in else name


def seeds(seed: int) -> dict[str, int]:
    """Derives independent seeds for what is random in a run from the run's own seed.

    The split has the run's seed itself, so that `bin/prepare_faces --seed` audits the same one.
    """
    names = ("weights", "order", "tasks", "probe", "bootstrap")
    states = np.random.SeedSequence(seed).generate_state(len(names)) >> 2  # below 2**30
    return {name: int(state) for name, state in zip(names, states, strict=True)}


def make_encoder(experiment: ClassifierExperiment, data: LabelledImages) -> Encoder:
    """Builds the trunk, with random weights that depend on the experiment's seed only."""
    tf.keras.utils.set_random_seed(seeds(experiment.seed)["weights"])
    is_module = experiment.encoder.trunk in HUB_ENCODERS
    return (_module_encoder if is_module else _trunk_encoder)(experiment, data)


def _trunk_encoder(experiment: ClassifierExperiment, data: LabelledImages) -> Encoder:
    settings = experiment.encoder
    if settings.trunk not in trunks.names():
        raise ValueError(
            f"expected encoder.trunk among {', '.join([*trunks.names(), *HUB_ENCODERS])}, "
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
    key = features.FeatureKey(
        settings.trunk,
        reads,
        weights.content_hash(model),
        features.architecture(model),
        side,
        settings.precision,
        data="",
    )
    return Encoder(model, reads, key, name, is_stand_in=False)


def _published(experiment: ClassifierExperiment) -> tuple[Path | None, str]:
    """Finds a file of weights, and what to call it."""
    settings = experiment.encoder
    file = weights.resolve(settings.trunk, settings.weights)
    if file is None:
        return None, "random"
    published = trunks.get(settings.trunk).imagenet
    is_published = published is not None and file.name == published.file
    return file, "imagenet" if is_published else file.stem


def _pretrained(experiment: ClassifierExperiment) -> tuple[Path, str]:
    """Finds the trunk of a pre-training here, and names it by its tasks."""
    run = RunDirectory.existing(experiment.encoder.weights)
    before = run.experiment(ClassifierExperiment)
    if before.mode != "pretrain" or before.encoder.trunk != experiment.encoder.trunk:
        raise ValueError(
            f"expected the run of a pre-training of '{experiment.encoder.trunk}' as "
            f"encoder.weights, got {run.path}, a {before.mode} of '{before.encoder.trunk}'"
        )
    tasks_learnt = "+".join(task.name for task in before.training.tasks)
    first = {"random": ""}.get(before.encoder.weights, f"{run.inputs()['weights']}, then ")
    return run.trunk_weights, first + tasks_learnt


def pretraining(
    experiment: ClassifierExperiment, data: LabelledImages
) -> dict[str, bool | int | str]:
    """Says how a trunk was pre-trained here; empty if it was not.

    Images of this run's test part may have been seen, without their labels, if the pre-training had
    other data, another split or another seed; a warning says so.
    """
    if not Path(experiment.encoder.weights, "config.yaml").is_file():
        return {}
    run = RunDirectory.existing(experiment.encoder.weights)
    before = run.experiment(ClassifierExperiment)
    is_other = (
        run.inputs().get("data") != data.fingerprint()
        or before.seed != experiment.seed
        or dataclasses.replace(before.data, path=experiment.data.path) != experiment.data
    )
    if is_other:
        print(
            f"warning: {run.path} learnt from other data, another split or another seed: it may "
            "have seen images of this run's test part, without their labels",
            file=sys.stderr,
        )
    return {
        "pretraining_epochs": before.training.epochs,
        "pretraining_checkpoint": before.scoring.checkpoint,
        "pretrained_on_other_data": is_other,
    }


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
    structure = features.architecture(model)
    key = features.FeatureKey(named, TRUNK_FEATURE, content, structure, side, "float32", data="")
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
