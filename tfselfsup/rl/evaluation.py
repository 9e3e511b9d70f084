"""Whole games with raw scores, for a fair comparison of agents."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.policies import Policy, epsilon_greedy


class EvaluationResult(NamedTuple):
    """Games in a fixed order: by slot, and within a slot by time.

    Attributes:
        scores: float64 [episodes], the sum of a game's raw rewards.
        lengths: int64 [episodes], agent steps.
    """

    scores: np.ndarray
    lengths: np.ndarray


def evaluate(
    environment: AtariEnvironment,
    policy: Policy,
    *,
    episodes: int,
    epsilon: float,
    generator: np.random.Generator,
    on_episode: Callable[[float], None] | None = None,
    on_step: Callable[[ts.TimeStep], None] | None = None,
) -> EvaluationResult:
    """Plays whole games, epsilon-greedily, and reports every score.

    Each slot plays a number of games that is fixed beforehand (100 over 8 slots: 13, 13, 13, 13,
    12, 12, 12, 12). To take the first 100 that end, of all slots, would favour short games. The
    random no-op starts and a small epsilon keep the games apart (Mnih et al. 2015,
    doi:10.1038/nature14236, with epsilon 0.05), or else sticky actions (Machado et al. 2018,
    arXiv:1709.06009). A game counts to its end, or until the environment cuts it off.

    Starts with `environment.reset()`, so that the environment's seed, the generator and the policy
    determine the result.

    Args:
        environment: Whose slots play.
        policy: The greedy policy. Only observations of slots that still play are given to it.
        episodes: Number of games, 1 or more; with fewer games than slots some slots stay idle.
        epsilon: Probability of a random action, in [0, 1].
        generator: Draws the random actions.
        on_episode: Called with each score as the game ends.
        on_step: Called with every time step of all slots, the first included.

    Raises:
        ValueError: If `episodes` or `epsilon` is out of range.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be 1 or more, got {episodes}")
    _check_epsilon(epsilon)
    slots = environment.batch_size
    quota = episodes // slots + (np.arange(slots) < episodes % slots)
    games: list[list[tuple[float, int]]] = [[] for _ in range(slots)]
    played = np.zeros(slots, np.int64)
    score = np.zeros(slots, np.float64)
    length = np.zeros(slots, np.int64)
    time_step = environment.reset()
    if on_step is not None:
        on_step(time_step)
    while (active := np.flatnonzero(played < quota)).size:
        time_step = environment.step(
            choose_actions(environment, policy, active, epsilon=epsilon, generator=generator)
        )
        if on_step is not None:
            on_step(time_step)
        score += time_step.reward
        length += ~time_step.is_first()
        for slot in active[time_step.is_last()[active]]:
            games[slot].append((score[slot], length[slot]))
            if on_episode is not None:
                on_episode(float(score[slot]))
            played[slot] += 1
            score[slot] = length[slot] = 0
    scores, lengths = zip(*(game for slot_games in games for game in slot_games), strict=True)
    return EvaluationResult(np.array(scores, np.float64), np.array(lengths, np.int64))


def choose_actions(
    environment: AtariEnvironment,
    policy: Policy,
    active: np.ndarray,
    *,
    epsilon: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Chooses epsilon-greedy actions for the environment's current time step.

    Args:
        environment: Gives the observations and the number of actions.
        policy: The greedy policy.
        active: int [n], the slots to choose for.
        epsilon: Probability of a random action.
        generator: Draws them.

    Returns:
        int32 [N]: the chosen actions, and 0 in slots that are not active.
    """
    actions = np.zeros(environment.batch_size, np.int32)
    actions[active] = epsilon_greedy(
        environment.current_time_step().observation[active],
        policy,
        environment.num_actions,
        epsilon,
        generator,
    )
    return actions


def _check_epsilon(epsilon: float) -> None:
    if not 0 <= epsilon <= 1:
        raise ValueError(f"epsilon must be from 0 to 1, got {epsilon}")
