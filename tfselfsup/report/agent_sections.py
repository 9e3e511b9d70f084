"""What a reader is shown of the agents: for each game, scores and learning curves."""

from __future__ import annotations

from collections.abc import Sequence

from tfselfsup.report import agent_statistics, learning_curves, tables
from tfselfsup.report.agents import AgentRun
from tfselfsup.report.document import Picture, Section, Table, listed
from tfselfsup.report.learning_curves import AXES
from tfselfsup.report.reference_scores import SCORES, SOURCE
from tfselfsup.report.stratified_bootstrap import ENOUGH_RUNS

SCORES_NOTE = (
    "Mean raw score of whole games, over seeds; `published` is the study's, and `difference` the"
    " measured score minus it. The study scored training episodes, which in Breakout end with one"
    " life, after 1,000,000 agent steps with its own settings: `difference` is one of all that,"
    " too. `std` is of the scores of all games, and says nothing about seeds."
)
STATISTICS_NOTE = (
    "The interquartile mean (IQM) of the runs' scores, where 0 is a random agent's and 1 a person's"
    f" by {SOURCE}, which are not those that the study quotes; and the probability that a run"
    " scores higher than one of the agent without the task, ties counted half. In brackets: 95%"
    " intervals of rliable's stratified bootstrap over runs. There is none for fewer than"
    f" {ENOUGH_RUNS} runs, on both sides of a probability: drawing so few anew"
    " shows far too little of what other runs might do, and nothing at all where every run of one"
    " side beats every run of the other. Training that has not ended is left out."
)
GAMES_NOTE = (
    "The games are those that most agents have finished, two or more; agents that have not finished"
    " all of these are left out. There are as many runs on each game as on the one with the fewest."
)
CURVES_NOTE = (
    "Short evaluations on the way, of fewer games than the final score. A thick line is the mean"
    " over seeds at the evaluations that all have reached, thin lines are seeds; from"
    f" {ENOUGH_RUNS} seeds on it is the interquartile mean, in the band of its 95% bootstrap"
    " interval, which is too narrow for few seeds. Hours are those of the machine that trained,"
    " whatever else it did."
)
EFFICIENCY_NOTE = (
    "How long it takes until a short evaluation first reaches a human-normalised score, where 0 is"
    f" a random agent's and 100% a person's ({SOURCE}): the mean over the seeds that reached it,"
    " which is too good where some did not, and nothing where none did. The evaluations lie apart"
    " as far as the learning curves show, and no time can be told more exactly."
)


def sections(runs: Sequence[AgentRun]) -> list[Section]:
    """Makes a section for each game and, where there are several, one for all.

    Args:
        runs: Scored agents.
    """
    games = dict.fromkeys(run.evaluation["game"] for run in runs)
    return [*(_of_game(runs, game) for game in games), *_over_games(runs)]


def title(game: str) -> str:
    """Writes a game's name as a heading: `Space invaders`."""
    return game.replace("_", " ").capitalize()


def _of_game(runs: Sequence[AgentRun], game: str) -> Section:
    scores = tables.agent_scores(runs, game)
    items = [
        Table(game, f"Scores on {game}", SCORES_NOTE, tables.presented(scores), scores),
        *_statistics(f"{game}_statistics", f"Runs on {game}", agent_statistics.of_game(runs, game)),
        *_curves(runs, game),
    ]
    text = (CURVES_NOTE,) if any(isinstance(item, Picture) for item in items) else ()
    return Section(title(game), text, tuple(items + _efficiency(runs, game)))


def _statistics(name: str, heading: str, table, note: str = STATISTICS_NOTE) -> list[Table]:
    if table.empty:
        return []
    return [Table(name, heading, note, agent_statistics.presented(table), table)]


def _curves(runs: Sequence[AgentRun], game: str) -> list[Picture]:
    return [
        Picture(
            f"{game}_over_{over}",
            f"Learning curves on {game} over {name}",
            learning_curves.in_words(runs, game, over),
            learning_curves.learning_curves(runs, game, over),
        )
        for over, name in AXES.items()
        if learning_curves.can_be_drawn(runs, game, over)
    ]


def _efficiency(runs: Sequence[AgentRun], game: str) -> list[Table]:
    table = learning_curves.sample_efficiency(runs, game) if game in SCORES else None
    if table is None or table.empty:
        return []
    shown = learning_curves.presented_efficiency(table)
    name, heading = f"{game}_sample_efficiency", f"Sample efficiency on {game}"
    return [Table(name, heading, EFFICIENCY_NOTE, shown, table)]


def _over_games(runs: Sequence[AgentRun]) -> list[Section]:
    games, table = agent_statistics.over_games(runs)
    if len(games) < 2 or table.empty:
        return []
    heading = f"Runs on {listed(games)}"
    found = _statistics("all_games_statistics", heading, table, f"{STATISTICS_NOTE} {GAMES_NOTE}")
    return [Section("All games", (), tuple(found))]
