import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest

from tfselfsup.config import AgentConfig, AgentExperiment, TaskConfig
from tfselfsup.report import agents
from tfselfsup.report.agents import AgentRun

EVALUATION = {
    "kind": "agent",
    "agent": "dqn",
    "game": "pong",
    "seed": 0,
    "agent_steps": 1000,
    "mean": 1.0,
    "scores": [0.0, 2.0],
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        # As older files are without these.
        {"mode": None, "finished": None, "total_steps": None, "protocol": None},
        {"mode": "joint", "finished": False, "total_steps": 5000, "protocol": {"epsilon": 0.001}},
    ],
)
def test_a_whole_evaluation_is_valid(more):
    assert agents.invalid_fields(EVALUATION | more) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agent", ""),
        ("game", "../pong"),  # it names files
        ("seed", True),
        ("seed", -1),
        ("agent_steps", "x"),
        ("agent_steps", math.inf),
        ("mean", 10**400),
        ("scores", []),
        ("scores", ["x"]),
        ("scores", [math.nan]),
        ("mode", ["joint"]),
        ("finished", "no"),
        ("total_steps", 1.5),
        ("protocol", []),
    ],
)
def test_what_cannot_be_is_named(name, value):
    assert agents.invalid_fields(EVALUATION | {name: value}) == [name]


def test_what_is_missing_is_named():
    assert agents.invalid_fields({}) == ["agent", "game", "seed", "agent_steps", "mean", "scores"]


def run_of(agent, seed=0, mode=None, **settings) -> AgentRun:
    evaluation = {"agent": agent, "game": "pong", "mode": mode, "seed": seed, "agent_steps": 100}
    settings |= {} if mode is None else {"mode": mode}
    agent_config = dataclasses.replace(AgentConfig(), **settings)
    experiment = AgentExperiment(seed=seed, agent=agent_config)
    return AgentRun(Path(agent), experiment, evaluation, pd.DataFrame())


def test_runs_that_differ_in_nothing_but_the_seed_are_one_agent():
    runs = [run_of("dqn", 0), run_of("dqn", 1), run_of("dqn", 1, gamma=0.9)]
    assert agents.group_seeds(runs, "pong") == {
        "dqn": runs[:2],
        "dqn, agent.gamma 0.9": runs[2:],
    }
    assert agents.group_seeds(runs, "breakout") == {}


def test_a_run_that_is_to_be_trained_for_longer_by_now_is_not_finished():
    as_long, shorter = run_of("dqn"), run_of("dqn", 1)
    for run, short_of in ((as_long, 0), (shorter, 1)):
        steps = run.experiment.total_steps - short_of
        run.evaluation.update(finished=True, total_steps=steps)
    assert agents.is_finished(as_long) and not agents.is_finished(shorter)
    # How far it is tells it from the others.
    assert len(agents.group_seeds([as_long, shorter], "pong")) == 2
    # Whose score has no steps at all.
    random = run_of("random", kind="random")
    random.evaluation.update(finished=True, total_steps=0)
    assert agents.is_finished(random)


def test_modes_and_tasks_options_are_told_apart():
    four, twelve = (TaskConfig("frame_order", options={"classes": n}) for n in (4, 12))
    runs = [
        run_of("sequence", mode="alternate", tasks=(four,)),
        run_of("sequence", mode="alternate", tasks=(twelve,)),
        run_of("sequence", mode="joint", tasks=(four,)),
    ]
    groups = agents.group_seeds(runs, "pong")
    assert list(groups.values()) == [[run] for run in runs]
    assert list(groups) == [
        "sequence (alternate, weight 1, classes 4)",
        "sequence (alternate, weight 1, classes 12)",
        "sequence (joint, weight 1, classes 4)",
    ]


def test_updates_of_the_tasks_alone_and_other_settings_are_told_apart():
    tasks = (TaskConfig("rotation", 0.5), TaskConfig("jigsaw"))
    runs = [
        run_of("rotation + jigsaw", mode="pretrain", tasks=tasks, pretrain_updates=n, gamma=gamma)
        for n, gamma in ((10, 0.99), (20, 0.9))
    ]
    assert list(agents.group_seeds(runs, "pong")) == [
        "rotation + jigsaw (pretrain, 10 updates before, rotation weight 0.5, jigsaw weight 1)",
        "rotation + jigsaw (pretrain, 20 updates before, rotation weight 0.5, jigsaw weight 1),"
        " agent.gamma 0.9",
    ]


def test_scores_of_different_protocols_are_told_apart():
    last, best = run_of("dqn"), run_of("dqn")
    last.evaluation["protocol"] = {"checkpoint": "last", "epsilon": 0.001}
    best.evaluation["protocol"] = {"checkpoint": "best", "epsilon": 0.001}
    groups = agents.group_seeds([last, best], "pong")
    assert groups == {"dqn, checkpoint last": [last], "dqn, checkpoint best": [best]}


def test_an_evaluation_that_does_not_say_how_long_the_training_was_is_of_the_whole():
    runs = [run_of("dqn"), run_of("dqn", 1)]
    runs[1].evaluation.update(finished=None, total_steps=None, protocol=None)
    assert all(agents.is_finished(run) for run in runs)
    assert agents.group_seeds(runs, "pong") == {"dqn": runs}


def test_over_games_runs_of_one_agent_are_put_together():
    pong, breakout = run_of("dqn"), run_of("dqn")
    breakout.evaluation["game"] = "breakout"
    environment = dataclasses.replace(breakout.experiment.environment, game="breakout")
    experiment = dataclasses.replace(breakout.experiment, environment=environment)
    breakout = dataclasses.replace(breakout, experiment=experiment)
    assert agents.group_over_games([pong, breakout]) == {"dqn": [pong, breakout]}
    assert pong.identity() != breakout.identity()
