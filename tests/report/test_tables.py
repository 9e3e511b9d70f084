from pathlib import Path

import pandas as pd
import pytest

from tfselfsup.config import AgentExperiment
from tfselfsup.report import tables
from tfselfsup.report.agents import AgentRun

COLUMNS = ["agent", "published", "measured", "difference", "std", "games", "seeds"]
COLUMNS += ["agent steps", "hours"]


def scored(agent, scores, *, seed=0, steps=1000, game="pong", hours=()) -> AgentRun:
    evaluation = {
        "agent": agent,
        "scores": scores,
        "seed": seed,
        "agent_steps": steps,
        "game": game,
    }
    metrics = pd.DataFrame({"hours": hours} if hours else None)
    return AgentRun(Path("run"), AgentExperiment(), evaluation, metrics)


def rows_of(table) -> list[list]:
    assert list(table) == COLUMNS
    return [[None if pd.isna(value) else value for value in row] for row in table.to_numpy()]


@pytest.mark.parametrize(
    ("game", "published"),
    [
        (
            "pong",
            {
                "random": -21,
                "dqn": 20.0,
                "human": -3,
                "world record": 21.0,
                "rotation": -20.1,
                "sequence": 18.2,
            },
        ),
        (
            "breakout",
            {
                "random": 1.25,
                "dqn": 9.9,
                "human": 30.5,
                "world record": 864,
                "rotation": 7.6,
                "sequence": 14.9,
            },
        ),
    ],
)
def test_the_published_column_is_the_studys_second_table(game, published):
    # Agarwal, Sinha and Ayush (2019).
    table = tables.agent_scores([scored("dqn", [1.0], game=game)], game)
    assert dict(zip(table["agent"], table["published"], strict=True)) == published
    assert list(table["agent"]) == list(published)


def test_measured_is_the_mean_over_seeds_and_std_that_of_all_games():
    runs = [
        scored("dqn", [1.0, 3.0], seed=0),  # mean 2
        scored("dqn", [4.0, 6.0, 8.0, 10.0], seed=1),  # mean 7
        scored("random", [-21.0, -20.0], steps=0),
    ]
    random, dqn, *others = rows_of(tables.agent_scores(runs, "pong"))
    # Seeds weigh the same whatever their games: (2 + 7) / 2. The six games' mean is 32 / 6, the
    # squares' sum 226, so that the variance is (226 - 32**2 / 6) / 5.
    std = ((226 - 32**2 / 6) / 5) ** 0.5
    assert dqn == ["dqn", 20.0, 4.5, -15.5, pytest.approx(std), 6, 2, 1000, None]
    assert random == ["random", -21.0, -20.5, 0.5, pytest.approx(0.5**0.5), 2, 1, 0, None]
    assert all(row[2:] == 7 * [None] for row in others) and len(others) == 4


def test_one_game_has_no_standard_deviation():
    dqn = rows_of(tables.agent_scores([scored("dqn", [3.0])], "pong"))[1]
    assert dqn == ["dqn", 20.0, 3.0, -17.0, None, 1, 1, 1000, None]


def test_seeds_that_end_at_slightly_different_steps_share_a_row():
    # The games side by side seldom end together on the last step.
    runs = [scored("dqn", [1.0], steps=5003, seed=0), scored("dqn", [3.0], steps=5009, seed=1)]
    table = rows_of(tables.agent_scores(runs, "pong"))
    assert table[1] == ["dqn", 20.0, 2.0, -18.0, pytest.approx(2**0.5), 2, 2, 5006, None]
    assert len(table) == 6


def test_an_unfinished_run_has_a_row_of_its_own():
    unfinished = scored("dqn", [10.0], steps=4000)
    unfinished.evaluation["finished"] = False
    runs = [scored("dqn", [1.0], steps=5000), unfinished]
    names = {row[0]: row[2] for row in rows_of(tables.agent_scores(runs, "pong"))}
    assert names["dqn"] == 1.0
    assert names["dqn, agent steps 4000, not finished"] == 10.0


def test_other_games_are_passed_over():
    runs = [scored("dqn", [1.0]), scored("dqn", [5.0], game="breakout")]
    assert rows_of(tables.agent_scores(runs, "pong"))[1][2] == 1.0
    assert rows_of(tables.agent_scores(runs, "breakout"))[1][2] == 5.0


def test_an_agent_that_was_not_published_comes_last():
    runs = [scored("jigsaw", [2.0]), scored("rotation", [1.0])]
    table = rows_of(tables.agent_scores(runs, "pong"))
    assert table[4][:3] == ["rotation", -20.1, 1.0]
    assert table[-1] == ["jigsaw", None, 2.0, None, None, 1, 1, 1000, None]


def test_a_game_that_was_not_published_has_the_measured_agents_only():
    runs = [scored("sequence", [4.0], game="qbert"), scored("random", [2.0], steps=0, game="qbert")]
    assert rows_of(tables.agent_scores(runs, "qbert")) == [
        ["sequence", None, 4.0, None, None, 1, 1, 1000, None],
        ["random", None, 2.0, None, None, 1, 1, 0, None],
    ]


def test_the_hours_are_those_of_the_whole_training():
    runs = [scored("dqn", [1.0], hours=[0.5, 2.0]), scored("dqn", [1.0], hours=[4.0], seed=1)]
    assert rows_of(tables.agent_scores(runs, "pong"))[1][-1] == 3.0


@pytest.fixture
def small():
    figures = {"agent": ["dqn", "a|b"], "score": [1.5, None], "steps": [1_000_000, None]}
    return pd.DataFrame(figures).astype({"steps": "Int64"})


def test_markdown(small):
    assert tables.markdown(small).splitlines() == [
        "| agent   |   score |     steps |",
        "|:--------|--------:|----------:|",
        "| dqn     |    1.50 | 1,000,000 |",
        r"| a\|b    |         |           |",
    ]


def test_a_line_break_does_not_break_a_row():
    table = pd.DataFrame({"a|b": ["one\n\ntwo"]})
    assert tables.markdown(table).splitlines()[0::2] == [r"| a\|b    |", "| one two |"]


def test_latex(small):
    text = tables.latex(small.assign(agent=["d_q&n", "50%"]))
    lines = text.splitlines()
    assert lines[:2] == [r"\begin{tabular}{lrr}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    cells = [" ".join(line.split()) for line in lines[4:6]]
    assert cells == [r"d\_q\&n & 1.50 & 1,000,000 \\", r"50\% & & \\"]


def test_a_table_without_rows_is_written_all_the_same(small):
    assert "agent" in tables.latex(small[:0]) and "agent" in tables.markdown(small[:0])


def test_a_table_can_be_read_back(tmp_path):
    runs = [scored("dqn", [1.0, 3.0]), scored("jigsaw", [-20.5, -20.5], steps=500)]
    table = tables.agent_scores(runs, "pong")
    table.to_csv(tmp_path / "pong.csv", index=False)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "pong.csv"), table.astype({name: float for name in COLUMNS[5:8]})
    )
