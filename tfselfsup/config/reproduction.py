"""The settings of several experiments that are run and reported together."""

from __future__ import annotations

from dataclasses import dataclass, field

from jsonargparse.typing import NonNegativeInt

from tfselfsup.config.shared import Scalar


@dataclass(frozen=True)
class Reproduction:
    """Several experiments, each with several seeds.

    Attributes:
        experiments: Names of experiments such as ``atari/fast_dqn``, or YAML files.
        seeds: Seeds of each experiment.
        overrides: Dotted settings that replace those of every experiment.
    """

    experiments: tuple[str, ...]
    seeds: tuple[NonNegativeInt, ...] = (0,)
    overrides: dict[str, Scalar] = field(default_factory=dict)
