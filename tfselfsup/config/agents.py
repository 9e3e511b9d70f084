"""The settings of an Atari agent; the defaults are those of the original study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from tfselfsup.config.shared import RuntimeConfig, TaskConfig


@dataclass(frozen=True)
class EnvironmentConfig:
    """An Atari game and how it is played.

    Attributes:
        game: Name of the game's ROM, such as ``pong`` or ``breakout``.
        num_envs: Games played side by side.
        frame_skip: Emulator frames per agent step.
        noop_max: Fewer than this many no-op emulator actions at the start of a game.
        repeat_action_probability: Sticky actions; 0 switches them off, 0.25 is the usual value.
        max_episode_steps: A game is cut off after this many agent steps.
    """

    game: str = "pong"
    num_envs: PositiveInt = 8
    frame_skip: PositiveInt = 4
    noop_max: NonNegativeInt = 30
    repeat_action_probability: ClosedUnitInterval = 0.0
    max_episode_steps: PositiveInt = 27_000  # agent steps


@dataclass(frozen=True)
class NetworkConfig:
    """The network of an agent.

    Attributes:
        trunk: Name of the shared trunk.
        dueling: Value and advantage streams instead of one stream.
        hidden_units: Width of the hidden layer of each stream.
        precision: Arithmetic of the layers; weights, outputs and losses stay in float32.
    """

    trunk: str = "nature_cnn"
    dueling: bool = True
    hidden_units: PositiveInt = 256
    precision: Literal["float32", "mixed_bfloat16"] = "float32"


@dataclass(frozen=True)
class AgentConfig:
    """How an agent learns.

    Attributes:
        kind: ``dqn``, or ``random`` for the agent that learns nothing.
        double_q: Double-DQN targets.
        gamma: Discount of one agent step.
        n_step: Steps of the return before the bootstrap.
        batch_size: Transitions per update.
        update_period: Agent steps per update.
        target_update_period: Agent steps between copies to the target network.
        learning_starts: Rows of the replay memory filled before the first update.
        learning_rate: Step size of Adam.
        adam_epsilon: Adam's epsilon.
        gradient_clip_norm: Largest norm of a gradient; 0 switches clipping off.
        gradient_clipping: Whether that norm is each variable's own or all variables' together.
        clip_rewards: Learn from rewards clipped to [-1, 1]. Scores are never clipped.
        life_loss_ends_episode: A lost life counts as an end for the learner; the game goes on.
        mode: How the losses meet: ``alternate`` steps of their own, one ``joint`` gradient, or
            ``pretrain`` the tasks alone and then Q alone.
        pretrain_updates: Updates of the tasks alone in mode ``pretrain``. The games go on, and
            exploration falls, meanwhile.
        tasks: The self-supervised tasks; none gives plain DQN.
    """

    kind: Literal["dqn", "random"] = "dqn"
    double_q: bool = True
    gamma: ClosedUnitInterval = 0.99
    n_step: PositiveInt = 1
    batch_size: PositiveInt = 32
    update_period: PositiveInt = 4  # agent steps
    target_update_period: PositiveInt = 1_000  # agent steps
    learning_starts: NonNegativeInt = 10_000  # agent steps
    learning_rate: PositiveFloat = 1e-4
    adam_epsilon: PositiveFloat = 1e-7
    gradient_clip_norm: NonNegativeFloat = 10.0
    gradient_clipping: Literal["per_variable", "global"] = "per_variable"
    clip_rewards: bool = True
    life_loss_ends_episode: bool = True
    mode: Literal["alternate", "joint", "pretrain"] = "alternate"
    pretrain_updates: NonNegativeInt = 0
    tasks: tuple[TaskConfig, ...] = ()

    @property
    def learns(self) -> bool:
        """Whether it has a network to train, as all have but the Random agent."""
        return self.kind != "random"


@dataclass(frozen=True)
class ReplayConfig:
    """The replay memory.

    Attributes:
        capacity: Transitions kept.
        sampling: ``uniform`` or ``prioritised``.
        alpha: Exponent of the priorities.
        beta_initial: Exponent of the importance weights at the first step.
        beta_final: The same at the last step; linear in between.
    """

    capacity: PositiveInt = 10_000
    sampling: Literal["uniform", "prioritised"] = "prioritised"
    alpha: ClosedUnitInterval = 0.6
    beta_initial: ClosedUnitInterval = 0.4
    beta_final: ClosedUnitInterval = 1.0


@dataclass(frozen=True)
class ExplorationConfig:
    """Epsilon-greedy exploration while learning.

    Attributes:
        epsilon_initial: Probability of a random action at the first step.
        epsilon_final: The same once the decay is over.
        decay_fraction: Share of all steps over which it falls, linearly.
    """

    epsilon_initial: ClosedUnitInterval = 1.0
    epsilon_final: ClosedUnitInterval = 0.01
    decay_fraction: ClosedUnitInterval = 0.1


@dataclass(frozen=True)
class EvaluationConfig:
    """How a trained agent is scored: whole games, raw scores.

    Attributes:
        episodes: Games of the final score.
        num_envs: Games played side by side.
        epsilon: Probability of a random action.
        repeat_action_probability: Sticky actions while scoring.
        curve_period: Agent steps between the short evaluations that give the learning curve, a
            multiple of ``logging.period``; 0 switches them off.
        curve_episodes: Games of each short evaluation.
        checkpoint: Which checkpoint the final score is of: the ``last``, or the ``best`` by the
            short evaluations.
    """

    episodes: PositiveInt = 100
    num_envs: PositiveInt = 10
    epsilon: ClosedUnitInterval = 0.001
    repeat_action_probability: ClosedUnitInterval = 0.0
    curve_period: NonNegativeInt = 50_000  # agent steps
    curve_episodes: PositiveInt = 10
    checkpoint: Literal["last", "best"] = "last"


@dataclass(frozen=True)
class LoggingConfig:
    """What a run writes down, and when.

    Attributes:
        period: Agent steps between rows of metrics.csv and TensorBoard.
        checkpoint_period: Agent steps between checkpoints; 0 leaves only that of the end, or of a
            Ctrl-C.
        keep_checkpoints: Checkpoints kept, the newest ones.
        replay_period: Agent steps between snapshots of the replay; 0 switches them off.
        histograms: Also write histograms of the weights to TensorBoard.
    """

    period: PositiveInt = 5_000  # agent steps
    checkpoint_period: NonNegativeInt = 25_000  # agent steps
    keep_checkpoints: PositiveInt = 2
    replay_period: NonNegativeInt = 25_000  # agent steps
    histograms: bool = False


@dataclass(frozen=True)
class AgentExperiment:
    """One agent, one game, one seed.

    Attributes:
        total_steps: Agent steps of the whole run, over all games side by side.
        seed: Seed of everything that is random in the run.
        environment: The game.
        network: The network.
        agent: How it learns.
        replay: What it remembers.
        exploration: How it explores.
        evaluation: How it is scored.
        logging: What is written down.
        runtime: Threads.
    """

    total_steps: NonNegativeInt = 1_000_000
    seed: NonNegativeInt = 0
    environment: EnvironmentConfig = EnvironmentConfig()
    network: NetworkConfig = NetworkConfig()
    agent: AgentConfig = AgentConfig()
    replay: ReplayConfig = ReplayConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    logging: LoggingConfig = LoggingConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @property
    def training_steps(self) -> int:
        """Agent steps that it learns from: `total_steps`, or 0 if the agent does not learn."""
        return self.total_steps if self.agent.learns else 0
