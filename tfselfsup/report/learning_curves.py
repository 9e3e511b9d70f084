"""How fast agents learn: the scores of the short evaluations on the way."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from tfselfsup.report import reference_scores, stratified_bootstrap
from tfselfsup.report.agents import AgentRun, group_seeds
from tfselfsup.report.evidence import counted
from tfselfsup.report.figures import LINE_STYLES
from tfselfsup.report.stratified_bootstrap import ENOUGH_RUNS

# What the scores are drawn over, and what it is called.
AXES = {"agent_steps": "agent steps", "episodes": "episodes of training", "hours": "hours"}
# Of the human-normalised score.
SHARES = (0.25, 0.5, 0.75, 1.0)
MEAN, INTERQUARTILE_MEAN = "mean", "interquartile mean"
_RESAMPLES = 500


def learning_curves(runs: Sequence[AgentRun], game: str, over: str = "agent_steps") -> Figure:
    """Draws the mean raw score of the short evaluations; the study's figure 6.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of the game.
        over: One of `AXES`.

    Returns:
        The figure: for each agent a thin line for each seed and a thick one for their mean at the
        evaluations that all have reached. From `ENOUGH_RUNS` seeds on, the thick line is the
        interquartile mean and lies in its 95% interval, a band, in place of the thin lines; the
        vertical axis names what is drawn. A level line stands for each agent that does not learn.
    """
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    middles = []
    for index, (agent, its_runs) in enumerate(group_seeds(runs, game).items()):
        colour = matplotlib.colormaps["tab10"](index % 10)
        curves = [curve for run in its_runs if not (curve := evaluation_curve(run, over)).empty]
        if curves:
            # Told apart also where curves lie on one another.
            style = LINE_STYLES[index % len(LINE_STYLES)]
            _draw(axes, curves, f"{agent} ({counted(len(curves))})", colour, style)
            middles += [middle_name(curves)] if len(curves) > 1 else []
        elif its_runs[0].metrics.empty:
            mean = sum(run.evaluation["mean"] for run in its_runs) / len(its_runs)
            axes.axhline(mean, color=colour, linewidth=1, label=agent)
    over_seeds = f"\n({' or '.join(dict.fromkeys(middles))} over seeds)" if middles else ""
    score = f"mean raw score of whole games{over_seeds}"
    axes.set(xlabel=AXES[over], ylabel=score, title=game)
    axes.legend()
    return figure


def _draw(axes, curves: Sequence[pd.DataFrame], label: str, colour, style: str) -> None:
    middle = middle_curve(curves)
    if middle_name(curves) == MEAN or middle.empty:
        for curve in curves:
            axes.plot(curve["place"], curve["score"], color=colour, linewidth=0.8, alpha=0.4)
    else:
        middle, low, high = interval_curve(curves)
        axes.fill_between(middle.index, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(middle.index, middle, color=colour, linewidth=2, linestyle=style, label=label)


def can_be_drawn(runs: Sequence[AgentRun], game: str, over: str) -> bool:
    """Tells whether any agent of a game has a curve over one of `AXES`."""
    return any(
        not evaluation_curve(run, over).empty for run in runs if run.evaluation["game"] == game
    )


def in_words(runs: Sequence[AgentRun], game: str, over: str) -> str:
    """Says what `learning_curves` shows: where each agent begins and where it ends.

    Args:
        runs: As for `learning_curves`, and so are the others.
        game: Name of the game.
        over: One of `AXES`.
    """
    said = []
    for agent, its_runs in group_seeds(runs, game).items():
        curves = [curve for run in its_runs if not (curve := evaluation_curve(run, over)).empty]
        if curves:
            name = f", {middle_name(curves)}" if len(curves) > 1 else ""
            said.append(f"{agent}, {counted(len(curves))}{name}: {_ends(curves, over)}")
    return f"Mean raw score on {game} over {AXES[over]}. {'; '.join(said)}."


def _ends(curves: Sequence[pd.DataFrame], over: str) -> str:
    middle = middle_curve(curves)
    if middle.empty:
        return "no evaluation that all have"
    decimals = 2 if over == "hours" else 0
    first, last = (
        f"{middle.iloc[place]:.1f} at {middle.index[place]:,.{decimals}f}" for place in (0, -1)
    )
    return f"from {first} to {last}"


def evaluation_curve(run: AgentRun, over: str = "agent_steps") -> pd.DataFrame:
    """Returns the mean score of each short evaluation; empty if there was none.

    Args:
        run: An agent.
        over: What the scores are drawn over, one of `AXES`.

    Returns:
        A row for each, with the columns `place`, on that axis, and `score`, by the agent step at
        which it was due: games end at different times, so that seeds are evaluated a little later.
        Of a training that was extended, two may have been due at the same step.
    """
    if not {"evaluation_score", over} <= set(run.metrics):
        return pd.DataFrame({"place": [], "score": []}, dtype=float)
    rows = run.metrics.dropna(subset="evaluation_score")
    period, end = run.experiment.evaluation.curve_period or 1, run.experiment.total_steps
    # There is one at the end, too, whether or not it is a multiple of the period.
    due = (rows["agent_steps"] // period * period).mask(rows["agent_steps"] >= end, end)
    curve = pd.DataFrame({"place": rows[over], "score": rows["evaluation_score"]})
    return curve.set_index(pd.Index(due, name="due"))


def mean_curve(curves: Sequence[pd.DataFrame]) -> pd.Series:
    """Averages curves over seeds.

    Args:
        curves: What `evaluation_curve` returned, one or more.

    Returns:
        The means of the evaluations that all have, by their mean place.
    """
    places, scores = _aligned(curves)
    return pd.Series(scores.mean(axis=0), index=places)


def middle_name(curves: Sequence[pd.DataFrame]) -> str:
    """Names what `middle_curve` takes of so many seeds."""
    return MEAN if len(curves) < ENOUGH_RUNS else INTERQUARTILE_MEAN


def middle_curve(curves: Sequence[pd.DataFrame]) -> pd.Series:
    """Takes the mean over seeds, or from `ENOUGH_RUNS` on their interquartile mean.

    Args:
        curves: As for `mean_curve`.

    Returns:
        The middle of the evaluations that all have, by their mean place.
    """
    if middle_name(curves) == MEAN:
        return mean_curve(curves)
    places, scores = _aligned(curves)
    return pd.Series(_interquartile_means(scores[:, None]), index=places)


def _interquartile_means(scores: np.ndarray) -> np.ndarray:
    """Aggregates scores [seeds, 1 game, points] at each point."""
    from rliable import metrics

    points = range(scores.shape[-1])
    return np.array([metrics.aggregate_iqm(scores[..., point]) for point in points])


def interval_curve(
    curves: Sequence[pd.DataFrame],
) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """Takes the interquartile mean over seeds at each evaluation, with its 95% interval.

    Args:
        curves: As for `mean_curve`, two or more.

    Returns:
        The interquartile mean by mean place; the interval's lower and upper ends, float [points],
        by a bootstrap over seeds (rliable).
    """
    places, scores = _aligned(curves)
    middle, low, high = stratified_bootstrap.interval(
        scores[:, None], _interquartile_means, _RESAMPLES
    )
    return pd.Series(middle, index=places), low, high


def _aligned(curves: Sequence[pd.DataFrame]) -> tuple[np.ndarray, np.ndarray]:
    """Finds the evaluations that all have; mean places, float [points], scores [seeds, points]."""
    once = [curve[~curve.index.duplicated()] for curve in curves]
    alike = pd.concat(dict(enumerate(once)), axis="columns", join="inner")
    places, scores = (alike.xs(name, axis="columns", level=1) for name in ("place", "score"))
    return places.mean(axis="columns").to_numpy(), scores.to_numpy(float).T


def sample_efficiency(runs: Sequence[AgentRun], game: str) -> pd.DataFrame:
    """Lists after how long agents first reach shares of a person's score.

    Args:
        runs: Scored agents; those of other games are passed over.
        game: Name of a game that a person's score is known of.

    Returns:
        A row for every agent that learns and share, with the columns: agent; share, of the
        human-normalised score; raw score; agent steps and hours until a short evaluation first
        reached it, the means over the seeds that did, NaN if none did; reached, how many seeds did;
        seeds, how many there are.
    """
    rows = []
    for agent, its_runs in group_seeds(runs, game).items():
        learning = [run for run in its_runs if not evaluation_curve(run).empty]
        for share in SHARES if learning else ():
            score = reference_scores.raw(share, game)
            places = [
                [_first(evaluation_curve(run, over), score) for over in ("agent_steps", "hours")]
                for run in learning
            ]
            steps, hours = np.array(places, float).T
            reached = np.isfinite(steps)
            rows.append(
                {
                    "agent": agent,
                    "share": share,
                    "raw score": score,
                    "agent steps": steps[reached].mean() if reached.any() else np.nan,
                    "hours": hours[reached].mean() if reached.any() else np.nan,
                    "reached": int(reached.sum()),
                    "seeds": len(learning),
                }
            )
    return pd.DataFrame(rows)


def _first(curve: pd.DataFrame, score: float) -> float:
    """Returns the first place at which a curve is at a score or above, or NaN."""
    places = curve.loc[curve["score"] >= score, "place"]
    return float(places.iloc[0]) if len(places) else np.nan


def presented_efficiency(table: pd.DataFrame) -> pd.DataFrame:
    """Makes the cells of `sample_efficiency` texts."""
    reached = [
        f"{row['reached']} of {row['seeds']}"
        for row in table[["reached", "seeds"]].to_dict("records")
    ]
    return pd.DataFrame(
        {
            "agent": table["agent"],
            "human-normalised score": table["share"].map("{:.0%}".format),
            "raw score": table["raw score"].map("{:.2f}".format),
            "agent steps": table["agent steps"].map(
                lambda one: "" if pd.isna(one) else f"{one:,.0f}"
            ),
            "hours": table["hours"].map(lambda one: "" if pd.isna(one) else f"{one:.2f}"),
            "seeds that reached it": reached,
        }
    )
