import dataclasses

import pytest

from tests.report.scored_runs import agent as scored
from tests.report.scored_runs import agents as seeds
from tfselfsup.config import AgentConfig, TaskConfig
from tfselfsup.report import agent_comparisons
from tfselfsup.report import agent_statistics as statistics


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 100)


def test_a_task_that_helps_at_every_seed_helps():
    runs = [*seeds("dqn", [1.0, 2.0, 3.0]), *seeds("rotation", [11.0, 12.0, 13.0])]
    (found,) = agent_comparisons.comparisons(runs)["pong"]
    assert (found.question, found.verdict) == (
        "Does rotation (alternate, weight 1) help dqn on pong?",
        "helps",
    )
    assert (found.of, found.against, found.kind) == (
        "rotation (alternate, weight 1)",
        "dqn",
        "agent",
    )
    assert (found.difference, found.seeds, found.score) == (10, 3, "mean raw score")
    # Variances of 1, as in the test of the evidence: 10 -+ 2.776 * sqrt(2/3).
    assert (found.low, found.high) == pytest.approx((7.733, 12.267), abs=1e-3)
    assert found.sentence == (
        "Rotation (alternate, weight 1) helps dqn on pong: mean raw score +10.00 (95% interval"
        " 7.73 to 12.27), 3 seeds each; of all pairs of a run with it and one without, it won 100%."
    )


@pytest.mark.parametrize(
    ("mode", "tasks", "told"),
    [
        ("joint", [("rotation", 0.1, {})], "joint, weight 0.1"),
        ("alternate", [("frame_order", 1.0, {"classes": 4})], "alternate, weight 1, classes 4"),
        (
            "joint",
            [("rotation", 0.5, {}), ("frame_order", 1.0, {"classes": 6})],
            "joint, rotation weight 0.5, frame_order weight 1, frame_order classes 6",
        ),
    ],
)
def test_a_treatment_is_named_with_its_settings(mode, tasks, told):
    run = scored("task", 1.0)
    settings = AgentConfig(mode=mode, tasks=tuple(TaskConfig(*task) for task in tasks))
    run = dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, agent=settings))
    (found,) = agent_comparisons.comparisons([scored("dqn", 1.0), run])["pong"]
    assert found.of == f"task ({told})"


def test_treatments_that_differ_in_their_settings_name_them_once():
    runs = [scored("dqn", 1.0)]
    for mode in ("joint", "alternate"):
        run = scored("rotation", 1.0, mode=mode)
        run.evaluation["mode"] = mode
        runs.append(run)
    found = agent_comparisons.comparisons(runs)["pong"]
    assert [one.of for one in found] == [
        "rotation (joint, weight 1)",
        "rotation (alternate, weight 1)",
    ]


def test_one_seed_proves_nothing():
    (found,) = agent_comparisons.comparisons([*seeds("dqn", [1.0]), *seeds("rotation", [21.0])])[
        "pong"
    ]
    assert (found.verdict, found.low, found.seeds) == ("cannot be told", None, 1)
    assert found.sentence == (
        "It cannot be told whether rotation (alternate, weight 1) helps dqn on pong: mean raw score"
        " +20.00, 1 seed each. One seed proves nothing: at least 3 on each side are needed before"
        " anything can be said."
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


def test_an_agent_without_a_control_is_named_with_what_its_nearest_differs_in():
    runs = [
        *seeds("dqn", [1.0], learning_rate=1e-5, n_step=3),
        *seeds("dqn", [1.0], learning_rate=1e-3, game="breakout"),
        *seeds("dqn", [1.0], learning_rate=1e-5),
        *seeds("rotation", [2.0]),
        *seeds("sequence", [2.0], learning_rate=1e-5),
        *seeds("inverse", [2.0], finished=False),
        scored("dqn", 1.0, seed=1, kind="random"),
    ]
    (found,) = agent_comparisons.comparisons(runs)["pong"]
    assert found.of == "sequence (alternate, weight 1)"
    (told,) = agent_comparisons.without_control(runs)
    assert told == (
        "On pong rotation is compared with nothing: no agent without a task has the same settings,"
        " and the nearest (dqn, agent.learning_rate 1e-05) differs in agent.learning_rate (1e-05 in"
        " place of the default)."
    )


def test_where_no_agent_without_a_task_has_finished_that_is_said():
    runs = [*seeds("rotation", [2.0]), *seeds("dqn", [1.0], finished=False)]
    assert agent_comparisons.without_control(runs) == [
        "On pong rotation is compared with nothing: no agent without a task has finished."
    ]


def test_agents_with_a_control_need_no_remark():
    assert not agent_comparisons.without_control([*seeds("dqn", [1.0]), *seeds("rotation", [2.0])])
