import dataclasses

import numpy as np
import pytest

from tests.report.scored_runs import agent as scored
from tests.report.scored_runs import agents as seeds
from tfselfsup.config import AgentExperiment
from tfselfsup.report import agent_statistics as statistics
from tfselfsup.report.agent_statistics import BETTER, Estimate


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 100)


def test_the_interquartile_mean_leaves_out_the_lowest_and_the_highest_quarter():
    scores = np.array([[0.0], [1], [2], [3], [4], [5], [6], [100]])
    found = statistics.interquartile_mean(scores)
    assert found.value == 3.5  # of 2, 3, 4 and 5
    assert 0 <= found.low < 3.5 < found.high <= 100
    assert found == statistics.interquartile_mean(scores)  # the drawing is seeded


def test_runs_that_agree_have_a_narrow_interval():
    assert statistics.interquartile_mean(np.full((5, 2), 0.25)) == Estimate(0.25, 0.25, 0.25)


def test_four_runs_have_no_interval_as_a_bootstrap_of_so_few_claims_too_much():
    found = statistics.interquartile_mean(np.array([[0.0], [1], [2], [3]]))
    assert (found.value, found.low, found.high) == (1.5, None, None)
    # Without a break won by one side: the bootstrap would know it for sure.
    many, few = np.array([[5.0], [6], [7], [8], [9]]), np.array([[1.0], [2], [3], [4]])
    assert statistics.probability_of_improvement(many, few) == Estimate(1.0)
    assert statistics.probability_of_improvement(few, many) == Estimate(0.0)


def test_one_run_has_no_interval():
    assert statistics.interquartile_mean(np.array([[0.5]])) == Estimate(0.5)
    assert str(Estimate(0.5)) == "0.50"
    assert str(Estimate(0.5, 0.25, 0.75)) == "0.50 (95%: 0.25 to 0.75)"


def test_the_probability_of_improvement_counts_pairs_of_runs():
    # (1, 1) is a tie, and (1, 0), (2, 1) and (2, 0) are won: 3.5 of 4.
    ones, others = np.array([[1.0], [2]]), np.array([[1.0], [0]])
    assert statistics.probability_of_improvement(ones, others) == Estimate(0.875)
    # The same pairs nine times over.
    found = statistics.probability_of_improvement(np.tile(ones, (3, 1)), np.tile(others, (3, 1)))
    assert found.value == 0.875
    assert 0.5 <= found.low < 0.875 < found.high <= 1
    alone = statistics.probability_of_improvement(np.array([[1.0]]), np.array([[0.0], [2]]))
    assert alone == Estimate(0.5)


def test_a_run_counts_once_however_many_games_it_has():
    assert statistics.run_scores(seeds("dqn", [1.0, 5.0])).tolist() == [1.0, 5.0]


def test_an_agent_stands_beside_the_one_without_its_task():
    groups = {
        "dqn": seeds("dqn", [1.0]),
        "dqn, slow": seeds("dqn", [1.0], learning_rate=1e-5),
        "rotation": seeds("rotation", [1.0]),
        "rotation, slow": seeds("rotation", [1.0], learning_rate=1e-5),
        "rotation, quick": seeds("rotation", [1.0], learning_rate=1e-2),
        "pretrained": seeds("rotation", [1.0], mode="pretrain", pretrain_updates=5),
    }
    found = {name: statistics.baseline(name, groups) for name in groups}
    assert found == {
        **{"dqn": None, "dqn, slow": None, "rotation": "dqn", "rotation, slow": "dqn, slow"},
        **{"rotation, quick": None, "pretrained": "dqn"},
    }


def test_the_table_of_a_game():
    runs = [
        *seeds("dqn", [-20.7, -3.05, -3.05, -3.05, 14.6]),
        *seeds("rotation", [14.6, 20, 21]),
        scored("rotation", 0.0, seed=3, finished=False),
        scored("dqn", 30.5, game="breakout"),
    ]
    table = statistics.of_game(runs, "pong").set_index("agent")
    assert table["runs"].to_dict() == {"dqn": 5, "rotation": 3}
    assert table["iqm"]["dqn"] == pytest.approx(0.5)
    assert 0 <= table["iqm_low"]["dqn"] < 0.5 < table["iqm_high"]["dqn"] <= 1
    # One tie among fifteen pairs, the others won; too few runs with the task for an interval.
    assert table[BETTER]["rotation"] == pytest.approx(14.5 / 15)
    assert table[["iqm_low", f"{BETTER}_low"]].loc["rotation"].isna().all()
    assert np.isnan(table[BETTER]["dqn"])
    shown = statistics.presented(table.reset_index())
    assert shown.columns.tolist() == ["agent", "runs", "IQM, human-normalised", BETTER]
    assert shown["IQM, human-normalised"][0].startswith("0.50 (95%: ")
    assert shown[BETTER][0] == ""


def test_a_game_that_nobody_played_is_not_normalised():
    table = statistics.of_game([scored("dqn", 1.0, game="journey_escape")], "journey_escape")
    assert table["iqm"].isna().all()
    assert statistics.presented(table).columns.tolist() == ["agent", "runs"]


def test_over_games_an_agent_has_as_many_runs_as_on_its_rarest_game():
    runs = [
        *seeds("dqn", [-20.7, 14.6, 14.6]),
        *seeds("dqn", [1.7, 30.5], game="breakout"),
        scored("dqn", 5.0, game="journey_escape"),
        scored("rotation", 0.0),
    ]
    games, table = statistics.over_games(runs)
    assert games == ["pong", "breakout"]
    # Seed 0 is random on both games and seed 1 a person: the middle half of 0, 0, 1 and 1.
    (row,) = table.to_dict("records")
    assert (row["agent"], row["runs"], row["iqm"]) == ("dqn", 2, pytest.approx(0.5))


def test_an_unfinished_or_an_odd_game_does_not_empty_the_table_over_games():
    runs = [
        scored(name, 1.0, game=game)
        for name in ("dqn", "rotation")
        for game in ("pong", "breakout")
    ]
    runs += [
        scored("dqn", 1.0, game="qbert", finished=False),
        scored("rotation", 1.0, game="seaquest"),
        scored("sequence", 1.0, game="pong"),
    ]
    games, table = statistics.over_games(runs)
    assert games == ["pong", "breakout"]
    assert table["agent"].tolist() == ["dqn", "rotation"]


def test_of_sets_of_games_that_as_many_share_the_larger_is_taken():
    games = ("pong", "breakout", "qbert")
    groups = {
        name: [scored(name, 1.0, game=game) for game in games] for name in ("dqn", "rotation")
    }
    assert statistics.shared_games(groups) == list(games)
    groups["sequence"] = [scored("sequence", 1.0, game=game) for game in games[1:]]
    assert statistics.shared_games(groups) == ["breakout", "qbert"]
    assert statistics.shared_games({"dqn": seeds("dqn", [1.0])}) == []


def test_settings_of_an_agent_but_for_its_task():
    run = scored("rotation", 1.0)
    assert run.tasks == ("rotation",)
    bare = dataclasses.replace(
        scored("dqn", 1.0, game="breakout", seed=3),
        experiment=AgentExperiment(seed=3),
    )
    assert run.settings_but_task() == bare.settings_but_task()


def test_what_is_rounded_to_nothing_has_no_sign():
    assert str(Estimate(-0.004, -0.001, 0.004)) == "0.00 (95%: 0.00 to 0.00)"
    assert str(Estimate(-0.006)) == "-0.01"
