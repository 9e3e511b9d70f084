"""Aggregate scores of agents with intervals, by rliable; the unit is the run, not the game.

Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021,
arXiv:2108.13264): the interquartile mean, and the probability that a run of one agent beats a run
of another, each with a 95% interval by a bootstrap that draws the runs of every game anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tfselfsup.report import reference_scores, stratified_bootstrap
from tfselfsup.report.agents import AgentRun, group_over_games, group_seeds, is_finished
from tfselfsup.report.reference_scores import human_normalised

RESAMPLES = 1000
BETTER = "P(better than without task)"


@dataclass(frozen=True)
class Estimate:
    """A figure, and its 95% interval; the ends are None where there are too few runs for one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """Writes it as the cell of a table."""
        value, low, high = (
            # Without the sign of what is rounded to 0.
            None if end is None else f"{round(end, 2) + 0.0:.2f}"
            for end in (self.value, self.low, self.high)
        )
        return value if low is None else f"{value} (95%: {low} to {high})"


def run_scores(group: Sequence[AgentRun]) -> np.ndarray:
    """Returns the mean raw score of each run over its games, float64 [runs]."""
    return np.array([np.mean(run.evaluation["scores"]) for run in group], np.float64)


def interquartile_mean(scores: np.ndarray) -> Estimate:
    """Averages the middle half of all scores.

    Args:
        scores: float [runs, games], human-normalised where there are several games.
    """
    from rliable import metrics

    return _estimate(scores, metrics.aggregate_iqm)


def probability_of_improvement(scores: np.ndarray, others: np.ndarray) -> Estimate:
    """Estimates how often a run of one agent scores higher than one of another; ties count half.

    Args:
        scores: float [runs, games].
        others: float [runs, games], of the same games.
    """
    from rliable import metrics

    return _estimate((scores, others), metrics.probability_of_improvement)


def _estimate(scores, aggregate) -> Estimate:
    sides = scores if isinstance(scores, tuple) else (scores,)
    if min(len(side) for side in sides) < stratified_bootstrap.ENOUGH_RUNS:
        return Estimate(float(aggregate(*sides)))
    found = stratified_bootstrap.interval(scores, aggregate, RESAMPLES)
    return Estimate(*(float(figure[0]) for figure in found))


def baseline(name: str, groups: dict[str, list[AgentRun]]) -> str | None:
    """Finds the agent without a task whose settings are otherwise those of another agent.

    Args:
        name: Of an agent with a task.
        groups: Finished runs by the agents' names.

    Returns:
        Its name; None if there is none, or the agent has no task itself.
    """
    if not groups[name][0].tasks:
        return None
    settings = groups[name][0].settings_but_task()
    return next(
        (
            other
            for other, runs in groups.items()
            if not runs[0].tasks and runs[0].settings_but_task() == settings
        ),
        None,
    )


def finished(groups: dict[str, list[AgentRun]]) -> dict[str, list[AgentRun]]:
    """Returns the agents whose training had ended."""
    return {name: runs for name, runs in groups.items() if is_finished(runs[0])}


def of_game(runs: Sequence[AgentRun], game: str) -> pd.DataFrame:
    """Aggregates the scores of each agent on one game.

    Args:
        runs: Scored agents; those of other games, and unfinished ones, are passed over.
        game: Name of the game.

    Returns:
        A row for every agent with the columns: agent; runs; iqm, the interquartile mean of the
        human-normalised scores, NaN for a game that no person's score is known of, with iqm_low and
        iqm_high; `BETTER`, the probability of improvement over the agent without the task, with its
        ends likewise. What is not known is NaN.
    """
    groups = finished(group_seeds(runs, game))
    scores = {name: run_scores(group)[:, None] for name, group in groups.items()}
    scaled = {name: _normalised(of_agent, game) for name, of_agent in scores.items()}
    return _table(groups, scores, scaled)


def _normalised(scores: np.ndarray, game: str) -> np.ndarray | None:
    return human_normalised(scores, game) if game in reference_scores.SCORES else None


def over_games(runs: Sequence[AgentRun]) -> tuple[list[str], pd.DataFrame]:
    """Aggregates the scores of each agent over all games.

    Args:
        runs: Scored agents; unfinished ones are passed over.

    Returns:
        The games, as `shared_games` chooses them; and a table as `of_game` makes it, of the agents
        that have runs on all of these, as many on each as on the one with the fewest.
    """
    groups = finished(group_over_games(runs))
    games = shared_games(groups)
    scores = {}
    for name, group in groups.items():
        columns = [_of_one_game(group, game) for game in games]
        fewest = min(map(len, columns), default=0)
        if fewest:
            scores[name] = np.stack([column[:fewest] for column in columns], axis=1)
    return games, _table({name: groups[name] for name in scores}, scores, scores)


def shared_games(groups: dict[str, list[AgentRun]]) -> list[str]:
    """Chooses the games to aggregate over: those that most agents have played, two or more.

    Args:
        groups: Finished runs by the agents' names.

    Returns:
        Of the sets of games that some agent has runs on, the one that most agents have runs on all
        of, and the larger of two such; without games that no person's score is known of. None if no
        agent has runs on two games.
    """
    played = [
        frozenset(run.evaluation["game"] for run in group) & frozenset(reference_scores.SCORES)
        for group in groups.values()
    ]
    shared = {games: sum(games <= others for others in played) for games in played}
    shared = {games: agents for games, agents in shared.items() if len(games) > 1}
    chosen = max(shared, key=lambda games: (shared[games], len(games)), default=frozenset())
    in_order = dict.fromkeys(run.evaluation["game"] for group in groups.values() for run in group)
    return [game for game in in_order if game in chosen]


def _of_one_game(group: Sequence[AgentRun], game: str) -> np.ndarray:
    runs = [run for run in group if run.evaluation["game"] == game]
    runs.sort(key=lambda run: run.evaluation["seed"])
    return human_normalised(run_scores(runs), game)


def _table(groups, scores, scaled) -> pd.DataFrame:
    rows = []
    for name, of_agent in scores.items():
        row = {"agent": name, "runs": len(of_agent)}
        if scaled[name] is not None:
            row |= _columns("iqm", interquartile_mean(scaled[name]))
        if (without := baseline(name, groups)) is not None:
            found = probability_of_improvement(of_agent, scores[without])
            row |= _columns(BETTER, found)
        rows.append(row)
    ends = [f"{name}{end}" for name in ("iqm", BETTER) for end in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["agent", "runs", *ends])
    return table.astype(dict.fromkeys(ends, float))


def _columns(name: str, estimate: Estimate) -> dict[str, float | None]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """Puts each figure and its interval into one cell.

    Args:
        table: What `of_game` or `over_games` returned.
    """
    shown = {"agent": table["agent"], "runs": table["runs"].map(str)}
    for name, heading in (("iqm", "IQM, human-normalised"), (BETTER, BETTER)):
        if table[name].notna().any():
            shown[heading] = [_cell(row, name) for row in table.to_dict("records")]
    return pd.DataFrame(shown)


def _cell(row: dict, name: str) -> str:
    value, low, high = (
        None if pd.isna(row[name + end]) else row[name + end] for end in ("", "_low", "_high")
    )
    return "" if value is None else str(Estimate(value, low, high))
