"""Figures of the two checks."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from tfselfsup.attribution import sanity


def randomised_layers(table: pd.DataFrame) -> Figure:
    """Draws how the map changes while the network's weights are randomised.

    Args:
        table: As `sanity.randomised_layers` returns.
    """
    figure = Figure(figsize=(max(5, 0.3 * len(table)), 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(len(table)), table["correlation"], marker="o")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set_xticks(range(len(table)), table["layer"], rotation=90)
    axes.set(
        xlabel="randomised from the output down to",
        ylabel="rank correlation with the map",
        ylim=(-0.4, 1.05),
    )
    return figure


def deletion_and_insertion(curves: pd.DataFrame, score: str) -> Figure:
    """Draws the score over the share of pixels deleted, and over that of pixels inserted.

    Args:
        curves: As `sanity.deletion_and_insertion` returns.
        score: What the score is called.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    areas = sanity.areas(curves).set_index("curve")
    for axes, (curve, rows) in zip(
        figure.subplots(1, 2, sharey=True), curves.groupby("curve"), strict=True
    ):
        for (order, its_rows), style in zip(rows.groupby("order"), ("-", "--"), strict=True):
            label = f"{order} order, area {areas.loc[curve, order]:.3f}"
            axes.plot(its_rows["fraction"], its_rows["score"], style, label=label)
        axes.set(xlabel="share of the pixels", ylabel=score, title=curve)
        axes.legend()
    return figure
