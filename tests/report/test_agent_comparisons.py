import pytest

from tests.report.scored_runs import agents as seeds
from tfselfsup.report import agent_comparisons
from tfselfsup.report import agent_statistics as statistics


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 100)


def test_a_task_that_helps_at_every_seed_helps():
    runs = [*seeds("dqn", [1.0, 2.0, 3.0]), *seeds("rotation", [11.0, 12.0, 13.0])]
    (found,) = agent_comparisons.comparisons(runs)["pong"]
    assert (found.question, found.verdict) == ("Does rotation help dqn on pong?", "helps")
    assert (found.of, found.against, found.kind) == ("rotation", "dqn", "agent")
    assert (found.difference, found.seeds, found.score) == (10, 3, "mean raw score")
    # Variances of 1, as in the test of the evidence: 10 -+ 2.776 * sqrt(2/3).
    assert (found.low, found.high) == pytest.approx((7.733, 12.267), abs=1e-3)
    assert found.sentence == (
        "Rotation helps dqn on pong: mean raw score +10.00 (95% interval 7.73 to 12.27), 3 seeds"
        " each; a run with it scores higher than one without with probability 1.00 (95%: 1.00 to"
        " 1.00)."
    )


def test_one_seed_proves_nothing():
    (found,) = agent_comparisons.comparisons([*seeds("dqn", [1.0]), *seeds("rotation", [21.0])])[
        "pong"
    ]
    assert (found.verdict, found.low, found.seeds) == ("cannot be told", None, 1)
    assert found.sentence == (
        "It cannot be told whether rotation helps dqn on pong: mean raw score +20.00, 1 seed each."
        " One seed proves nothing: at least 2 more on each side are needed before anything can be"
        " said."
    )


def test_the_games_of_one_seed_are_no_seeds():
    # However many games: the unit is the run.
    runs = [*seeds("dqn", [1.0]), *seeds("rotation", [21.0])]
    for run in runs:
        run.evaluation["scores"] *= 1000
    (found,) = agent_comparisons.comparisons(runs)["pong"]
    assert (found.seeds, found.verdict) == (1, "cannot be told")


def test_each_game_has_its_comparisons():
    runs = [
        *seeds("dqn", [1.0]),
        *seeds("rotation", [1.0, 2.0], game="breakout"),
        *seeds("dqn", [1.0, 2.0, 4.0], game="breakout"),
    ]
    found = agent_comparisons.comparisons(runs)
    assert found["pong"] == []
    (breakout,) = found["breakout"]
    assert breakout.seeds == 2
    assert ", 2 seeds against 3;" in breakout.sentence
