"""One case of the benchmark: an agent's training loop, alone in a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from tfselfsup import command_line
from tfselfsup.benchmarks.stages import Interval, Stages
from tfselfsup.config import AgentExperiment, RuntimeConfig

if TYPE_CHECKING:  # at run time only the process of a case imports TensorFlow
    from tfselfsup.benchmarks.training_loop import TrainingLoop
    from tfselfsup.rl.agent import SelfSupervisedDqnAgent
    from tfselfsup.rl.environments import AtariEnvironment

PLAIN = "plain DQN"
BASES = {
    PLAIN: {
        "agent.double_q": "false",
        "network.dueling": "false",
        "network.hidden_units": "512",
    },
    "dueling double DQN": {},  # the study's
}
TASKS = {
    None: {},
    "Rotation, joint": {"agent.mode": "joint", "agent.tasks": "[{name: rotation}]"},
    "Sequence, alternate": {"agent.mode": "alternate", "agent.tasks": "[{name: frame_order}]"},
}
WARM_UP = 1000  # agent steps with updates, before anything is measured

_loop: TrainingLoop | None = None  # in the process of a case


class Case:
    """An agent in one precision, idle between the intervals that it is asked for.

    As many cases in one process would share its threads and memory, and a peer would have an
    advantage.

    Attributes:
        base: One of `BASES`.
        task: One of `TASKS`.
        precision: Of its network.
        num_envs: Games side by side.
        intervals: Measured so far.
    """

    def __init__(
        self, base: str, task: str | None, precision: str, num_envs: int, runtime: RuntimeConfig
    ):
        """Starts the process and trains until it is warm."""
        self.base, self.task, self.precision, self.num_envs = base, task, precision, num_envs
        self.intervals: list[Interval] = []
        # Forking would copy the threads of TensorFlow, if there are any, in an unknown state.
        self._process = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._process.submit(
            _warm_up, experiment(base, task, precision, num_envs), runtime
        ).result()

    @property
    def steps_per_second(self) -> list[float]:
        """Agent steps per second of each interval so far."""
        return [interval.steps_per_second for interval in self.intervals]

    def run(self, agent_steps: int) -> None:
        """Trains for at least so many agent steps and notes what was measured."""
        self.intervals.append(self._process.submit(_measure, agent_steps).result())

    def memory(self) -> float:
        """Returns the largest memory the process took up so far, in GiB."""
        return self._process.submit(_peak_memory).result()

    def close(self) -> None:
        """Ends the process."""
        self._process.shutdown()


def experiment(base: str, task: str | None, precision: str, num_envs: int) -> AgentExperiment:
    """Returns the settings of a case: the study's, but greedy from the start and soon learning."""
    settings = {
        "environment.num_envs": num_envs,
        "network.precision": precision,
        "agent.learning_starts": 2000,
        "replay.sampling": "uniform",
        "exploration.epsilon_initial": 0.01,
        **BASES[base],
        **TASKS[task],
    }
    options = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    return command_line.load_experiment("atari/paper_dqn", tuple(options))


def _warm_up(settings: AgentExperiment, runtime: RuntimeConfig) -> None:
    """Assembles the training loop and trains until its functions are compiled."""
    from tfselfsup.programs.startup import start_tensorflow

    start_tensorflow(runtime)
    from tfselfsup.programs import agent_parts as parts

    global _loop
    environment = parts.make_environment(settings.environment, seed=0)
    _loop = make_loop(settings, environment, parts.make_agent(settings, environment))
    _loop.run(settings.agent.learning_starts + WARM_UP)


def make_loop(
    settings: AgentExperiment, environment: AtariEnvironment, agent: SelfSupervisedDqnAgent
) -> TrainingLoop:
    """Assembles a training loop whose stages are timed.

    Args:
        settings: Of the loop.
        environment: The games.
        agent: Learns from them.
    """
    import numpy as np

    from tfselfsup.benchmarks.training_loop import TrainingLoop
    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl import policies, training

    memory = parts.make_replay(settings)
    learner = parts.make_learner(settings, agent, memory)
    watch = Stages()
    watch.watch(environment, "recv", "step")
    watch.watch(memory, "append", "store")
    watch.watch(memory, "sample", "sample")
    watch.watch(learner, "train", "learn")
    policy = watch.timed("act", policies.greedy_policy(agent.acting_model))
    plays = parts.make_collector(settings, environment, memory, policy, np.random.default_rng(0))
    events = training.train(settings, plays, learner, memory, training.Progress())
    return TrainingLoop(events, watch)


def _measure(agent_steps: int) -> Interval:
    return _loop.run(agent_steps)


def _peak_memory() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
