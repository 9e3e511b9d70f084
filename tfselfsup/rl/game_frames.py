"""A few frames of a game, evenly spaced, for whoever wants to see how it was played."""

from __future__ import annotations

import numpy as np
from tf_agents.trajectories import time_step as ts


class GameFrames:
    """Keeps frames of the first slot's first game, however long it becomes.

    Takes time steps, as `evaluation.evaluate` gives them to `on_step`. While a game is played its
    length is not known: every frame is kept until there are twice too many, from then on every
    second, and so on.
    """

    def __init__(self, count: int):
        """Says how many.

        Args:
            count: Frames, at least 1; a shorter game has as many as it has steps.

        Raises:
            ValueError: If it is below 1.
        """
        if count < 1:
            raise ValueError(f"expected a count of at least 1 frame, got {count}")
        self._count = count
        self._kept: list[np.ndarray] = []
        self._steps = 0
        self._spacing = 1
        self._is_over = False

    def __call__(self, time_step: ts.TimeStep) -> None:
        """Takes the newest frame of a step's stack, until the game is over."""
        if self._is_over:
            return
        if self._steps % self._spacing == 0:
            # A view would keep the frames of the whole stack, in all slots, in memory.
            self._kept.append(time_step.observation[0, -1].copy())
        if len(self._kept) == 2 * self._count:
            del self._kept[1::2]
            self._spacing *= 2
        self._steps += 1
        self._is_over = bool(time_step.is_last()[0])

    @property
    def frames(self) -> np.ndarray:
        """The frames in their order, uint8 [n, H, W, C]; they begin with the game's first."""
        if not self._kept:
            raise ValueError("expected a game, got no step of one; play first")
        count = min(self._count, len(self._kept))
        chosen = np.linspace(0, len(self._kept) - 1, count).round().astype(int)
        return np.stack([self._kept[number] for number in chosen])
