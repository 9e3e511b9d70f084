"""Asks of every game whether a task helps an agent there."""

from __future__ import annotations

from collections.abc import Sequence

from tfselfsup.report import agent_statistics as statistics
from tfselfsup.report import evidence
from tfselfsup.report.aggregate import AgentRun, group_seeds
from tfselfsup.report.comparisons import AGENT, Comparison
from tfselfsup.report.evidence import Hypothesis


def comparisons(runs: Sequence[AgentRun]) -> dict[str, list[Comparison]]:
    """Compares every agent that has a task with the one that has none and is otherwise the same.

    Args:
        runs: Scored agents; unfinished ones are passed over.

    Returns:
        The comparisons on each game.
    """
    found = {}
    for game in dict.fromkeys(run.evaluation["game"] for run in runs):
        groups = statistics.finished(group_seeds(runs, game))
        found[game] = [
            _compared(groups, name, without, game)
            for name in groups
            if (without := statistics.baseline(name, groups)) is not None
        ]
    return found


def _compared(groups: dict[str, list[AgentRun]], name: str, without: str, game: str) -> Comparison:
    scores, others = (statistics.run_scores(groups[side]) for side in (name, without))
    difference = evidence.independent(scores, others)
    hypothesis = Hypothesis(name, without, f"on {game}")
    figures = f"mean raw score {evidence.interval_in_words(difference, 2)}"
    figures += f", {_seeds(len(scores), len(others))}"
    if difference.seeds > 1:
        better = statistics.probability_of_improvement(scores[:, None], others[:, None])
        figures += f"; a run with it scores higher than one without with probability {better}"
    return Comparison(
        question=hypothesis.question,
        kind=AGENT,
        of=name,
        against=without,
        score="mean raw score",
        difference=difference.mean,
        low=difference.low,
        high=difference.high,
        seeds=difference.seeds,
        verdict=difference.verdict,
        sentence=hypothesis.answer(difference, figures),
    )


def _seeds(own: int, others: int) -> str:
    if own == others:
        return f"{evidence.counted(own)} each"
    return f"{evidence.counted(own)} against {others}"
