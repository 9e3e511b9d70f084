"""Scored agents: what a report needs of them, and which are one agent."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from tfselfsup.config import AgentExperiment, LoggingConfig, RuntimeConfig, differences
from tfselfsup.report import fields

ABOUT_TASK = {"mode", "agent.tasks", "agent.pretrain_updates"}


@dataclass(frozen=True)
class AgentRun:
    """An agent that was scored.

    Attributes:
        path: The run directory.
        experiment: Its settings.
        evaluation: The content of its evaluation.json.
        metrics: Its metrics.csv, one row per logging interval; empty for the Random agent.
    """

    TOLD_APART_BY: ClassVar[str] = "settings, game and seed"

    path: Path
    experiment: AgentExperiment
    evaluation: dict[str, Any]
    metrics: pd.DataFrame

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of its self-supervised tasks."""
        return tuple(task.name for task in self.experiment.agent.tasks)

    def settings_but_task(self) -> dict[str, Any]:
        """Returns how it was trained and scored but for the game, the seed and the task."""
        return {
            key: value
            for key, value in _compared(self).items()
            if key != "agent" and key not in ABOUT_TASK
        }

    def task_settings(self) -> str:
        """Tells how its tasks are learnt: `alternate, weight 0.1`."""
        agent = self.experiment.agent
        told = [agent.mode]
        if agent.pretrain_updates:
            told.append(f"{agent.pretrain_updates} updates before")
        for task in agent.tasks:
            whose = f"{task.name} " if len(agent.tasks) > 1 else ""
            told.append(f"{whose}weight {task.weight:g}")
            told += [f"{whose}{key} {value}" for key, value in task.options.items()]
        return ", ".join(told)

    def identity(self) -> str:
        """Names all that tells one scored agent from another."""
        drawn = [self.evaluation[name] for name in ("game", "seed")]
        return json.dumps([_key(self), *drawn])


def group_seeds(runs: Iterable[AgentRun], game: str) -> dict[str, list[AgentRun]]:
    """Puts runs together that differ in nothing but the seed.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of the game.

    Returns:
        The runs of each agent by its name, with the settings in which agents of one name differ:
        `dqn`, or `rotation (joint, weight 1)` beside `rotation (alternate, weight 1)`. An agent
        whose training or scoring was another one, or is not finished, is another agent.
    """
    return group_over_games(run for run in runs if run.evaluation["game"] == game)


def group_over_games(runs: Iterable[AgentRun]) -> dict[str, list[AgentRun]]:
    """Puts runs together that differ in nothing but the game and the seed.

    Args:
        runs: Scored agents.

    Returns:
        As `group_seeds`.
    """
    groups: dict[str, list[AgentRun]] = defaultdict(list)
    for run in runs:
        groups[_key(run)].append(run)
    named = {}
    for group in groups.values():
        agent = group[0].evaluation["agent"]
        alike = [other[0] for other in groups.values() if other[0].evaluation["agent"] == agent]
        ending = "" if is_finished(group[0]) else ", not finished"
        named[agent + _distinction(group[0], alike) + ending] = group
    return named


def _key(run: AgentRun) -> str:
    return json.dumps(_compared(run), sort_keys=True)


def _compared(run: AgentRun) -> dict[str, Any]:
    """Lists what runs of one agent have in common, by dotted key."""
    settings = dataclasses.replace(
        run.experiment, seed=0, logging=LoggingConfig(), runtime=RuntimeConfig()
    )
    flat = {key: new for key, (_, new) in differences(AgentExperiment(), settings).items()}
    training = {key: value for key, value in flat.items() if not key.startswith("evaluation")}
    training["agent.tasks"] = [dataclasses.asdict(task) for task in run.experiment.agent.tasks]
    training.pop("environment.game", None)
    training.pop("agent.mode", None)  # without meaning where there is no task
    of_score = {name: run.evaluation.get(name) for name in ("agent", "mode")}
    scored = of_score | (run.evaluation.get("protocol") or {})
    # An overshoot at the end differs from seed to seed; how far an unfinished run is, matters.
    so_far = {} if is_finished(run) else {"agent steps": run.evaluation["agent_steps"]}
    return training | scored | so_far


def is_finished(run: AgentRun) -> bool:
    """Tells whether the training, as long as it is by now, had ended when the run was scored."""
    # Older files say neither.
    finished, total_steps = (run.evaluation.get(name) for name in ("finished", "total_steps"))
    return finished is not False and total_steps in (None, run.experiment.training_steps)


def _distinction(run: AgentRun, alike: list[AgentRun]) -> str:
    """Names the settings in which a run differs from others of the same agent."""
    mine, others = _compared(run), [_compared(other) for other in alike]
    keys = sorted({key for other in others for key in other})
    differing = [key for key in keys if len({str(other.get(key)) for other in others}) > 1]
    of_tasks = f" ({run.task_settings()})" if run.tasks and ABOUT_TASK & {*differing} else ""
    return of_tasks + "".join(
        f", {key} {mine[key]}" for key in differing if key in mine and key not in ABOUT_TASK
    )


# What a report needs of an evaluation, and whether a value is what it should be.
FIELDS: dict[str, fields.Check] = {
    "agent": fields.is_name,
    # It names files, too.
    "game": lambda value: fields.is_name(value) and re.fullmatch("[a-z0-9_]+", value),
    "seed": fields.is_count,
    "agent_steps": fields.is_count,
    "mean": fields.is_number,
    "scores": lambda value: isinstance(value, list) and value and all(map(fields.is_number, value)),
    "mode": fields.optional(fields.is_name),
    "finished": fields.optional(fields.is_flag),
    "total_steps": fields.optional(fields.is_count),
    "protocol": fields.optional(fields.is_object),
}


def invalid_fields(evaluation: dict[str, Any]) -> list[str]:
    """Names what an agent's evaluation.json lacks, or has with a value that cannot be."""
    return fields.invalid(FIELDS, evaluation)
