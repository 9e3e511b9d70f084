"""Measures the speed of the training loop, in turn with a peer, or of the replay memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfselfsup import command_line, config
from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import AgentExperiment
from tfselfsup.programs.startup import start_tensorflow, user_mistakes

PLAIN = "plain DQN"
# Settings in which an agent differs from the study's dueling double DQN with a uniform replay.
AGENTS = {
    PLAIN: {
        "agent.double_q": "false",
        "network.dueling": "false",
        "network.hidden_units": "512",
    },
    "dueling double DQN": {},
    "Rotation, joint": {"agent.mode": "joint", "agent.tasks": "[{name: rotation}]"},
    "Sequence, alternate": {"agent.mode": "alternate", "agent.tasks": "[{name: frame_order}]"},
}
PRECISIONS = ("float32", "mixed_bfloat16")
REPLAY_CAPACITIES = (10_000, 100_000, 1_000_000)  # transitions
REPLAY_NUM_ENVS = (1, 8, 64)
WARM_UP = 500  # agent steps with updates, before anything is measured


@dataclass
class Case:
    """An agent in one precision, and what was measured of it.

    Attributes:
        agent: One of `AGENTS`.
        experiment: Its settings.
        loop: The training loop, ready to go on.
        intervals: Measured so far.
    """

    agent: str
    experiment: AgentExperiment
    loop: Any
    intervals: list = field(default_factory=list)


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "what",
        choices=["agents", "replay"],
        help="agents: training loops on Pong; replay: memory and speed of the replay memory",
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument("--num_envs", type=config.PositiveInt, default=8, help="games side by side")
    parser.add_argument(
        "--peer_python", help="Python of an environment with stable-baselines3 in it"
    )
    parser.add_argument(
        "--peer_num_envs", type=config.PositiveInt, default=1, help="the peer's games side by side"
    )
    parser.add_argument("--intervals", type=config.PositiveInt, default=5, help="measured of each")
    parser.add_argument(
        "--interval_steps", type=config.PositiveInt, default=1000, help="agent steps of each"
    )
    parser.add_class_arguments(config.RuntimeConfig, "runtime")
    parsed = parser.parse_args(arguments)
    print({"agents": measure_agents, "replay": measure_replay}[parsed.what](parsed))


def measure_replay(_) -> str:
    """Measures replay memories of several sizes, and returns a table."""
    from tabulate import tabulate

    from tfselfsup.benchmarks import replay_memory
    from tfselfsup.rl import samplers

    kinds = {"uniform": samplers.UniformSampler, "prioritised": samplers.PrioritisedSampler}
    rows = []
    for capacity in REPLAY_CAPACITIES:
        for num_envs in REPLAY_NUM_ENVS:
            for sampling, make_sampler in kinds.items():
                measured = replay_memory.measure(num_envs, capacity, make_sampler)
                rows.append(
                    {
                        "transitions": f"{capacity:,}",
                        "games": num_envs,
                        "sampling": sampling,
                        "GiB": f"{measured.memory:.3f}",
                        "append, us a row": f"{measured.append:.1f}",
                        "sample, ms a minibatch": f"{measured.sample:.2f}",
                        "priorities, ms a minibatch": f"{measured.update:.2f}",
                    }
                )
    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)


def measure_agents(parsed) -> str:
    """Measures the agents of the study in both precisions, and returns a table."""
    start_tensorflow(config.RuntimeConfig(**vars(parsed.runtime)))
    with user_mistakes():
        peer = _start_peer(parsed.peer_python, parsed.peer_num_envs)
    cases = [
        _make_case(agent, precision, parsed.num_envs)
        for agent in AGENTS
        for precision in PRECISIONS
    ]
    with user_mistakes():
        peer_speeds = _measure(cases, peer, parsed.intervals, parsed.interval_steps)
    return _table(cases, peer_speeds)


def _experiment(agent: str, precision: str, num_envs: int) -> AgentExperiment:
    settings = {
        "environment.num_envs": num_envs,
        "network.precision": precision,
        "agent.learning_starts": 2000,
        "replay.sampling": "uniform",
        "exploration.epsilon_initial": 0.01,
    } | AGENTS[agent]
    options = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    return command_line.load_experiment("atari/paper_dqn", tuple(options))


def _make_case(agent_name: str, precision: str, num_envs: int) -> Case:
    """Assembles a training loop and trains until it is warm."""
    import numpy as np

    from tfselfsup.benchmarks import stages, training_loop
    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl import policies, training

    experiment = _experiment(agent_name, precision, num_envs)
    environment = parts.make_environment(experiment.environment, seed=0)
    agent = parts.make_agent(experiment, environment)
    memory = parts.make_replay(experiment)
    learner = parts.make_learner(experiment, agent, memory)
    watch = stages.Stages()
    watch.watch(environment, "recv", "step")
    watch.watch(memory, "append", "store")
    watch.watch(memory, "sample", "sample")
    watch.watch(learner, "train", "learn")
    policy = watch.timed("act", policies.greedy_policy(agent.acting_model))
    plays = parts.make_collector(experiment, environment, memory, policy, np.random.default_rng(0))
    events = training.train(experiment, plays, learner, memory, training.Progress())
    loop = training_loop.TrainingLoop(events, watch)
    loop.run(experiment.agent.learning_starts + WARM_UP)
    return Case(agent_name, experiment, loop)


def _start_peer(python: str | None, num_envs: int):
    """Starts the peer with the settings of our plain DQN; without an interpreter there is none."""
    from tfselfsup.benchmarks.peer import Peer

    if python is None:
        return None
    ours = _experiment(PLAIN, "float32", num_envs)
    return Peer(
        python,
        {
            "game": ours.environment.game,
            "num_envs": num_envs,
            "learning_rate": ours.agent.learning_rate,
            "capacity": ours.replay.capacity,
            "learning_starts": ours.agent.learning_starts,
            "batch_size": ours.agent.batch_size,
            "update_period": ours.agent.update_period,
            "target_update_period": ours.agent.target_update_period,
            "gradient_clip_norm": ours.agent.gradient_clip_norm,
            "epsilon": ours.exploration.epsilon_final,
            "warm_up": WARM_UP,
        },
    )


def _measure(cases: list[Case], peer, intervals: int, agent_steps: int) -> list[float]:
    """Measures all in turn, so that a machine whose speed drifts is fair to all.

    Returns:
        The peer's agent steps per second of each interval; none without a peer.
    """
    from tqdm import tqdm

    peer_speeds = []
    with tqdm(total=intervals * (len(cases) + bool(peer)), unit=" intervals") as bar:
        for _ in range(intervals):
            for case in cases:
                case.intervals.append(case.loop.run(agent_steps))
                bar.update()
            if peer:
                peer_speeds.append(agent_steps / peer.seconds(agent_steps))
                bar.update()
    if peer:
        peer.close()
    return peer_speeds


def _table(cases: list[Case], peer_speeds: list[float]) -> str:
    """Writes the medians over the intervals as Markdown.

    Ratios are medians too, of an interval's speed to that of the same turn. The shares of `act`,
    `step`, `store` and `learn` are those of the loop's own thread, and `sample` runs beside it.
    """
    import numpy as np
    from tabulate import tabulate

    speeds = {
        (case.agent, case.experiment.network.precision): np.array(
            [interval.steps_per_second for interval in case.intervals]
        )
        for case in cases
    }
    if peer_speeds:
        speeds["Stable-Baselines3, plain DQN", "float32"] = np.array(peer_speeds)
    shares = {
        (case.agent, case.experiment.network.precision): _median_shares(case) for case in cases
    }
    rows = []
    for (agent, precision), measured in speeds.items():
        row = {
            "agent": agent,
            "precision": precision,
            "agent steps/s": f"{np.median(measured):.0f}",
            "from, to": f"{measured.min():.0f}, {measured.max():.0f}",
            "to plain DQN": f"{np.median(measured / speeds[PLAIN, precision]):.2f}",
        }
        if peer_speeds:
            row["to the peer"] = f"{np.median(measured / peer_speeds):.2f}"
        rows.append(row | shares.get((agent, precision), {}))
    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)


def _median_shares(case: Case) -> dict[str, str]:
    import numpy as np

    stages = case.intervals[0].shares
    return {
        stage: f"{np.median([interval.shares[stage] for interval in case.intervals]):.0%}"
        for stage in stages
    }
