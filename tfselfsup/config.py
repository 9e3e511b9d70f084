"""The settings of every experiment, as frozen dataclasses.

The defaults are those of the original study's agents. `tfselfsup.command_line` reads YAML files and
command-line options that override them. Nothing here imports TensorFlow, so that every program
answers ``--help`` at once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    restricted_number_type,
)

JpegQuality = restricted_number_type("JpegQuality", int, [(">=", 1), ("<=", 100)])
SearchedSide = restricted_number_type("SearchedSide", int, (">=", 24))
SpliceSide = restricted_number_type("SpliceSide", int, [(">=", 32), ("<=", 256)])

# What an option of a task, or an overridden setting, may be. Not `Any`: of such a value the parser
# would make whatever class it names, and a file of settings may come from anybody.
Scalar = bool | int | float | str


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
class TaskConfig:
    """A self-supervised task beside the main loss.

    Attributes:
        name: Name of the task, such as ``rotation``.
        weight: Factor of its loss. It matters where losses are added up: in mode ``joint``, or
            among several tasks. Adam takes steps of one size whatever the size of a lone loss.
        options: The task's own options, such as ``{classes: 12}``.
    """

    name: str
    weight: NonNegativeFloat = 1.0
    options: dict[str, Scalar] = field(default_factory=dict)


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
        curve_period: Agent steps between the short evaluations that give the learning curve;
            0 switches them off.
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
        checkpoint_period: Agent steps between checkpoints.
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
class RuntimeConfig:
    """How TensorFlow uses the machine.

    Attributes:
        intra_op_threads: Threads inside one operation; 0 lets TensorFlow decide.
        inter_op_threads: Operations that run side by side; 0 lets TensorFlow decide.
    """

    intra_op_threads: NonNegativeInt = 1
    inter_op_threads: NonNegativeInt = 2


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


@dataclass(frozen=True)
class Reproduction:
    """Several experiments, each with several seeds.

    Attributes:
        experiments: Names of experiments such as ``atari/fast_dqn``, or YAML files.
        seeds: Seeds of each experiment.
        overrides: Dotted settings that replace those of every experiment.
    """

    experiments: tuple[str, ...]
    seeds: tuple[NonNegativeInt, ...] = (0,)
    overrides: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class ExtractionConfig:
    """How faces are cut out of videos.

    Attributes:
        frames_per_video: So many frames, evenly over the video, where `frames_per_second` is not
            given.
        frames_per_second: So many frames per second instead.
        detector: What finds the faces.
        longest_side: Frames are scaled down to this for the search, in pixels; at least 24.
        margin: Side of the square crop, as a multiple of the face's longer side.
        choose: Where there are several faces, the largest, or the one that follows the previous
            frame's.
        jpeg_quality: Of the crops, 1 to 100.
    """

    frames_per_video: PositiveInt = 10
    frames_per_second: PositiveFloat | None = None
    detector: Literal["mtcnn", "haar"] = "mtcnn"
    longest_side: SearchedSide = 640  # pixels
    margin: PositiveFloat = 1.3
    choose: Literal["largest", "follow"] = "largest"
    jpeg_quality: JpegQuality = 95


@dataclass(frozen=True)
class FacePreparation:
    """From videos, or ready crops, to a data set of faces.

    Attributes:
        layout: How the source is laid out; recognised if it is not given.
        compression: Of FaceForensics++ and DeepFakeDetection.
        manipulations: Names of folders of FaceForensics++ and DeepFakeDetection; all if empty.
        real: Real videos to draw at random from those that are there; all if it is not given.
        fake: Manipulated videos to draw likewise.
        limit: Prepares only the first so many of the listed, or drawn, videos.
        seed: Of what is drawn at random, and of the splits that are audited.
        fractions: Shares of the training, validation and test part in these splits.
        workers: Processes that extract faces.
        splices: How many images the source `splices` makes; of what stands above only `seed` and
            `fractions` matter to it.
        splice_side: Their height and width, in pixels; 32 to 256.
        extraction: How faces are cut out of videos.
    """

    layout: Literal["dfdc", "faceforensics", "deepfakedetection", "crops"] | None = None
    compression: Literal["raw", "c23", "c40"] = "c23"
    manipulations: tuple[str, ...] = ()
    real: NonNegativeInt | None = None
    fake: NonNegativeInt | None = None
    limit: PositiveInt | None = None
    seed: NonNegativeInt = 0
    fractions: tuple[ClosedUnitInterval, ClosedUnitInterval, ClosedUnitInterval] = (0.7, 0.1, 0.2)
    workers: PositiveInt = 2
    splices: PositiveInt = 2000
    splice_side: SpliceSide = 128  # pixels
    extraction: ExtractionConfig = ExtractionConfig()


def differences(one: Any, other: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Compares two configurations.

    Args:
        one: A dataclass.
        other: A dataclass of the same type.
        prefix: Dotted path of both.

    Returns:
        Both values of each dotted key in which they differ.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for key in dataclasses.fields(one):
        left, right = getattr(one, key.name), getattr(other, key.name)
        if dataclasses.is_dataclass(left):
            found |= differences(left, right, f"{prefix}{key.name}.")
        elif left != right:
            found[f"{prefix}{key.name}"] = (left, right)
    return found
