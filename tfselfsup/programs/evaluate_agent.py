"""Scores a trained agent over whole games, with raw scores."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import AgentConfig, AgentExperiment, EvaluationConfig
from tfselfsup.programs.startup import start_tensorflow, user_mistakes
from tfselfsup.runs import RunDirectory

# The study's name of an agent whose task has another name.
AGENT_NAMES = {"frame_order": "sequence"}


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", help="folder of the run")
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    for option in ("episodes", "num_envs", "epsilon", "repeat_action_probability", "checkpoint"):
        parser.add_argument(
            f"--{option}", type=_type_of(option) | None, help="default: as the run's config.yaml"
        )
    parser.add_argument("--video", action="store_true", help="also write one game as an mp4")
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        run = RunDirectory.existing(parsed.run_dir)
        experiment = run.experiment(AgentExperiment)
    chosen = {
        key.name: parsed[key.name]
        for key in dataclasses.fields(EvaluationConfig)
        if parsed.get(key.name) is not None
    }
    experiment = dataclasses.replace(
        experiment, evaluation=dataclasses.replace(experiment.evaluation, **chosen)
    )
    with user_mistakes():
        evaluation = evaluate(experiment, run)
    checkpoint = evaluation["protocol"]["checkpoint"]
    print(
        f"{evaluation['agent']} on {evaluation['game']}: mean {evaluation['mean']:.2f}, "
        f"std {evaluation['std']:.2f}, {evaluation['episodes']} games, "
        f"{evaluation['agent_steps']} agent steps"
        f"{f' ({checkpoint} checkpoint)' if checkpoint else ''}"
        f"{'' if evaluation['finished'] else ', training not finished'}; "
        f"{run.path / 'evaluation.json'}"
    )
    if parsed.video:
        with user_mistakes():
            print(record(experiment, run))


def _type_of(option: str) -> Any:
    return typing.get_type_hints(EvaluationConfig)[option]


def agent_name(settings: AgentConfig) -> str:
    """Names an agent as the study does: random, dqn, rotation, sequence, or by its task."""
    tasks = "+".join(AGENT_NAMES.get(task.name, task.name) for task in settings.tasks)
    return tasks or settings.kind if settings.learns else "random"


def evaluate(experiment: AgentExperiment, run: RunDirectory) -> dict[str, Any]:
    """Plays whole games and writes evaluation.json.

    Args:
        experiment: The run's settings, with those of the evaluation.
        run: Has the checkpoint.

    Returns:
        What was written.

    Raises:
        ValueError: If there is no checkpoint that can be read, or no such game.
    """
    start_tensorflow(experiment.runtime)
    import numpy as np
    from tqdm import tqdm

    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl import checkpointing, evaluation
    from tfselfsup.rl.game_names import resolve_game

    settings = experiment.evaluation
    seed = parts.seeds(experiment.seed)["evaluation"]
    num_envs = min(settings.num_envs, settings.episodes)
    environment = parts.make_environment(
        experiment.environment, seed, num_envs, settings.repeat_action_probability
    )
    policy, agent_steps = _policy(experiment, run, environment)
    trained_steps = checkpointing.trained_steps(run)
    game = resolve_game(experiment.environment.game)
    with tqdm(total=settings.episodes, unit=" games", dynamic_ncols=True) as bar:
        result = evaluation.evaluate(
            environment,
            policy,
            episodes=settings.episodes,
            epsilon=settings.epsilon,
            generator=np.random.default_rng(seed),
            on_episode=lambda score: bar.update(),
        )
    environment.close()
    written = {
        **_describe(experiment, result.scores),
        "game": game,
        "agent_steps": agent_steps,
        "finished": trained_steps >= experiment.training_steps,
    }
    run.write_evaluation(written)
    return written


def record(experiment: AgentExperiment, run: RunDirectory) -> Path:
    """Plays one game and writes it as an mp4.

    Args:
        experiment: The run's settings, with those of the evaluation.
        run: Has the checkpoint.

    Returns:
        The file.
    """
    import numpy as np

    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl import video

    seed = parts.seeds(experiment.seed)["evaluation"]
    sticky = experiment.evaluation.repeat_action_probability
    environment = parts.make_environment(experiment.environment, seed, 1, sticky)
    policy, agent_steps = _policy(experiment, run, environment)
    path = run.video(agent_steps)
    video.record_game(
        environment,
        policy,
        epsilon=experiment.evaluation.epsilon,
        generator=np.random.default_rng(seed),
        path=path,
    )
    environment.close()
    return path


def _policy(experiment: AgentExperiment, run: RunDirectory, environment):
    """Returns the policy to score, and the agent steps it was trained for."""
    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl.policies import greedy_policy

    if not experiment.agent.learns:
        return parts.random_policy(experiment, environment), 0
    agent, steps = parts.trained_agent(experiment, run, environment)
    return greedy_policy(agent.model), steps


def _describe(experiment: AgentExperiment, scores) -> dict[str, Any]:
    import numpy as np

    agent = experiment.agent
    return {
        "kind": "agent",
        "agent": agent_name(agent),
        "task": "+".join(task.name for task in agent.tasks) or None,
        "mode": agent.mode if agent.tasks else None,
        "seed": experiment.seed,
        "total_steps": experiment.training_steps,
        "episodes": len(scores),
        "mean": float(scores.mean()),
        "std": float(scores.std(ddof=1)) if len(scores) > 1 else 0.0,
        "median": float(np.median(scores)),
        "scores": scores.tolist(),
        "protocol": protocol(experiment),
    }


def protocol(experiment: AgentExperiment) -> dict[str, Any]:
    """Says how an agent is scored; scores of one protocol can be compared."""
    settings, environment = experiment.evaluation, experiment.environment
    learns = experiment.agent.learns
    return {
        "checkpoint": settings.checkpoint if learns else None,
        "epsilon": settings.epsilon if learns else 1.0,
        "repeat_action_probability": settings.repeat_action_probability,
        "noop_max": environment.noop_max,
        "frame_skip": environment.frame_skip,
        "max_episode_steps": environment.max_episode_steps,
        "rewards": "raw",
        "life_loss_ends_episode": False,
    }
