"""Scored classifiers: what a report needs of them, and which are one model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from tfselfsup.config import Experiment
from tfselfsup.report import fields

MODEL = ("model", "task", "weights", "stand_in")
PRETRAINED = "pretrained_on_other_data"
HASH_DIGITS = 8  # of a data set's fingerprint: enough to tell a few of them apart
# The fields of an evaluation that name a data set, each with the field that has its fingerprint.
FINGERPRINT_OF = {"data_set": "data_hash", "trained_on": "trained_on_hash"}


@dataclass(frozen=True)
class ClassifierRun:
    """A classifier that was scored.

    Attributes:
        path: The run directory.
        evaluation: The content of its evaluation.json, or of an evaluation_on_NAME_HASH.json.
        robustness: Its scores on corrupted images of the part that `evaluation` is of, as
            `classifier_files.read_robustness` returns them; None if there are none.
        predictions: Its answers to the images of that part, as `classifier_files.read_predictions`
            returns them; None if there are none.
        experiment: All of its settings; None if they are not known.
    """

    TOLD_APART_BY: ClassVar[str] = "model, split and seed"

    path: Path
    evaluation: dict[str, Any]
    robustness: pd.DataFrame | None = field(default=None, compare=False)
    predictions: pd.DataFrame | None = field(default=None, compare=False)
    experiment: Experiment | None = field(default=None, compare=False)

    @property
    def trained_on(self) -> str:
        """The data set that was learnt from."""
        return self.evaluation.get("trained_on") or self.evaluation["data_set"]

    @property
    def is_on_other_data(self) -> bool:
        """Whether it was scored on all of another data set, rather than on a part of its own."""
        return self.evaluation["part"] == "all"

    @property
    def is_pretrained(self) -> bool:
        """Whether the trunk was pre-trained on images other than this classifier's training part.

        It may then have seen images of the test part, without their labels.
        """
        return bool(self._protocol.get(PRETRAINED))

    @property
    def _protocol(self) -> dict[str, Any]:
        return self.evaluation.get("protocol") or {}

    def settings(self) -> dict[str, Any]:
        """Returns how it was trained and scored, beyond its model, its split and its seed."""
        protocol = {name: value for name, value in self._protocol.items() if name != PRETRAINED}
        return {"part": self.evaluation["part"]} | protocol

    def classifier(self) -> str:
        """Names what was trained, whatever it was scored on: all but the split and the seed."""
        model = [self.evaluation.get(name) for name in MODEL]
        settings = {name: value for name, value in self.settings().items() if name != "part"}
        return json.dumps([model, self.trained_on, self.is_pretrained, settings], sort_keys=True)

    def identity_but_split_and_seed(self) -> str:
        """Names what was trained, and what it was scored on."""
        scored_on = [self.evaluation[name] for name in ("data_set", "part")]
        return json.dumps([self.classifier(), *scored_on])

    def identity(self) -> str:
        """Names all that tells one scored classifier from another."""
        drawn = [self.evaluation[name] for name in ("split", "seed")]
        return json.dumps([self.identity_but_split_and_seed(), *drawn])


def _data_sets(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Lists key, name and fingerprint of data sets with one, which older files do not have."""
    return [
        (key, evaluation[key], evaluation[hash_key])
        for key, hash_key in FINGERPRINT_OF.items()
        if evaluation.get(key) and evaluation.get(hash_key)
    ]


def shared_names(evaluations: Iterable[dict[str, Any]]) -> set[str]:
    """Finds the names that data sets of different content have, such as `dfdc`.

    Args:
        evaluations: The contents of files evaluation.json; those of older versions do not say which
            data set they mean.
    """
    fingerprints: dict[str, set[str]] = defaultdict(set)
    for evaluation in evaluations:
        for _, name, fingerprint in _data_sets(evaluation):
            fingerprints[name].add(fingerprint)
    return {name for name, found in fingerprints.items() if len(found) > 1}


