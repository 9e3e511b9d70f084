"""Learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from tfselfsup.report.aggregate import AgentRun, group_seeds
from tfselfsup.runs import written_aside

LINE_STYLES = ("-", "--", ":", "-.")


def learning_curves(runs: Sequence[AgentRun], game: str) -> Figure:
    """Draws the mean raw score of the short evaluations over agent steps; the study's figure 6.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of the game.

    Returns:
        The figure: for each agent a thin line for each seed and a thick one for their mean at the
        steps that all have reached, and a level line for each agent that does not learn.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for index, (agent, its_runs) in enumerate(group_seeds(runs, game).items()):
        colour = matplotlib.colormaps["tab10"](index % 10)
        curves = [curve for run in its_runs if not (curve := evaluation_curve(run)).empty]
        if not curves:
            mean = sum(run.evaluation["mean"] for run in its_runs) / len(its_runs)
            axes.axhline(mean, color=colour, linewidth=1, label=agent)
            continue
        for curve in curves:
            axes.plot(curve.index, curve, color=colour, linewidth=0.8, alpha=0.4)
        mean = mean_curve(curves)
        seeds = f"{len(curves)} seed" + "s" * (len(curves) > 1)
        axes.plot(
            mean.index,
            mean,
            color=colour,
            linewidth=2,
            # Told apart also where curves lie on one another.
            linestyle=LINE_STYLES[index % len(LINE_STYLES)],
            label=f"{agent} ({seeds})",
        )
    axes.set(xlabel="agent steps", ylabel="mean raw score of whole games", title=game)
    axes.legend()
    return figure


def evaluation_curve(run: AgentRun) -> pd.Series:
    """Returns the mean score of each short evaluation, by agent steps; empty if there was none."""
    if "evaluation_score" not in run.metrics:
        return pd.Series(dtype=float)
    return run.metrics.set_index("agent_steps")["evaluation_score"].dropna()


def mean_curve(curves: Sequence[pd.Series]) -> pd.Series:
    """Averages curves over seeds.

    Args:
        curves: Scores by agent steps. Seeds are evaluated at slightly different steps, as games
            end at different times, so that the k-th points belong together.

    Returns:
        The mean of the k-th points, up to the shortest curve's last, by their mean step.
    """
    length = min(map(len, curves))
    steps = sum(curve.index[:length].to_numpy() for curve in curves) / len(curves)
    scores = sum(curve.to_numpy()[:length] for curve in curves) / len(curves)
    return pd.Series(scores, index=steps)


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes a figure as PNG and SVG.

    Args:
        figure: What was drawn.
        path: The file without its ending.

    Returns:
        Both files.
    """
    written = [path.with_suffix(suffix) for suffix in (".png", ".svg")]
    for file in written:
        with written_aside(file) as aside:
            figure.savefig(aside, format=file.suffix[1:], dpi=150)
    return written
