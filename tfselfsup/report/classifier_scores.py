"""More scores of classifiers: on the hard split, and on data that they did not learn from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import pandas as pd

from tfselfsup.report import classifier_rows, over_seeds, published
from tfselfsup.report.classifier_rows import NAMING, Row
from tfselfsup.report.classifier_tables import of_data_set, of_split
from tfselfsup.report.classifiers import ClassifierRun, group_splits_and_seeds

# The unit in which each score is given.
HARD_SCORES = {
    "accuracy": 100,
    "auc": 1,
    "eer": 1,
    "average_precision": 1,
    "log_loss": 1,
    "calibration_error": 1,
}
CALIBRATED = ("log_loss", "calibration_error")


def on_hard(runs: Sequence[ClassifierRun], data_set: str) -> pd.DataFrame:
    """Makes the table of all scores on the hard split of one data set.

    Args:
        runs: Scored classifiers; those of other data sets and splits are passed over.
        data_set: Name of the data set that they were trained and scored on.

    Returns:
        A row for every classifier, per image, and another per video where videos have several
        images. The columns: model; task; weights; stand_in; settings in which the classifiers of
        the data set differ, as in the first table; per,
        `image` or `video`; the `HARD_SCORES` with their intervals (see `over_seeds.figure`),
        accuracy in per cent; log_loss_uncalibrated and calibration_error_uncalibrated, the means
        over seeds before calibration, which are known per image only; note. No rows if there is no
        such classifier of two classes.
    """
    runs = of_data_set(runs, data_set)
    of_two_classes = [run for run in runs if not run.evaluation.get("classes")]
    rows = []
    for group in group_splits_and_seeds(of_split(of_two_classes, "hard")):
        row = classifier_rows.of_run(group[0], runs)
        row["mode"] = classifier_rows.mode(group[0], published.FACES)
        rows.append(row | {"per": "image"} | _scores(group, over_seeds.per_image))
        if any(_has_videos(run) for run in group):
            rows.append(row | {"per": "video"} | _scores(group, over_seeds.per_video))
    named = (*NAMING, "per")
    columns = [*named, *over_seeds.columns(*HARD_SCORES)]
    columns += [*(f"{score}_uncalibrated" for score in CALIBRATED), "note"]
    table = pd.DataFrame(classifier_rows.together(rows, published.FACES), columns=columns)
    return over_seeds.typed(table, but=(*named, "note"))


def _has_videos(run: ClassifierRun) -> bool:
    videos = over_seeds.per_video(run)
    return "examples" in videos and videos["examples"] != run.evaluation.get("examples")


def _scores(group: Sequence[ClassifierRun], of: over_seeds.Chosen) -> Row:
    figures: Row = {}
    for score, unit in HARD_SCORES.items():
        figures |= over_seeds.figure(score, group, score, unit, of)
    for score in (f"{score}_uncalibrated" for score in CALIBRATED):
        found = [value for run in group if (value := of(run).get(score)) is not None]
        figures[score] = fmean(found) if found else None
    return figures


def scored_elsewhere(runs: Sequence[ClassifierRun]) -> list[ClassifierRun]:
    """Returns the scores, on their own test part too, of what was scored on other data sets."""
    elsewhere = {_network(run) for run in runs if run.is_on_other_data}
    return [
        run
        for run in runs
        if _network(run) in elsewhere and run.evaluation["part"] in ("test", "all")
    ]


def on_other_data(runs: Sequence[ClassifierRun]) -> pd.DataFrame:
    """Compares what classifiers do on the data set they learnt from and on others.

    Args:
        runs: What `scored_elsewhere` returned.

    Returns:
        A row for every classifier, split and data set it was scored on, its own test part first.
        The columns: model; task; weights; stand_in; settings in which they differ; trained_on;
        split, of the data set it was trained on; tested_on; part, `test` of its own data set and
        `all` of another; accuracy, in per cent, and auc, in [0, 1], each with its interval (see
        `over_seeds.figure`); note.
    """
    classifiers: dict[tuple[str, str], list[ClassifierRun]] = defaultdict(list)
    for run in runs:
        classifiers[run.classifier(), run.evaluation["split"]].append(run)
    rows = []
    for of_one in classifiers.values():
        for group in sorted(group_splits_and_seeds(of_one), key=lambda it: it[0].is_on_other_data):
            row = classifier_rows.of_run(group[0], runs, passed_over=["part"])
            row |= {"trained_on": group[0].trained_on}
            row |= {name: group[0].evaluation[name] for name in ("split", "part")}
            row["tested_on"] = group[0].evaluation["data_set"]
            row |= over_seeds.figure("accuracy", group, "accuracy", unit=100)
            rows.append(row | over_seeds.figure("auc", group, "auc"))
    named = (*NAMING, "trained_on", "split", "tested_on", "part")
    columns = [*named, *over_seeds.columns("accuracy", "auc"), "note"]
    return over_seeds.typed(pd.DataFrame(rows, columns=columns), but=(*named, "note"))


def _network(run: ClassifierRun) -> tuple[str, str, int]:
    """Names what came of one training."""
    return run.classifier(), run.evaluation["split"], run.evaluation["seed"]
