"""Reads run directories into plain records."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tfselfsup.config import AgentExperiment, LoggingConfig, RuntimeConfig, differences
from tfselfsup.messages import one_line
from tfselfsup.report import classifier_files, classifiers
from tfselfsup.report.classifiers import ClassifierRun
from tfselfsup.report.document import LeftOut
from tfselfsup.runs import RunDirectory


@dataclass(frozen=True)
class AgentRun:
    """An agent that was scored.

    Attributes:
        path: The run directory.
        experiment: Its settings.
        evaluation: The content of its evaluation.json.
        metrics: Its metrics.csv, one row per logging interval; empty for the Random agent.
    """

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
        about_task = ("agent", "mode", "agent.tasks", "agent.pretrain_updates")
        return {key: value for key, value in _compared(self).items() if key not in about_task}


def read_runs(
    paths: Iterable[str | Path],
) -> tuple[list[AgentRun | ClassifierRun], list[LeftOut]]:
    """Reads the runs that were scored.

    Args:
        paths: Run directories; others are left out with a reason, and so is the second of two
            runs that differ in nothing. A classifier that was scored on other data sets is
            a run for each of them, too.

    Returns:
        The runs, in the order given, and what is left out, such repeated runs last.
    """
    found: list[AgentRun | ClassifierRun] = []
    left_out: list[LeftOut] = []
    for path in map(Path, paths):
        with _listing(left_out, path):
            found.append(_with_tables(_read(path), path / "evaluation.json", left_out))
        for file in classifier_files.on_other_data(path):
            with _listing(left_out, file):
                run = _classifier(path, classifier_files.read_evaluation(file), file.name)
                found.append(_with_tables(run, file, left_out))
    shared = classifiers.shared_names(run for run in found if isinstance(run, ClassifierRun))
    runs: list[AgentRun | ClassifierRun] = []
    seen: dict[str, Path] = {}
    for run in found:
        one = run.told_apart(shared) if isinstance(run, ClassifierRun) else run
        with _listing(left_out, run.path):
            _check_is_new(one, seen)
            runs.append(one)
    return runs, left_out


def _with_tables(run, evaluation: Path, left_out: list[LeftOut]):
    """Puts beside a classifier's scores what other files of its directory say of them."""
    if isinstance(run, ClassifierRun):
        with _listing(left_out, classifier_files.robustness_beside(evaluation)):
            run = classifier_files.with_robustness(run, evaluation)
        with _listing(left_out, run.path):
            run = classifier_files.with_predictions(run)
    return run


@contextmanager
def _listing(left_out: list[LeftOut], path: Path) -> Iterator[None]:
    """Lists a path with what is wrong with it."""
    try:
        yield
    except (ValueError, KeyError, OSError) as error:
        left_out.append(LeftOut(path, one_line(error)))


def _check_is_new(run: AgentRun | ClassifierRun, seen: dict[str, Path]) -> None:
    if isinstance(run, ClassifierRun):
        identity, what = classifiers.identity(run), "model, split and seed"
    else:
        identity = json.dumps([_key(run), run.evaluation["game"], run.evaluation["seed"]])
        what = "settings, game and seed"
    if identity in seen:
        raise ValueError(f"it has the {what} of {seen[identity]}")
    seen[identity] = run.path


def _read(path: Path) -> AgentRun | ClassifierRun:
    run = RunDirectory.existing(path)
    evaluation = run.evaluation()
    if evaluation is None:
        raise ValueError(_why_unscored(run))
    if evaluation.get("kind") == "classifier":
        return _classifier(path, evaluation)
    _check(evaluation, "agent", _invalid_fields)
    return AgentRun(path, run.experiment(AgentExperiment), evaluation, _metrics(run))


def _why_unscored(run: RunDirectory) -> str:
    if getattr(run.experiment(), "mode", None) == "pretrain":
        return "it is a pre-training, which has no score; runs that load its trunk have"
    return "it has not been scored; run bin/evaluate_agent or bin/evaluate_classifier on it"


def _classifier(
    path: Path, evaluation: dict[str, Any], file: str = "evaluation.json"
) -> ClassifierRun:
    _check(evaluation, "classifier", classifiers.invalid_fields, file)
    return ClassifierRun(path, evaluation, experiment=RunDirectory.existing(path).experiment())


def _check(evaluation, kind, invalid_fields, file="evaluation.json") -> None:
    if evaluation.get("kind") != kind:
        raise ValueError(
            f"expected the evaluation of an agent or a classifier, got {evaluation.get('kind')!r}"
        )
    invalid = invalid_fields(evaluation)
    if invalid:
        raise ValueError(f"{file} has no valid {', '.join(invalid)}")


def group_seeds(runs: Iterable[AgentRun], game: str) -> dict[str, list[AgentRun]]:
    """Puts runs together that differ in nothing but the seed.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of the game.

    Returns:
        The runs of each agent by its name, with the settings in which agents of one name differ:
        `dqn`, or `rotation, mode joint` beside `rotation, mode alternate`. An agent whose training
        or scoring was another one, or is not finished, is another agent.
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
    scored = of_score | run.evaluation.get("protocol", {})
    # An overshoot at the end differs from seed to seed; how far an unfinished run is, matters.
    so_far = {} if is_finished(run) else {"agent steps": run.evaluation["agent_steps"]}
    return training | scored | so_far


def is_finished(run: AgentRun) -> bool:
    """Tells whether the training, as long as it is by now, had ended when the run was scored."""
    evaluation, planned = run.evaluation, run.experiment.training_steps
    return evaluation.get("finished", True) and evaluation.get("total_steps", planned) == planned


def _distinction(run: AgentRun, alike: list[AgentRun]) -> str:
    """Names the settings in which a run differs from others of the same agent."""
    mine, others = _compared(run), [_compared(other) for other in alike]
    keys = sorted({key for other in others for key in other})
    differing = [key for key in keys if len({str(other.get(key)) for other in others}) > 1]
    return "".join(f", {key} {mine[key]}" for key in differing if key in mine)


def _metrics(run: RunDirectory) -> pd.DataFrame:
    try:
        rows = run.metrics()
        if not rows:
            return pd.DataFrame()
        metrics = pd.DataFrame(rows).apply(pd.to_numeric)
        if metrics["agent_steps"].isna().any():
            raise ValueError("a row without agent_steps")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"metrics.csv is broken: {error}") from error
    return metrics


# What a report needs of an evaluation, and whether a value is what it should be.
FIELDS: dict[str, Callable[[Any], bool]] = {
    "agent": lambda value: isinstance(value, str),
    # It names files, too.
    "game": lambda value: isinstance(value, str) and re.fullmatch("[a-z0-9_]+", value),
    "seed": classifiers.is_number,
    "agent_steps": classifiers.is_number,
    "mean": classifiers.is_number,
    "scores": lambda value: (
        isinstance(value, list) and value and all(map(classifiers.is_number, value))
    ),
}
# Those that some evaluations are without; what is there is checked.
OPTIONAL_FIELDS: dict[str, Callable[[Any], bool]] = {
    "mode": lambda value: value is None or isinstance(value, str),
    "finished": lambda value: isinstance(value, bool),
    "total_steps": classifiers.is_number,
    "protocol": lambda value: isinstance(value, dict),
}


def _invalid_fields(evaluation: dict[str, Any]) -> list[str]:
    given = {name: valid for name, valid in OPTIONAL_FIELDS.items() if name in evaluation}
    return [name for name, valid in (FIELDS | given).items() if not valid(evaluation.get(name))]
