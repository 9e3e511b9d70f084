"""The study's tables, with the published figures beside the measured ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfselfsup.report import published
from tfselfsup.report.aggregate import AgentRun


def agent_scores(runs: Sequence[AgentRun], game: str) -> pd.DataFrame:
    """Makes the study's second table for one game.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of the game.

    Returns:
        A row for every agent that was published or measured, in the published order, with the
        columns: agent; published, the study's mean score; measured, the mean over seeds of the mean
        raw score of whole games; std, of the scores of all games; games; seeds; agent steps. Where
        runs of an agent differ in their agent steps, each number of steps has a row.
    """
    scores_published = published.AGENT_SCORES.get(game, {})
    grouped: dict[str, dict[int, list[AgentRun]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        if run.evaluation["game"] == game:
            agent, steps = run.evaluation["agent"], run.evaluation["agent_steps"]
            grouped[agent][steps].append(run)
    rows = []
    for agent in dict.fromkeys([*scores_published, *grouped]):
        of_agent = grouped.get(agent) or {None: []}
        for steps, its_runs in sorted(of_agent.items(), key=lambda item: item[0] or 0):
            rows.append(
                {"agent": agent, "published": scores_published.get(agent)}
                | _measured(its_runs)
                | {"agent steps": steps}
            )
    integers = {name: "Int64" for name in ("games", "seeds", "agent steps")}
    return pd.DataFrame(rows).astype(integers)


def _measured(runs: list[AgentRun]) -> dict[str, float | int | None]:
    scores = [np.array(run.evaluation["scores"], float) for run in runs]
    if not scores:
        return dict.fromkeys(("measured", "std", "games", "seeds"))
    games = np.concatenate(scores)
    return {
        "measured": float(np.mean([of_seed.mean() for of_seed in scores])),
        "std": float(games.std(ddof=1)) if games.size > 1 else None,
        "games": games.size,
        "seeds": len({run.evaluation["seed"] for run in runs}),
    }


def markdown(table: pd.DataFrame) -> str:
    """Writes a table as Markdown, with two decimals and nothing where there is no figure.

    Args:
        table: Names in the first column, figures in the others.
    """
    texts = table.copy().astype(object)
    for name in texts:
        is_float = table[name].dtype.kind == "f"
        shown = [_text(value, is_float) for value in table[name]]
        texts[name] = shown
    alignment = ["left", *["right"] * (len(texts.columns) - 1)]
    return texts.to_markdown(index=False, colalign=alignment, disable_numparse=True)


def _text(value: object, is_float: bool) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.2f}" if is_float else f"{value:,}" if not isinstance(value, str) else value
