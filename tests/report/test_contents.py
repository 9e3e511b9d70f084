import dataclasses
from pathlib import Path

import pytest

from tests.report.scored_runs import EVALUATION
from tests.report.scored_runs import agents as seeds
from tfselfsup.report.classifiers import ClassifierRun
from tfselfsup.report.contents import LeftOut, Picture, Table, contents


@pytest.fixture
def classifiers(tmp_path):
    (tmp_path / "config.yaml").write_text("mode: probe\n")
    return [
        ClassifierRun(tmp_path, EVALUATION | {"weights": weights, "accuracy": accuracy})
        for weights, accuracy in (("random", 0.5), ("imagenet", 0.7))
    ]


@pytest.fixture
def agents(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = [*seeds("dqn", [1.0]), *seeds("rotation", [2.0]), *seeds("dqn", [1.0], game="breakout")]
    for run in runs:
        run.path.mkdir(exist_ok=True)
        (run.path / "config.yaml").write_text("seed: 0\n")
    return runs


def test_the_question_and_the_answers_come_first(agents, classifiers):
    left_out = LeftOut(Path("x"), "y")
    report = contents([*agents, *classifiers], [left_out])
    assert report.question == (
        "Is self-supervision helpful? Agents on pong and breakout; classifiers of dfdc"
    )
    game, weights, unasked = report.answer
    assert game.startswith(
        "It cannot be told whether rotation (alternate, weight 1) helps dqn on pong"
    )
    assert weights.startswith("It cannot be told whether ImageNet weights help mobilenet")
    assert unasked.startswith("On breakout no two finished runs")
    assert report.left_out == (left_out,)
    titles = [section.title for section in report.sections]
    assert titles[:5] == ["What the evidence supports", "Pong", "Breakout", "All games", "dfdc"]
    assert titles[-1] == "Environments"


def test_every_cell_is_text_and_every_picture_is_told_in_words(agents, classifiers):
    report = contents([*agents, *classifiers], [])
    items = [item for section in report.sections for item in section.items]
    assert len({item.name for item in items}) == len(items)
    for item in items:
        if isinstance(item, Table):
            assert item.frame.map(lambda cell: isinstance(cell, str)).all(axis=None), item.name
        else:
            assert isinstance(item, Picture) and item.alt


def test_classifiers_alone(classifiers):
    report = contents(classifiers, [])
    assert report.question == "Is self-supervision helpful? Classifiers of dfdc"
    rule, *_ = report.sections[0].text
    assert "Each of the 2 comparisons here" in rule
    assert [section.title for section in report.sections][:2] == [
        "What the evidence supports",
        "dfdc",
    ]


def test_an_agent_that_is_compared_with_nothing_is_named(agents):
    *others, breakout = agents
    other = dataclasses.replace(breakout, evaluation=breakout.evaluation | {"game": "qbert"})
    rotation = dataclasses.replace(others[1], evaluation=others[1].evaluation | {"game": "qbert"})
    report = contents([other, rotation, breakout], [])
    assert not any("compared with nothing" in sentence for sentence in report.answer)
    report = contents([rotation, breakout], [])
    assert report.answer[-1].startswith("On qbert rotation is compared with nothing: no agent")
