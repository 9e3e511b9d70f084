"""Learning: samples minibatches from the replay memory and updates the agent."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from tfselfsup.rl.agent import SelfSupervisedDqnAgent, transition_of
from tfselfsup.rl.objectives import Q
from tfselfsup.rl.replay import Batch, Replay


class NonFiniteLossError(ArithmeticError):
    """A loss became infinite or not a number."""


class Learner:
    """Takes updates; the next minibatch is sampled in a thread while one is learnt.

    The order in which the replay is read and written is fixed, so that a run can be repeated: a
    minibatch is sampled before the priorities of the one before it are written.

    Attributes:
        updates: Updates taken so far.
    """

    def __init__(
        self, agent: SelfSupervisedDqnAgent, replay: Replay, batch_size: int, uses_weights: bool
    ):
        """Compiles the update.

        Args:
            agent: Learns.
            replay: Remembers.
            batch_size: Transitions of one update.
            uses_weights: Whether the replay's importance weights differ from 1.
        """
        self.updates = int(agent.train_step_counter.numpy())
        self._agent = agent
        self._replay = replay
        self._batch_size = batch_size
        self._uses_weights = uses_weights
        self._train = tf.function(agent.train)
        self._sampler = ThreadPoolExecutor(1, thread_name_prefix="sampler")
        self._next: Future[Batch] | None = None

    def update(self) -> dict[str, float]:
        """Takes one update.

        Returns:
            The metrics of the losses it trained, by name.

        Raises:
            NonFiniteLossError: If a loss is infinite or not a number; names the update and the
                loss.
        """
        batch = self._next.result() if self._next else self._sample()
        self._next = self._sampler.submit(self._sample)
        weights = batch.weights if self._uses_weights else None
        info = self._train(transition_of(batch), weights).extra
        metrics = {name: float(value) for name, value in info.metrics.items()}
        td_error = info.td_error.numpy()
        self._next.result()  # nobody may write to the replay while it is sampled
        self._check(metrics)
        if self._agent.trains_at(Q, self.updates):
            self._replay.update_priorities(batch.rows, td_error)
        self.updates += 1
        return {name: value for name, value in metrics.items() if not np.isnan(value)}

    def close(self) -> None:
        """Ends the sampling thread."""
        self._sampler.shutdown()

    def _sample(self) -> Batch:
        return self._replay.sample(self._batch_size)

    def _check(self, metrics: dict[str, float]) -> None:
        for name, value in metrics.items():
            kind, _, loss = name.partition("/")
            trained = kind == "loss" and self._agent.trains_at(loss, self.updates)
            if trained and not np.isfinite(value):
                raise NonFiniteLossError(
                    f"loss '{loss}' became {value} at update {self.updates + 1}"
                )
