"""What an agent saw while it played."""

from __future__ import annotations

import numpy as np

from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.evaluation import choose_actions
from tfselfsup.rl.policies import Policy


def observed(
    environment: AtariEnvironment,
    policy: Policy,
    *,
    steps: int,
    epsilon: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Plays a game in the environment's first slot.

    Args:
        environment: Is reset; its other slots idle meanwhile.
        policy: The greedy policy, as for `rl.evaluation.evaluate`.
        steps: The most agent steps, 1 or more; fewer if the game ends before.
        epsilon: Probability of a random action, in [0, 1].
        generator: Draws the random actions.

    Returns:
        The observations that were acted on, uint8 [N, T, H, W, C].
    """
    frames = []
    time_step = environment.reset()
    while len(frames) < steps and not time_step.is_last()[0]:
        frames.append(time_step.observation[0])
        chosen = choose_actions(
            environment, policy, np.array([0]), epsilon=epsilon, generator=generator
        )
        time_step = environment.step(chosen)
    return np.stack(frames)
