"""How the Q loss and the tasks' losses meet: which gradient steps an update takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

Q = "q"


class GradientStep(NamedTuple):
    """One step of an optimiser on a weighted sum of losses.

    Attributes:
        weights: Factor of each loss, by name.
        optimizer: Applies the gradient; the slots of its variables are its own.
        first_update: The first update that takes this step.
        end_update: The first update that no longer takes it; None if there is none.
    """

    weights: Mapping[str, float]
    optimizer: tf.keras.optimizers.legacy.Optimizer
    first_update: int = 0
    end_update: int | None = None

    @property
    def always(self) -> bool:
        """Whether every update takes this step."""
        return self.first_update == 0 and self.end_update is None

    @property
    def norm_name(self) -> str:
        """Name of the metric with the norm of the gradient, before it is clipped."""
        return "gradient_norm/" + "+".join(self.weights)

    def taken_at(self, update: int | tf.Tensor) -> bool | tf.Tensor:
        """Tells whether an update, counted from 0, takes this step."""
        started = update >= self.first_update
        return started if self.end_update is None else started & (update < self.end_update)


MakeOptimizer = Callable[[], tf.keras.optimizers.legacy.Optimizer]
TaskWeights = Mapping[str, float]


def alternate(
    tasks: TaskWeights, make_optimizer: MakeOptimizer, _: int
) -> tuple[GradientStep, ...]:
    """A step on the Q loss, then one on the tasks' losses, each with an optimiser of its own."""
    return GradientStep({Q: 1.0}, make_optimizer()), GradientStep(tasks, make_optimizer())


def joint(tasks: TaskWeights, make_optimizer: MakeOptimizer, _: int) -> tuple[GradientStep, ...]:
    """One step on the sum of all losses."""
    return (GradientStep({Q: 1.0, **tasks}, make_optimizer()),)


def pretrain(
    tasks: TaskWeights, make_optimizer: MakeOptimizer, pretrain_updates: int
) -> tuple[GradientStep, ...]:
    """Steps on the tasks' losses only, and after `pretrain_updates` of them on the Q loss only."""
    return (
        GradientStep(tasks, make_optimizer(), end_update=pretrain_updates),
        GradientStep({Q: 1.0}, make_optimizer(), first_update=pretrain_updates),
    )


MODES = {"alternate": alternate, "joint": joint, "pretrain": pretrain}


def gradient_steps(
    mode: str, tasks: TaskWeights, make_optimizer: MakeOptimizer, pretrain_updates: int = 0
) -> tuple[GradientStep, ...]:
    """Lists the gradient steps of an update.

    Args:
        mode: `alternate`, `joint` or `pretrain`.
        tasks: The weight of each task's loss, by the task's name; empty for plain DQN.
        make_optimizer: Makes a fresh optimiser.
        pretrain_updates: For `pretrain`, how many updates train the tasks alone.

    Returns:
        The steps, in the order they are taken.

    Raises:
        ValueError: If the mode is unknown, or `pretrain` is told to pretrain for no update.
    """
    if mode not in MODES:
        raise ValueError(f"expected a mode among {', '.join(MODES)}, got '{mode}'")
    if not tasks:
        return (GradientStep({Q: 1.0}, make_optimizer()),)
    if mode == "pretrain" and pretrain_updates < 1:
        raise ValueError(
            f"mode 'pretrain' expects agent.pretrain_updates of at least 1, got {pretrain_updates}"
        )
    return MODES[mode](tasks, make_optimizer, pretrain_updates)
