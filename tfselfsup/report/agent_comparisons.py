"""Asks of every game whether a task helps an agent there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfselfsup.report import agent_statistics as statistics
from tfselfsup.report import evidence
from tfselfsup.report.agents import AgentRun, group_seeds
from tfselfsup.report.comparisons import AGENT, Comparison
from tfselfsup.report.document import listed
from tfselfsup.report.evidence import Hypothesis

DEFAULT = "the default"


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


def without_control(runs: Sequence[AgentRun]) -> list[str]:
    """Says which agents with a task could not be compared, as none without is otherwise the same.

    Args:
        runs: Scored agents; unfinished ones are passed over.

    Returns:
        A sentence for each on each game, with the settings in which the nearest agent differs.
    """
    told = []
    for game in dict.fromkeys(run.evaluation["game"] for run in runs):
        groups = statistics.finished(group_seeds(runs, game))
        told += [
            f"On {game} {name} is compared with nothing: {_nearest(name, groups)}."
            for name, group in groups.items()
            if group[0].tasks and statistics.baseline(name, groups) is None
        ]
    return told


def _nearest(name: str, groups: dict[str, list[AgentRun]]) -> str:
    """Names the agent without a task that differs in the fewest settings, and these."""
    own = groups[name][0]
    found = {
        other: _differing(own.settings_but_task(), group[0].settings_but_task())
        for other, group in groups.items()
        if not group[0].tasks and group[0].experiment.agent.kind == own.experiment.agent.kind
    }
    if not found:
        return "no agent without a task has finished"
    nearest = min(found, key=lambda other: len(found[other]))
    return (
        "no agent without a task has the same settings, and the nearest"
        f" ({nearest}) differs in {listed(found[nearest])}"
    )


def _differing(own: dict[str, Any], others: dict[str, Any]) -> list[str]:
    """Lists settings with both values; one that is not given has its default value."""
    return [
        f"{key} ({others.get(key, DEFAULT)} in place of {own.get(key, DEFAULT)})"
        for key in sorted({*own, *others})
        if own.get(key, DEFAULT) != others.get(key, DEFAULT)
    ]


def _compared(groups: dict[str, list[AgentRun]], name: str, without: str, game: str) -> Comparison:
    scores, others = (statistics.run_scores(groups[side]) for side in (name, without))
    difference = evidence.independent(scores, others)
    settings = f" ({groups[name][0].task_settings()})"
    treatment = name if settings in name else name + settings
    hypothesis = Hypothesis(treatment, without, f"on {game}")
    figures = f"mean raw score {evidence.interval_in_words(difference, 2)}"
    figures += f", {_seeds(len(scores), len(others))}"
    if difference.seeds > 1:
        # Without an interval: a bootstrap of a few runs would claim far more than is known.
        better = statistics.probability_of_improvement(scores[:, None], others[:, None]).value
        figures += f"; of all pairs of a run with it and one without, it won {better:.0%}"
    return Comparison.of_difference(hypothesis, difference, AGENT, "mean raw score", figures)


def _seeds(own: int, others: int) -> str:
    if own == others:
        return f"{evidence.counted(own)} each"
    return f"{evidence.counted(own)} against {others}"
