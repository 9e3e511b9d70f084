import struct
import xml.etree.ElementTree
from pathlib import Path

import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tfselfsup.config import AgentExperiment
from tfselfsup.report import figures
from tfselfsup.report.aggregate import AgentRun


def curve(points: dict) -> pd.Series:
    return pd.Series(list(points.values()), index=list(points), dtype=float)


def scored(agent, points=None, *, mean=0.0, game="pong", seed=0) -> AgentRun:
    """A run with a short evaluation at some of its rows; None stands for a row without."""
    metrics = pd.DataFrame()
    if points is not None:
        metrics = pd.DataFrame(
            {"agent_steps": list(points), "evaluation_score": list(points.values())}
        ).astype({"evaluation_score": float})
    evaluation = {"agent": agent, "game": game, "mean": mean, "seed": seed}
    return AgentRun(Path("run"), AgentExperiment(), evaluation, metrics)


def test_a_mean_curve_averages_the_kth_points():
    curves = [curve({100: 1, 200: 3, 300: 5}), curve({104: 3, 208: 6})]
    # Steps (100 + 104) / 2 and (200 + 208) / 2; the third point has no partner.
    mean = figures.mean_curve(curves)
    assert mean.to_dict() == {102.0: 2.0, 204.0: 4.5}


def test_the_mean_of_one_curve_is_the_curve():
    assert figures.mean_curve([curve({100: 1, 200: 3})]).to_dict() == {100: 1, 200: 3}


def test_a_runs_curve_has_the_rows_with_an_evaluation():
    run = scored("dqn", {100: None, 200: -21.0, 300: None, 400: -19.5})
    assert figures.evaluation_curve(run).to_dict() == {200: -21.0, 400: -19.5}
    assert figures.evaluation_curve(scored("random")).empty
    assert figures.evaluation_curve(scored("dqn", {100: None})).empty


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
    figure = figures.learning_curves(runs, "pong")
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
    assert axes.get_ylabel() == "mean raw score of whole games"


def test_drawing_leaves_no_figure_behind(lines):
    # pyplot would keep every figure of a long session, and choose a backend for a screen.
    assert matplotlib.pyplot.get_fignums() == []


def test_a_figure_is_written_as_png_and_svg(tmp_path):
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([0, 1], [1, 0], gid="the_line")
    written = figures.save(figure, tmp_path / "pong_curves")
    assert written == [tmp_path / "pong_curves.png", tmp_path / "pong_curves.svg"]
    assert sorted(tmp_path.iterdir()) == written  # and nothing half-written
    png = written[0].read_bytes()
    # Signature, the header chunk's length and name, and then width and height: 4 x 3 inches of
    # 150 dots.
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR"
    assert struct.unpack(">II", png[16:24]) == (600, 450)
    pixels = matplotlib.pyplot.imread(written[0])
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 2
    svg = xml.etree.ElementTree.parse(written[1]).getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.find(".//*[@id='the_line']") is not None
