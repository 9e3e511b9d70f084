"""Reads run directories into plain records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tfselfsup.runs import RunDirectory


@dataclass(frozen=True)
class AgentRun:
    """An agent that was scored.

    Attributes:
        path: The run directory.
        evaluation: The content of its evaluation.json.
        metrics: Its metrics.csv, one row per logging interval; empty for the Random agent.
    """

    path: Path
    evaluation: dict[str, Any]
    metrics: pd.DataFrame


@dataclass(frozen=True)
class LeftOut:
    """A directory that is not reported, and the reason."""

    path: Path
    reason: str


def read_runs(paths: Iterable[str | Path]) -> tuple[list[AgentRun], list[LeftOut]]:
    """Reads the runs that were scored.

    Args:
        paths: Run directories; others are left out with a reason.

    Returns:
        The runs and what is left out, both in the order given.
    """
    runs, left_out = [], []
    for path in map(Path, paths):
        try:
            runs.append(_read(path))
        except (ValueError, KeyError, OSError) as error:
            left_out.append(LeftOut(path, " ".join(str(error).split())))
    return runs, left_out


def _read(path: Path) -> AgentRun:
    run = RunDirectory.existing(path)
    evaluation = run.evaluation()
    if evaluation is None:
        raise ValueError("it has not been scored; run bin/evaluate_agent on it")
    if evaluation.get("kind") != "agent":
        raise ValueError(f"expected the evaluation of an agent, got {evaluation.get('kind')!r}")
    invalid = [name for name, valid in FIELDS.items() if not valid(evaluation.get(name))]
    if invalid:
        raise ValueError(f"evaluation.json has no valid {', '.join(invalid)}")
    return AgentRun(path, evaluation, _metrics(run))


def _metrics(run: RunDirectory) -> pd.DataFrame:
    rows = run.metrics()
    if not rows:
        return pd.DataFrame()
    try:
        metrics = pd.DataFrame(rows).apply(pd.to_numeric)
        if metrics["agent_steps"].isna().any():
            raise ValueError("a row without agent_steps")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"metrics.csv is broken: {error}") from error
    return metrics


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# What a report needs of an evaluation, and whether a value is what it should be.
FIELDS: dict[str, Callable[[Any], bool]] = {
    "agent": lambda value: isinstance(value, str),
    "game": lambda value: isinstance(value, str),
    "seed": _is_number,
    "agent_steps": _is_number,
    "mean": _is_number,
    "scores": lambda value: isinstance(value, list) and value and all(map(_is_number, value)),
}
