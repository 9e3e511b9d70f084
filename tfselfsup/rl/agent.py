"""Deep Q-learning with self-supervised tasks on the same trunk."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.agents.dqn import dqn_agent
from tf_agents.trajectories import policy_step
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories.trajectory import Transition
from tf_agents.typing import types
from tf_agents.utils import common

from tfselfsup.rl.clipping import ClipGradients, keep_gradients
from tfselfsup.rl.network import MultiHeadNetwork
from tfselfsup.rl.objectives import GradientStep, Q
from tfselfsup.rl.replay import Batch
from tfselfsup.tasks import Task


class UpdateInfo(NamedTuple):
    """What an update reports beside its loss.

    Attributes:
        td_error: float32 [B], for the priorities; NaN if the Q loss was not trained.
        metrics: float32 scalars by name, such as `loss/q`; NaN where a loss was not trained.
    """

    td_error: tf.Tensor
    metrics: dict[str, tf.Tensor]


class SelfSupervisedDqnAgent(dqn_agent.DqnAgent):
    """TF-Agents' DQN whose network has a head for every task, trained beside the Q values.

    DQN: Mnih et al. (2015), doi:10.1038/nature14236; double Q-learning: van Hasselt et al. (2016),
    arXiv:1509.06461. `train` trains Q and the tasks; TF-Agents' `loss` is that of Q alone, with its
    own `gamma` argument.

    Attributes:
        gradient_steps: The steps of an update.
    """

    def __init__(
        self,
        time_step_spec: ts.TimeStep,
        action_spec: types.NestedTensorSpec,
        *,
        build_model: Callable[[], tf.keras.Model],
        gradient_steps: tuple[GradientStep, ...],
        tasks: Mapping[str, Task],
        double_q: bool = True,
        gamma: float = 0.99,
        target_update_period: int = 250,
        clip_gradients: ClipGradients = keep_gradients,
        seed: int = 0,
    ):
        """Makes the networks.

        Args:
            time_step_spec: Of one time step; observations are uint8 (T, H, W, C).
            action_spec: Of one action, 0 to num_actions - 1.
            build_model: Makes a fresh model with the head `q` and a head for each task.
            gradient_steps: The steps of an update.
            tasks: The self-supervised tasks, by name.
            double_q: Let the online network choose the action whose target value is used.
            gamma: Discount of one step; a transition's own discount comes on top.
            target_update_period: Updates between copies to the target network.
            clip_gradients: Clips the gradients of a step.
            seed: Seed of the tasks' transforms.
        """
        self._double_q = double_q
        self._tasks = dict(tasks)
        self._clip_gradients = clip_gradients
        self._seed = seed
        self.gradient_steps = gradient_steps
        super().__init__(
            time_step_spec,
            action_spec,
            q_network=MultiHeadNetwork(time_step_spec.observation, build_model),
            optimizer=None,
            epsilon_greedy=None,
            td_errors_loss_fn=common.element_wise_huber_loss,
            gamma=gamma,
            target_update_period=target_update_period,
            train_step_counter=tf.Variable(0, dtype=tf.int64, name="updates"),
        )
        self._acting_model = build_model()
        self._create_optimizer_slots()
        self.initialize()
        self.take_snapshot()

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of all metrics that updates report."""
        losses = [f"loss/{name}" for name in (Q, *self._tasks)]
        norms = [step.norm_name for step in self.gradient_steps]
        measured = [f"{m}/{name}" for name, task in self._tasks.items() for m in task.metric_names]
        return (*losses, *measured, *norms, "q_values")

    @property
    def model(self) -> tf.keras.Model:
        """The online network's functional model."""
        return self._q_network.model

    @property
    def acting_model(self) -> tf.keras.Model:
        """The online network as it was when `take_snapshot` was called last.

        Actions are chosen with it while updates change the online network itself.
        """
        return self._acting_model

    @common.function(autograph=False)
    def take_snapshot(self) -> None:
        """Copies the weights that Q depends on to `acting_model`."""
        for copy, original in zip(
            self._q_variables(self._acting_model), self._q_variables(self.model), strict=True
        ):
            copy.assign(original)

    @property
    def checkpointed(self) -> dict[str, tf.Module]:
        """Everything that training changes, for a `tf.train.Checkpoint`."""
        optimizers = {
            f"optimizer_{i}": step.optimizer for i, step in enumerate(self.gradient_steps)
        }
        return {
            "online": self._q_network.model,
            "target": self._target_q_network.model,
            "updates": self.train_step_counter,
            "target_updater": self._update_target,
            **optimizers,
        }

    def trains_at(self, loss: str, update: int) -> bool:
        """Tells whether an update, counted from 0, trains a loss."""
        return any(loss in step.weights and step.taken_at(update) for step in self.gradient_steps)

    def _create_optimizer_slots(self) -> None:
        # Restoring a checkpoint, and a step inside a condition, need them before the first update.
        for step in self.gradient_steps:
            with tf.name_scope(step.optimizer._name):
                step.optimizer._create_all_weights(self._variables_of(step))

    def _variables_of(self, step: GradientStep) -> list[tf.Variable]:
        """Lists the trunk's variables and those of the heads whose losses a step trains."""
        return self._variables_for(step.weights, self.model)

    def _q_variables(self, model: tf.keras.Model) -> list[tf.Variable]:
        return self._variables_for((Q,), model)

    def _variables_for(self, losses: Collection[str], model: tf.keras.Model) -> list[tf.Variable]:
        others = {
            id(variable)
            for name in (Q, *self._tasks)
            if name not in losses
            for variable in model.get_layer(name).trainable_weights
        }
        return [v for v in model.trainable_weights if id(v) not in others]

    def _compute_next_q_values(self, next_time_steps: ts.TimeStep, info) -> tf.Tensor:
        """Returns the next greedy actions' values, float32 [B]; TF-Agents' `loss` calls it."""
        del info
        target_q, _ = self._target_q_network(next_time_steps.observation)
        return self._next_values(next_time_steps.observation, target_q)

    def _next_values(self, observation: tf.Tensor, target_q: tf.Tensor) -> tf.Tensor:
        """Takes each next greedy action's value, float32 [B], from `target_q` [B, num_actions]."""
        chooser = self._q_network(observation)[0] if self._double_q else target_q
        return tf.gather(target_q, tf.argmax(chooser, axis=-1), batch_dims=1)

    def train_several(
        self, minibatches: Sequence[tuple[Transition, tf.Tensor | None]]
    ) -> list[tf_agent.LossInfo]:
        """Takes one update after the other, as `train` on each would.

        Args:
            minibatches: Transitions and importance weights of each update.

        Returns:
            What `train` returns for each.
        """
        return [self._train(experience, weights) for experience, weights in minibatches]

    def _train(self, experience: Transition, weights: tf.Tensor | None) -> tf_agent.LossInfo:
        """Takes one update on a batch of transitions; TF-Agents' `train` calls it."""
        update = self.train_step_counter.value()
        seed = tf.stack([self._seed, tf.cast(update, tf.int32)])
        target_q, _ = self._target_q_network(experience.next_time_step.observation)
        report: dict[str, tf.Tensor] = {}
        for step in self.gradient_steps:
            take = functools.partial(self._take, step, experience, weights, target_q, seed)
            if not step.always:
                batch_size = tf.shape(experience.action_step.action)[0]
                take = functools.partial(_take_or_skip, step.taken_at(update), take, batch_size)
            report |= take()
        self.train_step_counter.assign_add(1)
        self._update_target()
        td_error = report.pop("td_error")
        minimised = [
            tf.where(step.taken_at(update), weight * report[f"loss/{name}"], 0.0)
            for step in self.gradient_steps
            for name, weight in step.weights.items()
        ]
        return tf_agent.LossInfo(tf.add_n(minimised), UpdateInfo(td_error, report))

    def _take(
        self,
        step: GradientStep,
        experience: Transition,
        weights: tf.Tensor | None,
        target_q: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Takes one gradient step and returns what it measured."""
        report: dict[str, tf.Tensor] = {}
        variables = self._variables_of(step)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            total = tf.constant(0.0)
            for name, weight in step.weights.items():
                if name == Q:
                    loss, measured = self._q_loss(experience, weights, target_q)
                else:
                    loss, measured = self._task_loss(name, experience, seed)
                report |= {f"loss/{name}": loss, **measured}
                total += weight * loss
        gradients = tape.gradient(total, variables, unconnected_gradients="zero")
        clipped, report[step.norm_name] = self._clip_gradients(gradients)
        step.optimizer.apply_gradients(zip(clipped, variables, strict=True))
        return report

    def _q_loss(
        self, experience: Transition, weights: tf.Tensor | None, target_q: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the mean of the weighted TD losses, and what is worth reporting of them."""
        time_steps, policy_steps, next_time_steps = experience
        q_t = self._compute_q_values(time_steps, policy_steps.action, training=True)
        td_loss, td_error = self._td_loss(
            q_t,
            self._next_values(next_time_steps.observation, target_q),
            next_time_steps.reward,
            self._gamma * next_time_steps.discount,
        )
        weighted = td_loss if weights is None else weights * td_loss
        return tf.reduce_mean(weighted), {"td_error": td_error, "q_values": tf.reduce_mean(q_t)}

    def _task_loss(
        self, name: str, experience: Transition, seed: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns a task's mean loss over the examples that have an answer, and its metrics."""
        task = self._tasks[name]
        its_seed = tf.random.experimental.stateless_fold_in(seed, list(self._tasks).index(name))
        examples = task.transform(experience.time_step.observation, its_seed)
        outputs = self.model(examples.frames, training=True)[name]
        answered = tf.maximum(tf.reduce_sum(examples.weights), 1.0)
        loss = tf.reduce_sum(task.loss(outputs, examples)) / answered
        metrics = task.metrics(outputs, examples)
        return loss, {f"{metric}/{name}": value for metric, value in metrics.items()}


def _take_or_skip(
    taken: tf.Tensor, take: Callable[[], dict[str, tf.Tensor]], batch_size: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Takes a step, or reports NaN for all that it would have measured."""
    measured = tf.function(take, autograph=False).get_concrete_function().structured_outputs
    ranks = {name: value.shape.rank for name, value in measured.items()}

    def skip() -> dict[str, tf.Tensor]:
        return {name: tf.fill([batch_size] * rank, float("nan")) for name, rank in ranks.items()}

    return tf.cond(taken, take, skip)


def transition_of(batch: Batch) -> Transition:
    """Converts a batch of the replay, arrays or tensors, to what TF-Agents' agents train on.

    The n-step return and its discount arrive as one long step, so that one formula serves all n.
    """
    size = batch.a_t.shape[0]
    mid = np.full(size, ts.StepType.MID, np.int32)
    nothing, one = np.zeros(size, np.float32), np.ones(size, np.float32)
    return Transition(
        time_step=ts.TimeStep(mid, nothing, one, batch.s_t),
        action_step=policy_step.PolicyStep(batch.a_t),
        next_time_step=ts.TimeStep(mid, batch.r_t, batch.discount_t, batch.s_tpn),
    )