def told_apart(evaluation: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Adds to names that several data sets share the first digits of their fingerprints.

    Args:
        evaluation: The content of evaluation.json.
        names: Such names, see `shared_names`.
    """
    return evaluation | {
        key: f"{name} (fingerprint {fingerprint[:HASH_DIGITS]})"
        for key, name, fingerprint in _data_sets(evaluation)
        if name in names
    }


def group_splits_and_seeds(runs: Iterable[ClassifierRun]) -> list[list[ClassifierRun]]:
    """Puts runs together that differ in nothing but the split and the seed.

    Args:
        runs: Scored classifiers.

    Returns:
        The runs of each model, in the order in which the models come first.
    """
    groups: dict[str, list[ClassifierRun]] = defaultdict(list)
    for run in runs:
        groups[run.identity_but_split_and_seed()].append(run)
    return list(groups.values())


def common(settings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Returns that in which all the settings agree."""
    first, *others = settings
    missing = object()
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name, missing) == value for other in others)
    }


def common_settings(runs: Iterable[ClassifierRun]) -> dict[str, Any]:
    """Returns the settings in which all the runs agree."""
    return common(run.settings() for run in runs)


def described(settings: dict[str, Any]) -> str:
    """Writes settings as text: `solver lbfgs, tasks rotation 0.5 + jigsaw 1`."""
    return ", ".join(f"{name} {_text(value)}" for name, value in settings.items())


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        separator = " + " if any(isinstance(one, dict) for one in value) else ", "
        return separator.join(map(_text, value))
    if isinstance(value, dict):
        # A task is a name and a weight, and what else was set of it.
        task = [_text(value[name]) for name in ("name", "weight") if name in value]
        others = {
            name: one
            for name, one in value.items()
            if name not in ("name", "weight") and one not in ({}, None)
        }
        return " ".join([*task, described(others)]).strip()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _with_ends(checks: dict[str, fields.Check]) -> dict[str, fields.Check]:
    """Adds the ends of the intervals."""
    return {name + end: check for name, check in checks.items() for end in ("", "_low", "_high")}


# The scores that a classifier may have, per image and per video.
SCORES = {
    name: fields.optional(check)
    for name, check in _with_ends(
        {
            "accuracy": fields.is_share,
            "auc": fields.is_share,
            "eer": fields.is_share,
            "average_precision": fields.is_share,
            "log_loss": fields.is_loss,
            "calibration_error": fields.is_share,
        }
    ).items()
}


def _are_scores(value: Any) -> bool:
    return fields.is_object(value) and not fields.invalid(
        SCORES | {"examples": fields.is_count}, value
    )


# What a report needs of an evaluation, and whether a value is what it should be.
FIELDS: dict[str, fields.Check] = {
    **SCORES,
    "log_loss_uncalibrated": fields.optional(fields.is_loss),
    "calibration_error_uncalibrated": fields.optional(fields.is_share),
    "examples": fields.optional(fields.is_count),
    "videos": fields.optional(_are_scores),
    "model": fields.is_name,
    "weights": fields.is_name,
    "stand_in": fields.is_flag,
    "task": fields.optional(fields.is_name),
    "data_set": fields.is_name,
    "data_hash": fields.optional(fields.is_name),
    "trained_on_hash": fields.optional(fields.is_name),
    "split": fields.is_name,
    "part": lambda value: value in ("validation", "test", "all"),
    "seed": fields.is_count,
    **_with_ends({"accuracy": fields.is_share}),
    "protocol": fields.optional(fields.is_object),
}
OF_TWO_CLASSES = _with_ends({"auc": fields.is_share})
OF_MORE_CLASSES = {
    "classes": lambda value: (
        fields.is_object(value) and value and all(map(fields.is_share, value.values()))
    )
}
ON_OTHER_DATA = dict.fromkeys(("trained_on", "data_hash", "trained_on_hash"), fields.is_name)


def invalid_fields(evaluation: dict[str, Any]) -> list[str]:
    """Names what a classifier's evaluation.json lacks, or has with a value that cannot be."""
    checks = FIELDS | (OF_TWO_CLASSES if evaluation.get("classes") is None else OF_MORE_CLASSES)
    if evaluation.get("part") == "all":
        checks |= ON_OTHER_DATA
    return fields.invalid(checks, evaluation)
