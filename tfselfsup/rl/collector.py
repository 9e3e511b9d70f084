"""Acting: plays the games side by side and writes what happens into the replay memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.policies import Policy, epsilon_greedy
from tfselfsup.rl.replay import Replay


class Episode(NamedTuple):
    """A finished game: its raw score and its length in agent steps."""

    score: float
    length: int


class Collector:
    """Plays with an epsilon-greedy policy; the emulators may work while the network learns.

    Attributes:
        epsilon: Probability of a random action.
    """

    def __init__(
        self,
        environment: AtariEnvironment,
        replay: Replay,
        policy: Policy,
        generator: np.random.Generator,
        *,
        clip_rewards: bool,
        life_loss_ends_episode: bool,
    ):
        """Begins a new game in every slot.

        Args:
            environment: The games.
            replay: Where the steps go.
            policy: Chooses the greedy actions.
            generator: For exploration.
            clip_rewards: Store rewards clipped to [-1, 1]; scores stay raw.
            life_loss_ends_episode: Store discount 0 where a life is lost.
        """
        self.epsilon = 1.0
        self._environment = environment
        self._replay = replay
        self._policy = policy
        self._generator = generator
        self._clip_rewards = clip_rewards
        self._life_loss_ends_episode = life_loss_ends_episode
        self._actions: np.ndarray | None = None
        self._time_step = environment.reset()
        self._lives = self._lives_before = environment.get_info()["lives"]
        self._scores = np.zeros(environment.batch_size)
        self._lengths = np.zeros(environment.batch_size, np.int64)

    def store(self) -> int:
        """Stores the present step with the actions chosen for it.

        Returns:
            How many agent steps these actions begin: a slot whose game has ended only begins a new
            one.
        """
        if self._actions is None:
            self.choose()
        step = self._time_step
        self._replay.append(
            step.observation[:, -1, :, :, 0],
            step.step_type,
            self._actions,
            np.clip(step.reward, -1, 1) if self._clip_rewards else step.reward,
            self._discounts(),
        )
        playing = step.step_type != ts.StepType.LAST
        self._lengths += playing
        return int(playing.sum())

    def send(self) -> None:
        """Starts the emulators on the actions that were stored."""
        self._environment.send(self._actions)
        self._actions = None

    def receive(self) -> list[Episode]:
        """Waits for the emulators.

        Returns:
            The games that ended with this step.
        """
        self._time_step = self._environment.recv()
        self._lives_before = self._lives
        self._lives = self._environment.get_info()["lives"]
        self._scores += self._time_step.reward
        ended = np.flatnonzero(self._time_step.is_last())
        episodes = [Episode(float(self._scores[i]), int(self._lengths[i])) for i in ended]
        self._scores[ended] = 0
        self._lengths[ended] = 0
        return episodes

    def choose(self) -> None:
        """Chooses the actions of the present step; `store` does it where it was not done before."""
        self._actions = epsilon_greedy(
            self._time_step.observation,
            self._policy,
            self._environment.num_actions,
            self.epsilon,
            self._generator,
        )

    def _discounts(self) -> np.ndarray:
        step = self._time_step
        if not self._life_loss_ends_episode:
            return step.discount
        lost = (self._lives < self._lives_before) & (step.step_type != ts.StepType.FIRST)
        return np.where(lost, np.float32(0), step.discount)
