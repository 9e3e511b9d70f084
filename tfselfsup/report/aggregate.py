"""Reads run directories into plain records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from tfselfsup.config import AgentExperiment, ClassifierExperiment
from tfselfsup.messages import one_line
from tfselfsup.report import agents, classifier_files, classifiers, probe_failures
from tfselfsup.report.agents import AgentRun
from tfselfsup.report.classifiers import ClassifierRun
from tfselfsup.report.document import LeftOut
from tfselfsup.report.probe_failures import ProbeFailures
from tfselfsup.runs import RunDirectory

Run = AgentRun | ClassifierRun | ProbeFailures


def read_runs(paths: Iterable[str | Path]) -> tuple[list[Run], list[LeftOut]]:
    """Reads the runs that were scored.

    Args:
        paths: Run directories; others are left out with a reason, and so is the second of two
            runs that differ in nothing. A classifier that was scored on other data sets is
            a run for each of them, too.

    Returns:
        The runs, in the order given, and what is left out, such repeated runs last.
    """
    found: list[Run] = []
    left_out: list[LeftOut] = []
    for path in map(Path, paths):
        with _listing(left_out, path):
            found.append(_with_tables(_read(path), path / "evaluation.json", left_out))
        for file in classifier_files.on_other_data(path):
            with _listing(left_out, file):
                run = _classifier(path, classifier_files.read_evaluation(file), file.name)
                found.append(_with_tables(run, file, left_out))
    of_data = [run for run in found if not isinstance(run, AgentRun)]
    shared = classifiers.shared_names(run.evaluation for run in of_data)
    runs: list[Run] = []
    seen: dict[tuple[str, str], Path] = {}
    for run in found:
        one = run
        if not isinstance(run, AgentRun):
            one = replace(run, evaluation=classifiers.told_apart(run.evaluation, shared))
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


def _check_is_new(run: Run, seen: dict[tuple[str, str], Path]) -> None:
    identity = run.TOLD_APART_BY, run.identity()
    if identity in seen:
        raise ValueError(f"it has the {run.TOLD_APART_BY} of {seen[identity]}")
    seen[identity] = run.path


def _read(path: Path) -> Run:
    run = RunDirectory.existing(path)
    evaluation = run.evaluation()
    if evaluation is None:
        raise ValueError(_why_unscored(run))
    kind = evaluation.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise ValueError(
            f"expected the evaluation of an agent, a classifier or probes, got {kind!r}"
        )
    return reader(path, evaluation)


def _why_unscored(run: RunDirectory) -> str:
    if getattr(run.experiment(), "mode", None) == "pretrain":
        return "it is a pre-training, which has no score; runs that load its trunk have"
    return (
        "it has not been scored; run bin/evaluate_agent or bin/evaluate_classifier on it, or count"
        " its probes again"
    )


def _agent(path: Path, evaluation: dict[str, Any]) -> AgentRun:
    _check(agents.invalid_fields(evaluation))
    run = RunDirectory.existing(path)
    return AgentRun(path, run.experiment(AgentExperiment), evaluation, _metrics(run))


def _classifier(
    path: Path, evaluation: dict[str, Any], file: str = "evaluation.json"
) -> ClassifierRun:
    _check(classifiers.invalid_fields(evaluation), file)
    experiment = RunDirectory.existing(path).experiment(ClassifierExperiment)
    return ClassifierRun(path, evaluation, experiment=experiment)


def _probes(path: Path, evaluation: dict[str, Any]) -> ProbeFailures:
    _check(probe_failures.invalid_fields(evaluation))
    RunDirectory.existing(path).experiment(ClassifierExperiment)  # whose settings are sound
    return ProbeFailures(path, evaluation)


def _check(invalid: list[str], file: str = "evaluation.json") -> None:
    if invalid:
        raise ValueError(f"{file} has no valid {', '.join(invalid)}")


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


_READERS = {"agent": _agent, "classifier": _classifier, "probes": _probes}
