"""Assembles the parts of an agent's experiment from its configuration."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from tf_agents.specs import tensor_spec

from tfselfsup.config import AgentConfig, AgentExperiment, EnvironmentConfig
from tfselfsup.models import encoders, heads, multi_head
from tfselfsup.programs.task_parts import make_tasks
from tfselfsup.rl import (
    checkpointing,
    clipping,
    collector,
    learner,
    objectives,
    policies,
    replay,
    samplers,
)
from tfselfsup.rl.agent import SelfSupervisedDqnAgent
from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.runs import RunDirectory


def seeds(seed: int) -> dict[str, int]:
    """Derives independent seeds for what is random in a run from the run's own seed."""
    names = ("weights", "environment", "exploration", "replay", "tasks", "curve", "evaluation")
    states = np.random.SeedSequence(seed).generate_state(len(names)) >> 2  # below 2**30
    return {name: int(state) for name, state in zip(names, states, strict=True)}


def make_environment(
    settings: EnvironmentConfig,
    seed: int | tuple[int, ...],
    num_envs: int | None = None,
    repeat_action_probability: float | None = None,
) -> AtariEnvironment:
    """Makes the games, those to learn from unless their number and stickiness are given."""
    sticky = repeat_action_probability
    return AtariEnvironment(
        settings.game,
        num_envs or settings.num_envs,
        seed=seed,
        noop_max=settings.noop_max,
        frame_skip=settings.frame_skip,
        repeat_action_probability=settings.repeat_action_probability if sticky is None else sticky,
        max_episode_steps=settings.max_episode_steps,
    )


def make_model(experiment: AgentExperiment, environment: AtariEnvironment, tasks_found):
    """Makes a fresh network with the Q head and a head for each task."""
    network = experiment.network
    head = heads.DuelingHead if network.dueling else heads.QHead
    frame_shape = tuple(environment.observation_spec().shape)
    return multi_head.multi_head(
        encoders.encoder(frame_shape, network.trunk, precision=network.precision),
        {
            objectives.Q: lambda: head(
                environment.num_actions, network.hidden_units, name=objectives.Q
            ),
            **{name: task.head for name, task in tasks_found.items()},
        },
        network.precision,
    )


def make_agent(
    experiment: AgentExperiment, environment: AtariEnvironment
) -> SelfSupervisedDqnAgent:
    """Makes the agent with fresh weights, which depend on the experiment's seed only."""
    settings = experiment.agent
    frame_shape = tuple(environment.observation_spec().shape)
    tasks_found = make_tasks(settings.tasks, frame_shape, "agent.tasks")
    tf.keras.utils.set_random_seed(seeds(experiment.seed)["weights"])
    steps = objectives.gradient_steps(
        settings.mode,
        {task.name: task.weight for task in settings.tasks},
        functools.partial(
            tf.keras.optimizers.legacy.Adam,
            settings.learning_rate,
            epsilon=settings.adam_epsilon,
        ),
        settings.pretrain_updates,
    )
    return SelfSupervisedDqnAgent(
        tensor_spec.from_spec(environment.time_step_spec()),
        tensor_spec.from_spec(environment.action_spec()),
        build_model=functools.partial(make_model, experiment, environment, tasks_found),
        gradient_steps=steps,
        tasks=tasks_found,
        double_q=settings.double_q,
        gamma=settings.gamma,
        target_update_period=target_period(settings),
        clip_gradients=clipping.get(settings.gradient_clipping, settings.gradient_clip_norm),
        seed=seeds(experiment.seed)["tasks"],
    )


def trained_agent(
    experiment: AgentExperiment, run: RunDirectory, environment: AtariEnvironment
) -> tuple[SelfSupervisedDqnAgent, int]:
    """Makes the agent with the weights of the checkpoint that is to be scored.

    Returns:
        The agent, and the agent steps it was trained for.

    Raises:
        ValueError: If it is the Random agent, or there is no such checkpoint.
    """
    if not experiment.agent.learns:
        raise ValueError(f"expected an agent with a network, got {run.path}, the Random agent")
    checkpoint = run.chosen_checkpoint(experiment.evaluation.checkpoint)
    agent = make_agent(experiment, environment)
    checkpointing.load_weights(agent.model, checkpoint)
    return agent, checkpointing.agent_steps(checkpoint)


def target_period(settings: AgentConfig) -> int:
    """Returns the updates between copies to the target network."""
    return max(1, settings.target_update_period // settings.update_period)


def make_learner(
    experiment: AgentExperiment, agent: SelfSupervisedDqnAgent, memory: replay.Replay
) -> learner.Learner:
    """Makes what updates the agent: as many updates at once as one step of all games is worth."""
    settings = experiment.agent
    return learner.Learner(
        agent,
        memory,
        settings.batch_size,
        group=max(1, experiment.environment.num_envs // settings.update_period),
        uses_weights=experiment.replay.sampling == "prioritised",
    )


def make_replay(experiment: AgentExperiment) -> replay.Replay:
    """Makes the empty replay memory."""
    settings, agent = experiment.replay, experiment.agent
    makers = {
        "uniform": samplers.UniformSampler,
        "prioritised": lambda: samplers.PrioritisedSampler(
            settings.alpha, settings.beta_initial, settings.beta_final
        ),
    }
    return replay.Replay(
        capacity=settings.capacity,
        num_envs=experiment.environment.num_envs,
        n_step=agent.n_step,
        gamma=agent.gamma,
        sampler=makers[settings.sampling](),
        seed=seeds(experiment.seed)["replay"],
    )


def make_collector(
    experiment: AgentExperiment,
    environment: AtariEnvironment,
    memory: replay.Replay,
    policy: policies.Policy,
    generator: np.random.Generator,
) -> collector.Collector:
    """Makes what plays the games and fills the memory."""
    return collector.Collector(
        environment,
        memory,
        policy,
        generator,
        clip_rewards=experiment.agent.clip_rewards,
        life_loss_ends_episode=experiment.agent.life_loss_ends_episode,
    )


def random_policy(experiment: AgentExperiment, environment: AtariEnvironment) -> policies.Policy:
    """Makes the Random agent, whose actions depend on the experiment's seed only."""
    generator = np.random.default_rng(seeds(experiment.seed)["evaluation"])
    return policies.random_policy(environment.num_actions, generator)
