"""Measures speed: of agents, in turn with peers, of encoders and servers; and failing probes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jsonargparse.typing import PositiveInt

from tfselfsup import config
from tfselfsup.command_line import ExperimentParser
from tfselfsup.programs.benchmark_case import (
    BASES,
    PLAIN,
    TASKS,
    WARM_UP,
    Case,
    experiment,
)
from tfselfsup.programs.startup import import_quietly, start_tensorflow, user_mistakes

PRECISIONS = ("float32", "mixed_bfloat16")
REPLAY_CAPACITIES = (10_000, 100_000, 1_000_000)  # transitions
REPLAY_NUM_ENVS = (1, 8, 64)
GAMES = (1, 4, 16, 32, 64)  # side by side
CLIENTS = (1, 8, 32)  # at the same time


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "what",
        choices=list(_MEASURES),
        help="agents: training loops on Pong; games: plain DQN with more and more games side by "
        "side; replay: memory and speed of the replay memory; encoders: images/s of the trunks and "
        "of --modules; probes: how often a probe on --data diverges or learns nothing; serving: an "
        "exported classifier, --model, over HTTP and called directly, and whether answers are lost",
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument("--num_envs", type=PositiveInt, default=32, help="games side by side")
    parser.add_argument(
        "--peer_python", help="Python of an environment with stable-baselines3 in it"
    )
    parser.add_argument(
        "--peer_num_envs",
        type=list[PositiveInt],
        default=[1, 8],
        help="that peer's games side by side; one measurement for each number",
    )
    parser.add_argument(
        "--cleanrl_python", help="Python of an environment that finds CleanRL, another peer"
    )
    parser.add_argument("--intervals", type=PositiveInt, default=5, help="measured of each")
    parser.add_argument(
        "--interval_steps", type=PositiveInt, default=1000, help="agent steps of each"
    )
    parser.add_argument(
        "--batches", type=PositiveInt, default=2, help="of each interval of an encoder"
    )
    parser.add_argument(
        "--modules",
        type=list[str],
        default=[],
        help="TF-Hub handles, or folders of modules with BigBiGAN's avepool_feat, that are "
        "measured beside the trunks",
    )
    parser.add_argument("--data", default="runs/faces", help="face crops, of probes")
    parser.add_argument("--trunk", default="mobilenet", help="of probes")
    parser.add_argument("--weights", default="imagenet", help="of the trunk of probes")
    parser.add_argument("--cache", default="runs/features", help="features, of probes")
    parser.add_argument("--seeds", type=PositiveInt, default=20, help="of probes")
    parser.add_argument("--run_dir", type=str, help="folder for what bin/report reads of probes")
    parser.add_argument("--model", default="models", help="as for bin/serve, of serving")
    parser.add_argument("--requests", type=PositiveInt, default=500, help="of serving, each time")
    # Found best for what is measured here; docs/performance.md.
    runtime = config.RuntimeConfig(intra_op_threads=1, inter_op_threads=3)
    parser.add_class_arguments(config.RuntimeConfig, "runtime")
    parser.set_defaults({"runtime": vars(runtime)})
    parsed = parser.parse_args(arguments)
    print(_MEASURES[parsed.what](parsed))


def measure_replay(_) -> str:
    """Measures replay memories of several sizes, and returns a table."""
    from tfselfsup.benchmarks import replay_memory
    from tfselfsup.rl import samplers

    kinds = {"uniform": samplers.UniformSampler, "prioritised": samplers.PrioritisedSampler}
    rows = []
    for capacity in REPLAY_CAPACITIES:
        for num_envs in REPLAY_NUM_ENVS:
            for sampling, make_sampler in kinds.items():
                measured = replay_memory.measure_apart(num_envs, capacity, make_sampler)
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
    return _markdown(rows)


def measure_encoders(parsed) -> str:
    """Measures the encoders of classifiers, and returns a table."""
    from tfselfsup.programs import benchmark_vision

    start_tensorflow(config.ClassifierExperiment().runtime)
    with user_mistakes():
        return _markdown(benchmark_vision.measure_encoders(parsed))


def measure_probes(parsed) -> str:
    """Counts the failures of probes, and returns a table."""
    from tfselfsup.programs import benchmark_vision

    start_tensorflow(config.ClassifierExperiment().runtime)
    import_quietly("tensorflow_datasets")
    with user_mistakes():
        return _markdown(benchmark_vision.measure_probes(parsed))


def measure_serving(parsed) -> str:
    """Puts an exported classifier under load, and returns a table and how answers differ."""
    from tfselfsup.config.serving import Limits
    from tfselfsup.programs import serve
    from tfselfsup.serving import layout

    with user_mistakes():
        serve.require_extra()
        found, limits = layout.find(Path(parsed.model)), Limits()
        if len(found) > 1:
            raise ValueError(f"expected one model in {parsed.model}, got {', '.join(found)}")
        ((name, folder),) = found.items()
        import_quietly("tensorflow")
        from tfselfsup.benchmarks.served_models import ServingLoad

        load = ServingLoad(folder, parsed.requests)
    measured = {
        f"directly, {size} at a time": load.directly(size) for size in (1, limits.batch_size)
    }
    host, port = "127.0.0.1", serve.free_port("127.0.0.1")
    with serve.running(Path(parsed.model), limits, 1, host, port) as url:
        for clients in CLIENTS:
            asked = load.over_http(f"{url}/v1/models/{name}:predict", clients)
            measured[f"over HTTP, {clients} clients"] = asked
    largest = max(one.deviation for one in measured.values())
    return (
        f"{_markdown([one.row(how) for how, one in measured.items()])}\n\nLogits differ from those "
        f"of the first row by at most {largest:.1e}, and those of any two images by at least "
        f"{load.apart():.1e}."
    )


def measure_games(parsed) -> str:
    """Measures plain DQN with more and more games side by side, and returns a table."""
    runtime = config.RuntimeConfig(**vars(parsed.runtime))
    cases = [Case(PLAIN, None, PRECISIONS[-1], num_envs, runtime) for num_envs in GAMES]
    _take_turns([case.run for case in cases], parsed.intervals, parsed.interval_steps)
    rows = [
        {
            "games": case.num_envs,
            **_speed(case.steps_per_second),
            "memory, GiB": f"{case.memory():.2f}",
            **_median_shares(case),
        }
        for case in cases
    ]
    for case in cases:
        case.close()
    return _markdown(rows)


def measure_agents(parsed) -> str:
    """Measures the agents of the study in both precisions, and returns a table."""
    runtime = config.RuntimeConfig(**vars(parsed.runtime))
    with user_mistakes():
        peers = _start_peers(parsed)
    cases = [
        Case(base, task, precision, parsed.num_envs, runtime)
        for base in BASES
        for task in TASKS
        for precision in PRECISIONS
    ]
    _take_turns(
        [runner.run for runner in (*cases, *peers)], parsed.intervals, parsed.interval_steps
    )
    for runner in (*cases, *peers):
        runner.close()
    return _agents_table(cases, peers)


def _start_peers(parsed) -> list:
    """Starts the peers that have an interpreter, with the settings of our plain DQN."""
    from tfselfsup.benchmarks import peer

    ours = experiment(PLAIN, None, "float32", num_envs=1)
    settings = {
        "game": ours.environment.game,
        "learning_rate": ours.agent.learning_rate,
        "capacity": ours.replay.capacity,
        "learning_starts": ours.agent.learning_starts,
        "batch_size": ours.agent.batch_size,
        "update_period": ours.agent.update_period,
        "target_update_period": ours.agent.target_update_period,
        "gradient_clip_norm": ours.agent.gradient_clip_norm,
        "epsilon": ours.exploration.epsilon_final,
        "warm_up": WARM_UP,
    }
    peers = []
    if parsed.peer_python is not None:
        peers += [
            peer.stable_baselines3(parsed.peer_python, settings | {"num_envs": num_envs})
            for num_envs in parsed.peer_num_envs
        ]
    if parsed.cleanrl_python is not None:
        peers.append(peer.cleanrl(parsed.cleanrl_python, settings))
    return peers


def _take_turns(runs: list[Callable[[int], None]], intervals: int, agent_steps: int) -> None:
    """Measures all in turn, so that a machine whose speed drifts is fair to all."""
    from tqdm import tqdm

    with tqdm(total=intervals * len(runs), unit=" intervals") as bar:
        for _ in range(intervals):
            for run in runs:
                run(agent_steps)
                bar.update()


def _agents_table(cases: list[Case], peers: list) -> str:
    """Writes the medians over the intervals as Markdown.

    Ratios are medians too, of an interval's speed to that of the same turn. The stages overlap:
    the network learns in a thread of its own.
    """
    import numpy as np

    without_task = {(case.base, case.precision): case for case in cases if case.task is None}
    rows = []
    for case in cases:
        to_same = np.divide(
            case.steps_per_second, without_task[case.base, case.precision].steps_per_second
        )
        row = {
            "agent": f"{case.base}, {case.task}" if case.task else case.base,
            "precision": case.precision,
            **_speed(case.steps_per_second),
            "to the same without a task": f"{np.median(to_same):.2f}",
        }
        for peer in peers:
            to_peer = np.divide(case.steps_per_second, peer.steps_per_second)
            row[f"to {peer.name}"] = f"{np.median(to_peer):.2f}"
        rows.append(row | _median_shares(case))
    rows += [
        {"agent": peer.name, "precision": "float32", **_speed(peer.steps_per_second)}
        for peer in peers
    ]
    return _markdown(rows)


def _speed(measured: list[float]) -> dict[str, str]:
    import numpy as np

    return {
        "agent steps/s": f"{np.median(measured):.0f}",
        "from, to": f"{min(measured):.0f}, {max(measured):.0f}",
    }


def _median_shares(case: Case) -> dict[str, str]:
    import numpy as np

    stages = case.intervals[0].shares
    return {
        stage: f"{np.median([interval.shares[stage] for interval in case.intervals]):.0%}"
        for stage in stages
    }


def _markdown(rows: list[dict]) -> str:
    from tabulate import tabulate

    return tabulate(rows, headers="keys", tablefmt="pipe", disable_numparse=True)


_MEASURES: dict[str, Callable] = {
    "agents": measure_agents,
    "games": measure_games,
    "replay": measure_replay,
    "encoders": measure_encoders,
    "probes": measure_probes,
    "serving": measure_serving,
}
