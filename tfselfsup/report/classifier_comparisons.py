"""Asks of every data set and split whether a task, or pre-trained weights, help a classifier."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tfselfsup.report import evidence, paired_bootstrap
from tfselfsup.report.classifier_tables import of_data_set
from tfselfsup.report.classifiers import (
    ClassifierRun,
    common,
    described,
    group_splits_and_seeds,
)
from tfselfsup.report.comparisons import CLASSIFIER, Comparison
from tfselfsup.report.document import listed
from tfselfsup.report.evidence import Difference, Hypothesis
from tfselfsup.report.paired_bootstrap import Interval

# What a score is multiplied by and called, and with how many decimals it is written.
SCORES = {"accuracy": (100, "accuracy", " points", 1), "auc": (1, "AUC", "", 3)}

# Splits whose test part is the same whatever the seed.
FIXED_TEST_PART = ("official",)
SAME_IMAGES = (
    "All seeds are scored on the same images, and seeds do not show the chance in these:"
    " predictions.csv of both sides is needed; score the runs again."
)

# Said of a pre-training that may have seen images of the test part.
_ELSEWHERE = " (on other data, split or seed)"

Group = list[ClassifierRun]
Pairs = Sequence[tuple[ClassifierRun, ClassifierRun]]


@dataclass(frozen=True)
class Contrast:
    """In what two classifiers differ, and how that is called.

    Attributes:
        is_treated: Tells the side that has it.
        is_control: Tells the side that has not.
        name: Of the field of the evaluation in which they differ.
        settings: How the names of settings begin that go with it.
        treatment: Calls it, and tells whether that is a plural.
    """

    is_treated: Callable[[ClassifierRun], bool]
    is_control: Callable[[ClassifierRun], bool]
    name: str
    settings: str
    treatment: Callable[[ClassifierRun], tuple[str, bool]]

    def own_settings(self, run: ClassifierRun) -> dict[str, Any]:
        """Returns the settings that go with what differs."""
        return {
            name: value for name, value in run.settings().items() if name.startswith(self.settings)
        }

    def rest(self, run: ClassifierRun) -> str:
        """Names all in which both sides must agree."""
        names = ("model", "task", "weights", "stand_in", "data_set", "part", "split")
        fields = {name: run.evaluation.get(name) for name in names if name != self.name}
        own = self.own_settings(run)
        settings = {name: value for name, value in run.settings().items() if name not in own}
        # Of weights it is what differs: random ones have seen nothing.
        has_seen_others = self.name != "weights" and run.is_pretrained
        return json.dumps([fields, settings, has_seen_others], sort_keys=True)


def _weights(run: ClassifierRun) -> tuple[str, bool]:
    name = run.evaluation["weights"]
    if "pretraining_epochs" in run.settings():
        return f"pre-training by {name}{_ELSEWHERE * run.is_pretrained}", False
    return ("ImageNet weights" if name == "imagenet" else f"the weights {name}"), True


CONTRASTS = (
    Contrast(
        is_treated=lambda run: run.evaluation.get("task") is not None,
        is_control=lambda run: run.evaluation.get("task") is None,
        name="task",
        settings="training.tasks",
        treatment=lambda run: (f"{run.evaluation['task']} beside the classes", False),
    ),
    # A pre-trained trunk always stands beside a randomly initialised one.
    Contrast(
        is_treated=lambda run: run.evaluation["weights"] != "random",
        is_control=lambda run: run.evaluation["weights"] == "random",
        name="weights",
        settings="pretrain",
        treatment=_weights,
    ),
)


def comparisons(runs: Sequence[ClassifierRun]) -> dict[str, list[Comparison]]:
    """Compares classifiers that differ in the task or in the initial weights alone.

    Args:
        runs: Scored classifiers; only scores on the test part of their own data set are compared.

    Returns:
        For each data set, the comparisons of accuracy and, where there are two classes, of AUC.
    """
    found = {}
    for data_set in dict.fromkeys(run.evaluation["data_set"] for run in runs):
        tested = [run for run in of_data_set(runs, data_set) if run.evaluation["part"] == "test"]
        if tested:
            found[data_set] = _of_data_set(_by_split(tested))
    return found


def _by_split(runs: Sequence[ClassifierRun]) -> list[Group]:
    """Puts runs together that differ in the seed alone."""
    groups = []
    for group in group_splits_and_seeds(runs):
        for split in dict.fromkeys(run.evaluation["split"] for run in group):
            groups.append([run for run in group if run.evaluation["split"] == split])
    return groups


def _of_data_set(groups: Sequence[Group]) -> list[Comparison]:
    found = []
    for contrast in CONTRASTS:
        controls = {contrast.rest(one[0]): one for one in groups if contrast.is_control(one[0])}
        for group in groups:
            control = controls.get(contrast.rest(group[0]))
            if contrast.is_treated(group[0]) and control is not None:
                hypothesis = _hypothesis(contrast, group[0], control[0], groups)
                found += _compared(hypothesis, group, control)
    return found


def _hypothesis(
    contrast: Contrast, treated: ClassifierRun, control: ClassifierRun, groups: Sequence[Group]
) -> Hypothesis:
    """Says what is asked of a run beside its control, one of a seed of each."""
    rest = contrast.rest(treated)
    alike = [
        one[0] for one in groups if contrast.is_treated(one[0]) and contrast.rest(one[0]) == rest
    ]
    treatment, is_plural = _treatment(contrast, treated, alike)
    place = f"on the {treated.evaluation['split']} split of {treated.evaluation['data_set']}"
    return Hypothesis(treatment, _subject(contrast, control, groups), place, is_plural)


def _treatment(
    contrast: Contrast, treated: ClassifierRun, alike: Sequence[ClassifierRun]
) -> tuple[str, bool]:
    """Calls a treatment, with its settings where others of the same name differ in them."""
    name, is_plural = contrast.treatment(treated)
    of_name = [run for run in alike if contrast.treatment(run)[0] == name]
    shared = common(map(contrast.own_settings, of_name))
    own = contrast.own_settings(treated)
    differing = {key: value for key, value in own.items() if key not in shared}
    return (f"{name} ({described(differing)})" if differing else name), is_plural


def _compared(hypothesis: Hypothesis, group: Group, control: Group) -> list[Comparison]:
    """Compares two groups on the seeds that both have; nothing if they share none."""
    others = {run.evaluation["seed"]: run for run in control}
    pairs = [
        (run, others[run.evaluation["seed"]]) for run in group if run.evaluation["seed"] in others
    ]
    if not pairs:
        return []
    measured, doubts = _differences(pairs)
    figures = "; ".join(_in_words(score, one) for score, one in measured.items())
    figures += f"; {evidence.counted(len(pairs))}{doubts}{_other_verdicts(measured)}"
    return [
        Comparison.of_difference(hypothesis, difference, CLASSIFIER, SCORES[score][1], figures)
        for score, difference in measured.items()
    ]


def _other_verdicts(measured: dict[str, Difference]) -> str:
    """Names the verdicts of scores that do not say what the first one does."""
    first, *rest = measured
    return "".join(
        f"; judged by {SCORES[score][1]}: {measured[score].verdict}"
        for score in rest
        if measured[score].verdict != measured[first].verdict
    )


def _in_words(score: str, difference: Difference) -> str:
    unit, name, ending, decimals = SCORES[score]
    ends = [None if end is None else unit * end for end in (difference.low, difference.high)]
    scaled = Difference(unit * difference.mean, *ends, difference.seeds, None)
    return f"{name} {evidence.interval_in_words(scaled, decimals, ending)}"


def _differences(pairs: Pairs) -> tuple[dict[str, Difference], str]:
    """Compares the scores of pairs of runs of one seed each.

    Returns:
        The difference of each score. Its interval holds both that of Student over seeds and that
        of the bootstrap over sources and seeds: one knows of chance in the images, too, and the
        other one of how little a few seeds say of chance in the training. And a remark on what
        could not be taken into account.
    """
    overlap = _overlap(pairs[0][0])
    measured = {
        score: evidence.paired(
            [one.evaluation[score] - other.evaluation[score] for one, other in pairs], overlap
        )
        for score in SCORES
        if all(score in run.evaluation for pair in pairs for run in pair)
    }
    intervals, reason = _over_sources(pairs)
    same_images = pairs[0][0].evaluation["split"] in FIXED_TEST_PART
    missing = [score for score in measured if score not in intervals]
    for score, difference in measured.items():
        if score in intervals:
            one = intervals[score]
            measured[score] = evidence.widened(
                difference, one.low, one.high, one.over_sources, same_images=same_images
            )
        elif same_images:
            measured[score] = dataclasses.replace(difference, unsettled=SAME_IMAGES)
    return measured, _remark(missing, len(measured), len(pairs), reason) if missing else ""


def _overlap(run: ClassifierRun) -> float:
    """Returns the test images for each training image where the seed draws both; else 0."""
    if run.experiment is None or run.evaluation["split"] in FIXED_TEST_PART:
        return 0.0
    train, _, test = run.experiment.data.fractions
    return test / train


def _over_sources(pairs: Pairs) -> tuple[dict[str, Interval], str]:
    """Compares answers to images; the interval of each score, and why others have none."""
    answers = [(one.predictions, other.predictions) for one, other in pairs]
    if any(side is None for pair in answers for side in pair):
        return {}, "no predictions.csv of both"
    try:
        return paired_bootstrap.differences(answers), "no probabilities in predictions.csv of both"
    except ValueError as error:
        return {}, str(error)


def _remark(missing: Sequence[str], scores: int, seeds: int, reason: str) -> str:
    """Says which scores have no interval over images."""
    names = "" if len(missing) == scores else f"{listed([SCORES[one][1] for one in missing])} "
    if seeds == 1:
        return f", {names}without an interval over images: {reason}"
    return f", {names}over seeds only, not over images: {reason}"


def _subject(contrast: Contrast, control: ClassifierRun, groups: Sequence[Group]) -> str:
    """Names a classifier, with the settings in which others of its trunk and mode differ."""
    mode = control.settings().get("mode")
    ways = {"probe": " under a probe", "fine_tune": ", fine-tuned,"}
    shown = {}
    if contrast.name != "weights" and control.evaluation["weights"] != "random":
        shown["weights"] = control.evaluation["weights"] + _ELSEWHERE * control.is_pretrained
    alike = [
        group[0].settings()
        for group in groups
        if contrast.is_control(group[0])
        and group[0].evaluation["model"] == control.evaluation["model"]
        and group[0].settings().get("mode") == mode
    ]
    shared = common(alike)
    shown |= {name: value for name, value in control.settings().items() if name not in shared}
    details = f" ({described(shown)})" if shown else ""
    return f"{control.evaluation['model']}{details}{ways.get(mode, '')}"
