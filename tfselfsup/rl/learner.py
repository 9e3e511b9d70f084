"""Learning: samples minibatches from the replay memory and updates the agent."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from tfselfsup.rl.agent import SelfSupervisedDqnAgent, UpdateInfo, transition_of
from tfselfsup.rl.objectives import Q
from tfselfsup.rl.replay import Batch, Replay
from tfselfsup.rl.ring import LOGICAL_ORDER, MEMORY_ORDER

# Metrics that must be finite, and what they are called in the message if one is not.
WATCHED = {"loss": "loss", "gradient_norm": "gradient of the loss"}


class Sample(NamedTuple):
    """A minibatch on its way to the agent.

    Attributes:
        rows: Names of its transitions, for the priorities.
        tensors: What TensorFlow needs of it: no rows, weights only if they are used, and
            observations as they lie in memory, uint8 [B, H, W, T, 1].
    """

    rows: np.ndarray
    tensors: Batch


class NonFiniteLossError(ArithmeticError):
    """A loss or its gradient became infinite or not a number."""


class Learner:
    """Takes updates in groups, in a thread of its own, while the games go on.

    A group is one call into TensorFlow, which costs less than a call for each update. The order in
    which the replay and the weights are read and written is fixed, so that a run can be repeated:
    a group's minibatches are sampled when the group before begins, thus before the priorities of
    that one are written, and actions come from the weights as they were after the last group that
    is finished.

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
            group: Updates of a group.
            uses_weights: Whether the replay's importance weights differ from 1.
        """
        self.group = group
        self.updates = int(agent.train_step_counter.numpy())
        self._agent = agent
        self._replay = replay
        self._batch_size = batch_size
        self._uses_weights = uses_weights
        self._compiled = tf.function(self._take_updates, autograph=False)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="learner")
        self._next: list[Sample] | None = None
        self._under_way: tuple[list[Sample], Future[list[UpdateInfo]]] | None = None

    def begin(self) -> None:
        """Begins a group of updates; the replay may be written to when this returns."""
        samples = self._next or self._sample()
        self._under_way = samples, self._thread.submit(self.train, samples)
        self._next = self._sample()

    def finish(self) -> list[dict[str, float]]:
        """Waits for the group that was begun.

        Returns:
            For each update the metrics of the losses it trained, by name.

        Raises:
            NonFiniteLossError: If a loss or its gradient is infinite or not a number; names the
                update and the loss.
        """
        samples, infos = self._under_way
        self._under_way = None
        metrics = [
            self._learnt(sample, info) for sample, info in zip(samples, infos.result(), strict=True)
        ]
        self._agent.take_snapshot()
        return metrics

    def close(self) -> None:
        """Ends the thread, after the group that is under way."""
        self._thread.shutdown()

    def train(self, samples: list[Sample]) -> list[UpdateInfo]:
        """Takes the updates of a group, and returns what they measured as NumPy's arrays."""
        infos = self._compiled([sample.tensors for sample in samples])
        return tf.nest.map_structure(lambda tensor: tensor.numpy(), [info.extra for info in infos])

    def _sample(self) -> list[Sample]:
        """Draws a group's minibatches and copies them into TensorFlow."""
        return [
            _handed_over(self._replay.sample(self._batch_size), self._uses_weights)
            for _ in range(self.group)
        ]

    def _take_updates(self, batches: list[Batch]) -> list[tf_agent.LossInfo]:
        """Trains on minibatches as `_handed_over` makes them."""
        # TensorFlow cancels these transpositions against the one by which the network begins.
        batches = [
            batch._replace(
                s_t=tf.transpose(batch.s_t, LOGICAL_ORDER),
                s_tpn=tf.transpose(batch.s_tpn, LOGICAL_ORDER),
            )
            for batch in batches
        ]
        return self._agent.train_several(
            [(transition_of(batch), batch.weights) for batch in batches]
        )

    def _learnt(self, sample: Sample, info: UpdateInfo) -> dict[str, float]:
        """Takes in what came of one update, and returns its metrics."""
        metrics = {name: float(value) for name, value in info.metrics.items()}
        self._check(metrics)
        if self._agent.trains_at(Q, self.updates):
            self._replay.update_priorities(sample.rows, info.td_error)
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


def _handed_over(batch: Batch, uses_weights: bool) -> Sample:
    tensors = batch._replace(
        s_t=batch.s_t.transpose(MEMORY_ORDER),
        s_tpn=batch.s_tpn.transpose(MEMORY_ORDER),
        weights=batch.weights if uses_weights else None,
        rows=None,
    )
    return Sample(
        batch.rows, Batch(*(None if part is None else tf.constant(part) for part in tensors))
    )
