from pathlib import Path

import matplotlib.pyplot
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from tfselfsup.config import AgentExperiment, EvaluationConfig
from tfselfsup.report import learning_curves
from tfselfsup.report.agents import AgentRun


def experiment(period=100, total_steps=10**6) -> AgentExperiment:
    return AgentExperiment(
        total_steps=total_steps, evaluation=EvaluationConfig(curve_period=period)
    )


def curve(points: dict, period=100) -> pd.DataFrame:
    return learning_curves.evaluation_curve(scored("dqn", points, period=period))


def scored(
    agent, points=None, *, mean=0.0, game="pong", seed=0, hours=None, **settings
) -> AgentRun:
    """A run with a short evaluation at some of its rows; None stands for a row without."""
    metrics = pd.DataFrame()
    if points is not None:
        metrics = pd.DataFrame(
            {"agent_steps": list(points), "evaluation_score": list(points.values())}
        ).astype({"evaluation_score": float})
        if hours:
            metrics["hours"] = hours
    evaluation = {"agent": agent, "game": game, "mean": mean, "seed": seed}
    return AgentRun(Path("run"), experiment(**settings), evaluation, metrics)


def test_a_mean_curve_averages_the_evaluations_that_all_have():
    curves = [curve({100: 1, 200: 3, 300: 5}), curve({104: 3, 208: 6})]
    # Steps (100 + 104) / 2 and (200 + 208) / 2; the third point has no partner.
    mean = learning_curves.mean_curve(curves)
    assert mean.to_dict() == {102.0: 2.0, 204.0: 4.5}


def test_evaluations_of_other_steps_are_not_averaged():
    often = curve({50: 1, 101: 2, 152: 3, 203: 4}, period=50)
    rarely = curve({100: 10, 200: 20})
    assert learning_curves.mean_curve([often, rarely]).to_dict() == {100.5: 6, 201.5: 12}


def test_the_evaluation_at_the_end_stands_for_itself():
    # The training ends at 120 and is evaluated there, too; the last one due before was at 100.
    run = scored("dqn", {51: -20, 103: 15, 120: -3}, period=50, total_steps=120)
    own = learning_curves.evaluation_curve(run)
    assert own["score"].to_dict() == {50: -20, 100: 15, 120: -3}
    other = scored("dqn", {50: 0, 101: 5, 124: 9}, period=50, total_steps=120)
    mean = learning_curves.mean_curve([own, learning_curves.evaluation_curve(other)])
    assert mean.to_dict() == {50.5: -10, 102: 10, 122: 3}


def test_the_end_of_a_training_that_was_extended_displaces_nothing():
    extended = scored("dqn", {50: 1, 100: 2, 120: 99, 150: 3}, period=50, total_steps=150)
    own = learning_curves.evaluation_curve(extended)
    assert own["score"].tolist() == [1, 2, 99, 3]
    other = scored("dqn", {50: 1, 100: 4, 150: 5}, period=50, total_steps=150)
    mean = learning_curves.mean_curve([own, learning_curves.evaluation_curve(other)])
    assert mean.to_dict() == {50: 1, 100: 3, 150: 4}


def test_seeds_without_a_common_evaluation_have_no_mean_curve():
    seldom, often = {200: 1, 400: 2}, {100: 3}
    assert learning_curves.mean_curve([curve(seldom, 200), curve(often)]).empty
    runs = [scored("dqn", seldom, period=200), scored("dqn", often, seed=1)]
    (axes,) = learning_curves.learning_curves(runs, "pong").axes
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[200, 400], [100], []]
    assert "no evaluation that all have" in learning_curves.in_words(runs, "pong", "agent_steps")


def test_the_mean_of_one_curve_is_the_curve():
    assert learning_curves.mean_curve([curve({100: 1, 200: 3})]).to_dict() == {100: 1, 200: 3}


def test_a_runs_curve_has_the_rows_with_an_evaluation():
    run = scored("dqn", {100: None, 200: -21.0, 300: None, 400: -19.5})
    assert learning_curves.evaluation_curve(run).to_dict() == {
        "place": {200: 200, 400: 400},
        "score": {200: -21.0, 400: -19.5},
    }
    assert learning_curves.evaluation_curve(scored("random")).empty
    assert learning_curves.evaluation_curve(scored("dqn", {100: None})).empty


@pytest.fixture
def lines():
    """The lines of a figure with two seeds of one agent, one of another, and a Random agent."""
    runs = [
        scored("dqn", {100: 1, 200: 3, 300: 5}),
        scored("dqn", {104: 3, 208: 6}, seed=1),
        scored("dqn", {100: 70}, game="breakout"),
        scored("sequence", {100: 2, 200: 4}),
        scored("random", mean=-20.0),
        scored("random", mean=-21.0, seed=1),
    ]
    figure = learning_curves.learning_curves(runs, "pong")
    (axes,) = figure.axes
    return axes, axes.get_lines()


def test_each_seed_has_a_thin_line_and_their_mean_a_thick_one(lines):
    drawn = [dict(zip(*map(list, line.get_data()), strict=True)) for line in lines[1]]
    assert drawn[:5] == [
        {100: 1, 200: 3, 300: 5},
        {104: 3, 208: 6},
        {102: 2, 204: 4.5},
        {100: 2, 200: 4},
        {100: 2, 200: 4},
    ]
    widths = [line.get_linewidth() for line in lines[1]]
    assert max(widths[0], widths[1], widths[3]) < min(widths[2], widths[4])


def test_an_agent_that_does_not_learn_is_a_level_line_at_its_mean(lines):
    *_, random = lines[1]
    assert set(random.get_ydata()) == {-20.5} and random.get_linestyle() == "-"
    assert len(lines[1]) == 6


