"""The study's tables, with the published figures beside the measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from tfselfsup.report import published
from tfselfsup.report.agents import AgentRun, group_seeds

MEASURED = ("measured", "difference", "std", "games", "seeds", "agent steps", "hours")


def agent_scores(runs: Sequence[AgentRun], game: str) -> pd.DataFrame:
    """Makes the study's second table for one game.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of the game.

    Returns:
        A row for every agent that was published or measured, in the published order, with the
        columns: agent; published, the study's mean score; measured, the mean over seeds of the mean
        raw score of whole games; difference, measured minus published; std, of the scores of all
        games; games; seeds; agent steps and hours of training, the means over seeds. What is not
        known is NaN.
    """
    scores_published = dict(published.AGENT_SCORES.get(game, {}))
    groups = group_seeds(runs, game)
    rows = []
    for agent in dict.fromkeys([*scores_published, *(_agent(group) for group in groups.values())]):
        row = {"agent": agent, "published": scores_published.get(agent)}
        measured = [
            row | {"agent": name} | _measured(group, row["published"])
            for name, group in groups.items()
            if _agent(group) == agent
        ]
        rows += measured or [row | dict.fromkeys(MEASURED)]
    integers = {name: "Int64" for name in ("games", "seeds", "agent steps")}
    floats = dict.fromkeys(("published", "measured", "difference", "std", "hours"), float)
    return pd.DataFrame(rows).astype(integers | floats)


def _agent(group: list[AgentRun]) -> str:
    return group[0].evaluation["agent"]


def _measured(group: list[AgentRun], published_score: float | None) -> dict[str, Any]:
    scores = [np.array(run.evaluation["scores"], float) for run in group]
    games = np.concatenate(scores)
    steps = [run.evaluation["agent_steps"] for run in group]
    hours = [run.metrics["hours"].max() for run in group if "hours" in run.metrics]
    measured = float(np.mean([of_seed.mean() for of_seed in scores]))
    figures = (
        measured,
        None if published_score is None else measured - published_score,
        float(games.std(ddof=1)) if games.size > 1 else None,
        games.size,
        len({run.evaluation["seed"] for run in group}),
        round(np.mean(steps)),
        float(np.mean(hours)) if hours else None,
    )
    return dict(zip(MEASURED, figures, strict=True))


def markdown(table: pd.DataFrame) -> str:
    """Writes a table as Markdown, with two decimals and nothing where there is no figure.

    Args:
        table: Names in the first column, figures in the others.
    """
    texts = presented(table).map(_cell).rename(columns=lambda name: _cell(str(name)))
    alignment = ["left", *["right"] * (len(texts.columns) - 1)]
    return texts.to_markdown(index=False, colalign=alignment, disable_numparse=True)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def latex(table: pd.DataFrame) -> str:
    """Writes a table as LaTeX, for the package booktabs, in the manner of `markdown`.

    Args:
        table: Names in the first column, figures in the others.
    """
    texts = presented(table)
    return tabulate(
        texts.to_numpy().tolist(),
        headers=[str(name) for name in texts],
        tablefmt="latex_booktabs",
        colalign=["left", *["right"] * (len(texts.columns) - 1)] if len(texts) else None,
        disable_numparse=True,
    )


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """Writes each figure with two decimals, and nothing where there is none.

    Args:
        table: Figures, counts and texts; what is text already stays as it is.

    Returns:
        The same rows and columns as texts.
    """
    texts = table.copy().astype(object)
    for name in texts:
        is_float = table[name].dtype.kind == "f"
        texts[name] = [_text(value, is_float) for value in table[name]]
    return texts


def _text(value: object, is_float: bool) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.2f}" if is_float else f"{value:,}" if not isinstance(value, str) else value
