from pathlib import Path

import pandas as pd
import pytest

from tfselfsup.report import over_seeds
from tfselfsup.report.classifiers import ClassifierRun


def scored(value, seed=0, **others) -> ClassifierRun:
    ends = {"auc_low": 0.25, "auc_high": 0.75}
    return ClassifierRun(Path("run"), {"auc": value, "seed": seed} | ends | others)


def figures(row) -> list:
    return [row["it" + ending] for ending in over_seeds.ENDINGS]


def test_one_seed_keeps_the_interval_of_its_bootstrap():
    row = over_seeds.figure("it", [scored(0.5)], "auc", unit=100)
    assert figures(row) == [50.0, 25.0, 75.0, "95% bootstrap", 1]


def test_several_seeds_have_mean_lowest_and_highest():
    row = over_seeds.figure("it", [scored(0.5), scored(0.125, 1), scored(0.875, 2)], "auc")
    assert figures(row) == [0.5, 0.125, 0.875, "range over seeds", 3]


@pytest.mark.parametrize("runs", [[], [scored(None)], [scored(0.5, auc_low=None)]])
def test_without_a_score_or_its_interval_there_is_no_figure(runs):
    assert figures(over_seeds.figure("it", runs, "auc")) == 5 * [None]


def test_scores_of_videos_stand_apart():
    videos = {"auc": 1.0, "auc_low": 0.5, "auc_high": 1.0}
    row = over_seeds.figure("it", [scored(0.5, videos=videos)], "auc", of=over_seeds.per_video)
    assert figures(row) == [1.0, 0.5, 1.0, "95% bootstrap", 1]
    row = over_seeds.figure("it", [scored(0.5)], "auc", of=over_seeds.per_video)
    assert figures(row) == 5 * [None]


def test_a_difference_does_not_depend_on_the_order_of_the_runs():
    one, other = [scored(0.5), scored(1.0, 1)], [scored(0.25), scored(0.5, 1)]
    expected = [0.375, 0.25, 0.5, "range over seeds", 2]
    for others in (other, other[::-1]):
        assert figures(over_seeds.paired_difference("it", one, others, "auc")) == expected


def test_figures_have_types_also_where_they_are_empty():
    columns = ["model", *over_seeds.columns("it")]
    table = over_seeds.typed(pd.DataFrame([{"model": "mobilenet"}], columns=columns), ["model"])
    assert [str(kind) for kind in table.dtypes] == [
        *("object", "float64", "float64", "float64", "object", "Int64")
    ]
