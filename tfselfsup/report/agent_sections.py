"""What a reader is shown of the agents: for each game, scores and learning curves."""

from __future__ import annotations

from collections.abc import Sequence

from tfselfsup.report import figures, tables
from tfselfsup.report.aggregate import AgentRun
from tfselfsup.report.document import Picture, Section, Table

SCORES_NOTE = "Mean raw score of whole games; `published` is the study's."


def sections(runs: Sequence[AgentRun]) -> list[Section]:
    """Makes a section for each game.

    Args:
        runs: Scored agents.
    """
    games = dict.fromkeys(run.evaluation["game"] for run in runs)
    return [_of_game(runs, game) for game in games]


def _of_game(runs: Sequence[AgentRun], game: str) -> Section:
    scores = tables.agent_scores(runs, game)
    items = (
        Table(game, f"Scores on {game}", SCORES_NOTE, tables.presented(scores), scores),
        Picture(
            f"{game}_over_agent_steps",
            f"Learning curves on {game}",
            f"Mean raw score of short evaluations over agent steps on {game}.",
            figures.learning_curves(runs, game),
        ),
    )
    return Section(title(game), (), items)


def title(game: str) -> str:
    """Writes a game's name as a heading: `Space invaders`."""
    return game.replace("_", " ").capitalize()
