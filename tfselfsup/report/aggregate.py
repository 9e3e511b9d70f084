"""Reads run directories into plain records."""

from __future__ import annotations

from collections.abc import Iterable
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
    missing = {"agent", "game", "seed", "agent_steps", "scores"} - evaluation.keys()
    if missing:
        raise ValueError(f"evaluation.json lacks {', '.join(sorted(missing))}")
    metrics = pd.DataFrame(run.metrics()).apply(pd.to_numeric)
    return AgentRun(path, evaluation, metrics)