def test_agents_have_a_colour_and_a_name_each(lines):
    axes, drawn = lines
    colours = [to_hex(line.get_color()) for line in drawn]
    assert colours[0] == colours[1] == colours[2]
    assert colours[3] == colours[4]
    assert len(set(colours)) == 3
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["dqn (2 seeds)", "sequence (1 seed)", "random"]


def test_the_axes_say_what_they_show(lines):
    axes, _ = lines
    assert axes.get_title() == "pong"
    assert axes.get_xlabel() == "agent steps"
    # The thick line of the one agent that has several seeds.
    assert axes.get_ylabel() == "mean raw score of whole games\n(mean over seeds)"


def test_drawing_leaves_no_figure_behind(lines):
    # pyplot would keep every figure of a long session, and choose a backend for a screen.
    assert matplotlib.pyplot.get_fignums() == []


def test_curves_are_drawn_over_hours_where_these_are_known():
    runs = [scored("dqn", {100: 1, 200: 3}, hours=[0.5, 1.0]), scored("sequence", {100: 2})]
    (axes,) = learning_curves.learning_curves(runs, "pong", "hours").axes
    drawn = [dict(zip(*map(list, line.get_data()), strict=True)) for line in axes.get_lines()]
    # An agent that learns, but with unknown hours, is no level line.
    assert drawn == 2 * [{0.5: 1, 1.0: 3}]
    assert axes.get_xlabel() == "hours"
    assert learning_curves.can_be_drawn(runs, "pong", "hours")
    assert not learning_curves.can_be_drawn(runs, "pong", "episodes")
    assert not learning_curves.can_be_drawn(runs, "breakout", "agent_steps")


def test_five_seeds_have_a_band_about_their_interquartile_mean():
    runs = [scored("dqn", {100: level, 200: 2 * level}, seed=level) for level in (1, 2, 3, 4, 100)]
    (axes,) = learning_curves.learning_curves(runs, "pong").axes
    (line,) = axes.get_lines()
    # The lowest and the highest are left out.
    assert dict(zip(*map(list, line.get_data()), strict=True)) == {100: 3, 200: 6}
    (band,) = axes.collections
    ends = band.get_paths()[0].vertices
    # Of seeds drawn with replacement the highest is sometimes among the middle three.
    at_200 = ends[ends[:, 0] == 200, 1]
    assert 2 <= at_200.min() < 6 and 200 / 3 < at_200.max() <= 200
    assert axes.get_legend().get_texts()[0].get_text() == "dqn (5 seeds)"
    assert axes.get_ylabel().endswith("\n(interquartile mean over seeds)")


def test_words_and_drawing_have_the_same_middle():
    # Of five seeds the lowest and the highest are left out: 2, where the mean is 21.2.
    runs = [scored("dqn", {100: level}, seed=level) for level in (0, 1, 2, 3, 100)]
    runs += [scored("sequence", {100: level}, seed=level) for level in (4, 8)]
    (axes,) = learning_curves.learning_curves(runs, "pong").axes
    thick = [line.get_ydata()[0] for line in axes.get_lines() if line.get_linewidth() == 2]
    assert thick == [2, 6]
    assert axes.get_ylabel().endswith("\n(interquartile mean or mean over seeds)")
    assert learning_curves.in_words(runs, "pong", "agent_steps") == (
        "Mean raw score on pong over agent steps. dqn, 5 seeds, interquartile mean: from 2.0 at 100"
        " to 2.0 at 100; sequence, 2 seeds, mean: from 6.0 at 100 to 6.0 at 100."
    )


def test_an_interval_of_seeds_that_agree_is_narrow():
    curves = [curve({100: 5, 200: 7}) for _ in range(4)]
    middle, low, high = learning_curves.interval_curve(curves)
    assert middle.to_dict() == {100: 5, 200: 7}
    assert low.tolist() == high.tolist() == [5, 7]


def test_curves_in_words():
    runs = [scored("dqn", {1000: 1, 2000: 3}), scored("random", mean=-20)]
    assert learning_curves.in_words(runs, "pong", "agent_steps") == (
        "Mean raw score on pong over agent steps. dqn, 1 seed: from 1.0 at 1,000 to 3.0 at 2,000."
    )


def test_sample_efficiency_is_when_a_share_is_first_reached():
    # On Pong a quarter of the way from -20.7 to 14.6 is -11.875, a half -3.05, three 5.775.
    runs = [
        scored("dqn", {100: -20, 200: -3, 300: -10, 400: 6}, hours=[1, 2, 3, 4]),
        scored("dqn", {100: -5, 200: -4, 300: -3, 400: 0}, hours=[2, 4, 6, 8], seed=1),
        scored("random", mean=-20.0),
    ]
    table = learning_curves.sample_efficiency(runs, "pong")
    assert table["raw score"].tolist() == pytest.approx([-11.875, -3.05, 5.775, 14.6])
    assert table["agent steps"][:3].tolist() == [150, 250, 400]
    assert table["hours"][:3].tolist() == [2, 4, 4]
    assert table[["agent steps", "hours"]].iloc[3].isna().all()
    assert table["reached"].tolist() == [2, 2, 1, 0] and set(table["seeds"]) == {2}
    shown = learning_curves.presented_efficiency(table)
    assert shown.iloc[0].tolist() == ["dqn", "25%", "-11.88", "150", "2.00", "2 of 2"]
    assert shown.iloc[3].tolist() == ["dqn", "100%", "14.60", "", "", "0 of 2"]


def test_unknown_hours_leave_the_steps_known():
    table = learning_curves.sample_efficiency([scored("dqn", {100: 20})], "pong")
    assert set(table["agent steps"]) == {100} and table["hours"].isna().all()


def test_without_curves_there_is_no_efficiency():
    assert learning_curves.sample_efficiency([scored("random")], "pong").empty
