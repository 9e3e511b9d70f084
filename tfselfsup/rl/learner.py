"""Learning: samples minibatches from the replay memory and updates the agent."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from tfselfsup.rl.agent import SelfSupervisedDqnAgent, UpdateInfo, transition_of
from tfselfsup.rl.objectives import Q
from tfselfsup.rl.replay import Batch, Replay

# Metrics that must be finite, and what they are called in the message if one is not.
WATCHED = {"loss": "loss", "gradient_norm": "gradient of the loss"}


class NonFiniteLossError(ArithmeticError):
    """A loss or its gradient became infinite or not a number."""


class Learner:
    """Takes updates in groups; the next group's minibatches are sampled while one is learnt.

    A group is one call into TensorFlow, which costs less than a call for each update. The order in
    which the replay is read and written is fixed, so that a run can be repeated: minibatches are
    sampled before the priorities of the group before them are written.

    Attributes:
        group: Updates of a group.
        updates: Updates taken so far.
    """

    def __init__(
        self,
        agent: SelfSupervisedDqnAgent,
        replay: Replay,
        batch_size: int,
        group: int,
        uses_weights: bool,
    ):
        """Compiles the updates.

        Args:
            agent: Learns.
            replay: Remembers.
            batch_size: Transitions of one update.
            group: Updates of a group; divides the target network's period.
            uses_weights: Whether the replay's importance weights differ from 1.
        """
        self.group = group
        self.updates = int(agent.train_step_counter.numpy())
        self._agent = agent
        self._replay = replay
        self._batch_size = batch_size
        self._uses_weights = uses_weights
        self._train = tf.function(agent.train_several, autograph=False)
        self._sampler = ThreadPoolExecutor(1, thread_name_prefix="sampler")
        self._next: Future[list[Batch]] | None = None

    def update(self) -> list[dict[str, float]]:
        """Takes a group of updates.

        Returns:
            For each update the metrics of the losses it trained, by name.

        Raises:
            NonFiniteLossError: If a loss or its gradient is infinite or not a number; names the
                update and the loss.
        """
        batches = self._next.result() if self._next else self._sample()
        self._next = self._sampler.submit(self._sample)
        minibatches = [
            (transition_of(batch), batch.weights if self._uses_weights else None)
            for batch in batches
        ]
        infos = tf.nest.map_structure(lambda tensor: tensor.numpy(), self._train(minibatches))
        self._next.result()  # nobody may write to the replay while it is sampled
        return [self._learnt(batch, info.extra) for batch, info in zip(batches, infos, strict=True)]

    def close(self) -> None:
        """Ends the sampling thread."""
        self._sampler.shutdown()

    def _sample(self) -> list[Batch]:
        return [self._replay.sample(self._batch_size) for _ in range(self.group)]

    def _learnt(self, batch: Batch, info: UpdateInfo) -> dict[str, float]:
        """Takes in what came of one update, and returns its metrics."""
        metrics = {name: float(value) for name, value in info.metrics.items()}
        self._check(metrics)
        if self._agent.trains_at(Q, self.updates):
            self._replay.update_priorities(batch.rows, info.td_error)
        self.updates += 1
        return {name: value for name, value in metrics.items() if not np.isnan(value)}

    def _check(self, metrics: dict[str, float]) -> None:
        """Stops at a loss that is not finite, or at a gradient, which would spoil the weights."""
        for name, value in metrics.items():
            kind, _, losses = name.partition("/")
            watched = kind in WATCHED and self._agent.trains_at(losses.split("+")[0], self.updates)
            if watched and not np.isfinite(value):
                raise NonFiniteLossError(
                    f"the {WATCHED[kind]} '{losses}' became {value} at update {self.updates + 1}"
                )
