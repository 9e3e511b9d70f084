"""The settings of several experiments that are run and reported together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from jsonargparse.typing import NonNegativeInt, PositiveInt

from tfselfsup.config.faces import SpliceSide
from tfselfsup.config.shared import Scalar


@dataclass(frozen=True)
class AgentRuns:
    """Agents, each on every game with every seed.

    Attributes:
        experiments: Names of experiments such as ``atari/fast_dqn``, or YAML files.
        games: Games instead of each experiment's own.
        seeds: Seeds of each experiment.
        overrides: Dotted settings that replace those of every experiment.
    """

    experiments: tuple[str, ...] = ()
    games: tuple[str, ...] = ()
    seeds: tuple[NonNegativeInt, ...] = (0,)
    overrides: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassifierRuns:
    """Classifiers, each on every split with every seed.

    Attributes:
        experiments: Names such as ``forged_faces/mobilenet_imagenet``, or YAML files.
        pretrainings: Experiments of pre-trainings, each with the experiment that then takes its
            trunk, at the side it was trained with; and, for comparison, random weights.
        splits: Splits of the faces instead of each experiment's own.
        seeds: Seeds of each experiment.
        overrides: Dotted settings that replace those of every experiment with faces.
        splices: How many images are made where the data are ``splices``.
        splice_side: Their height and width, in pixels.
    """

    experiments: tuple[str, ...] = ()
    pretrainings: dict[str, str] = field(default_factory=dict)
    splits: tuple[Literal["random", "video", "hard", "actor"], ...] = ()
    seeds: tuple[NonNegativeInt, ...] = (0,)
    overrides: dict[str, Scalar] = field(default_factory=dict)
    splices: PositiveInt = 2000
    splice_side: SpliceSide = 128  # pixels


@dataclass(frozen=True)
class Reproduction:
    """Agents and classifiers that are run and reported together.

    Attributes:
        agents: Which agents.
        classifiers: Which classifiers.
        data: Faces: a folder that `bin/prepare_faces` wrote, or ``splices``, which are made.
            Experiments whose data.kind a package adds keep their own data.
        digits: USPS as HDF5. Experiments with digits are left out where it is not given.
    """

    agents: AgentRuns = AgentRuns()
    classifiers: ClassifierRuns = ClassifierRuns()
    data: str = "splices"
    digits: str | None = None
