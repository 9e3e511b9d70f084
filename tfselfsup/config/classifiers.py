"""The settings of an image classifier: the probe of the study, or a network trained end to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    restricted_number_type,
)

from tfselfsup.config.faces import JpegQuality
from tfselfsup.config.shared import RuntimeConfig, TaskConfig

CropShare = restricted_number_type("CropShare", float, [(">", 0), ("<=", 1)])


@dataclass(frozen=True)
class ImageDataConfig:
    """Labelled images, and which of them are learnt from.

    Attributes:
        kind: ``faces``, a folder that `bin/prepare_faces` wrote; ``digits``, USPS as HDF5; or what
            an installed package adds.
        path: The folder or the file.
        split: What stays together on one side; ``official`` is the digits' own test part.
        fractions: Shares of the training, validation and test part.
        balance: Leave out examples until both classes are equal in every part.
    """

    kind: str = "faces"
    path: str = "runs/faces"
    split: Literal["random", "video", "hard", "actor", "official"] = "hard"
    fractions: tuple[ClosedUnitInterval, ClosedUnitInterval, ClosedUnitInterval] = (0.7, 0.1, 0.2)
    balance: bool = True


@dataclass(frozen=True)
class EncoderConfig:
    """The trunk of a classifier.

    Attributes:
        trunk: Name of a trunk, or of a TF-Hub encoder.
        weights: ``random``; ``imagenet``, the published ones; or a file, the run directory of a
            pre-training, or a TF-Hub handle or folder.
        feature: What the class head reads, such as ``pooled``, or an output of a TF-Hub encoder.
        side: Height and width the images are scaled to, in pixels; the trunk's own if not given. A
            TF-Hub encoder scales once more, to 256 by bicubic interpolation as it was published:
            give the images' own side to have that alone.
        precision: Arithmetic of the layers; weights, outputs and losses stay in float32.
    """

    trunk: str = "resnet50"
    weights: str = "random"
    feature: str | None = None
    side: PositiveInt | None = None  # pixels
    precision: Literal["float32", "mixed_bfloat16"] = "float32"


@dataclass(frozen=True)
class ProbeConfig:
    """A classifier on frozen features.

    Attributes:
        solver: ``lbfgs``, regularised logistic regression solved to convergence on standardised
            features; ``adam``, the study's; ``knn``, a vote of the nearest neighbours.
        strengths: Inverse regularisation strengths C that ``lbfgs`` chooses from.
        learning_rate: Step size of ``adam``.
        batch_size: Examples per step of ``adam``.
        epochs: Of ``adam``.
        neighbours: That vote in ``knn``.
    """

    solver: Literal["lbfgs", "adam", "knn"] = "lbfgs"
    strengths: tuple[PositiveFloat, ...] = (
        1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0
    )  # fmt: skip
    learning_rate: PositiveFloat = 1e-4
    batch_size: PositiveInt = 32
    epochs: PositiveInt = 10
    neighbours: PositiveInt = 200


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of the images that a network is trained on end to end.

    Attributes:
        flip: Mirror half of them.
        crop: Least share of the area that is kept and blown up; 1 switches that off.
        colour: Largest change of saturation, contrast and brightness, as a share.
        jpeg: Least quality they are compressed with again; 100 switches that off.
    """

    flip: bool = True
    crop: CropShare = 0.8
    colour: ClosedUnitInterval = 0.2
    jpeg: JpegQuality = 100


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained end to end.

    Attributes:
        epochs: Passes over the training part.
        batch_size: Images per update.
        learning_rate: The largest step size of Adam; it rises to it and falls to 0 as a cosine.
        warm_up: Share of all updates over which it rises.
        weight_decay: Decoupled, as a factor of the step size.
        augmentation: Random changes of the images.
        tasks: The self-supervised tasks beside the class, or alone in a pre-training.
    """

    epochs: PositiveInt = 10
    batch_size: PositiveInt = 32
    learning_rate: PositiveFloat = 1e-4
    warm_up: ClosedUnitInterval = 0.1
    weight_decay: NonNegativeFloat = 0.0
    augmentation: AugmentationConfig = AugmentationConfig()
    tasks: tuple[TaskConfig, ...] = ()


@dataclass(frozen=True)
class ScoringConfig:
    """How a classifier is scored.

    Attributes:
        checkpoint: Of a network trained end to end: the ``last`` one, or the ``best`` by the loss
            on the validation part.
        resamples: Of the bootstrap over sources that gives the intervals.
        batch_size: Images at a time.
    """

    checkpoint: Literal["last", "best"] = "best"
    resamples: PositiveInt = 1000
    batch_size: PositiveInt = 64


@dataclass(frozen=True)
class ClassifierExperiment:
    """One classifier, one data set, one split, one seed.

    Attributes:
        mode: ``probe``, a classifier on the frozen trunk; ``fine_tune``, the trunk and the class
            head end to end, with tasks beside them; ``pretrain``, the trunk with the tasks alone.
        seed: Seed of everything that is random in the run, the split included.
        cache: Folder in which the features of frozen trunks are kept.
        data: The images.
        encoder: The trunk.
        probe: The classifier on it, in mode ``probe``.
        training: The training, in the other modes.
        scoring: How it is scored.
        runtime: Threads.
    """

    mode: Literal["probe", "fine_tune", "pretrain"] = "probe"
    seed: NonNegativeInt = 0
    cache: str = "runs/features"
    data: ImageDataConfig = ImageDataConfig()
    encoder: EncoderConfig = EncoderConfig()
    probe: ProbeConfig = ProbeConfig()
    training: TrainingConfig = TrainingConfig()
    scoring: ScoringConfig = ScoringConfig()
    # Convolutions of large images use both cores best inside one operation.
    runtime: RuntimeConfig = RuntimeConfig(intra_op_threads=0, inter_op_threads=0)
