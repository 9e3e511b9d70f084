"""Scored classifiers: what a report needs of them, and which are one model."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tfselfsup.config import Experiment

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

    def told_apart(self, names: Collection[str]) -> ClassifierRun:
        """Adds to names that several data sets share the first digits of their fingerprints.

        Args:
            names: Such names, see `shared_names`.
        """
        new = {
            key: f"{name} (fingerprint {fingerprint[:HASH_DIGITS]})"
            for key, name, fingerprint in _data_sets(self.evaluation)
            if name in names
        }
        return dataclasses.replace(self, evaluation=self.evaluation | new) if new else self

    def settings(self) -> dict[str, Any]:
        """Returns how it was trained and scored, beyond its model, its split and its seed."""
        protocol = {name: value for name, value in self._protocol.items() if name != PRETRAINED}
        return {"part": self.evaluation["part"]} | protocol

    def classifier(self) -> str:
        """Names what was trained, whatever it was scored on: all but the split and the seed."""
        model = [self.evaluation.get(name) for name in MODEL]
        settings = {name: value for name, value in self.settings().items() if name != "part"}
        return json.dumps([model, self.trained_on, self.is_pretrained, settings], sort_keys=True)


def _data_sets(evaluation: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Lists key, name and fingerprint of data sets with one, which older files do not have."""
    return [
        (key, evaluation[key], evaluation[hash_key])
        for key, hash_key in FINGERPRINT_OF.items()
        if evaluation.get(key) and evaluation.get(hash_key)
    ]


def shared_names(runs: Iterable[ClassifierRun]) -> set[str]:
    """Finds the names that data sets of different content have, such as `dfdc`.

    Args:
        runs: Scored classifiers; those of older versions do not say which data set they mean.
    """
    fingerprints: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        for _, name, fingerprint in _data_sets(run.evaluation):
            fingerprints[name].add(fingerprint)
    return {name for name, found in fingerprints.items() if len(found) > 1}


def identity(run: ClassifierRun) -> str:
    """Names all that tells one scored classifier from another, the seed included."""
    return json.dumps([_key(run), run.evaluation["split"], run.evaluation["seed"]])


def _key(run: ClassifierRun) -> str:
    return json.dumps([run.classifier(), run.evaluation["data_set"], run.evaluation["part"]])


def group_splits_and_seeds(runs: Iterable[ClassifierRun]) -> list[list[ClassifierRun]]:
    """Puts runs together that differ in nothing but the split and the seed.

    Args:
        runs: Scored classifiers.

    Returns:
        The runs of each model, in the order in which the models come first.
    """
    groups: dict[str, list[ClassifierRun]] = defaultdict(list)
    for run in runs:
        groups[_key(run)].append(run)
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


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_number(value: Any) -> bool:
    """Tells whether a value of a JSON file is a number that can be reckoned with."""
    # Neither NaN nor infinity is, nor an integer that no float holds.
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def _is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_loss(value: Any) -> bool:
    return is_number(value) and value >= 0


def _optional(valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or valid(value)


def _with_ends(fields: dict[str, Callable[[Any], bool]]) -> dict[str, Callable[[Any], bool]]:
    """Adds the ends of the intervals."""
    return {name + end: valid for name, valid in fields.items() for end in ("", "_low", "_high")}


# The scores that a classifier may have, per image and per video.
SCORES = {
    name: _optional(valid)
    for name, valid in _with_ends(
        {
            "accuracy": _is_share,
            "auc": _is_share,
            "eer": _is_share,
            "average_precision": _is_share,
            "log_loss": _is_loss,
            "calibration_error": _is_share,
        }
    ).items()
}


def _are_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(
        valid(value.get(name)) for name, valid in (SCORES | {"examples": _is_count}).items()
    )


# What a report needs of an evaluation, and whether a value is what it should be.
FIELDS: dict[str, Callable[[Any], bool]] = {
    **SCORES,
    "log_loss_uncalibrated": _optional(_is_loss),
    "calibration_error_uncalibrated": _optional(_is_share),
    "examples": _optional(_is_count),
    "videos": _optional(_are_scores),
    "model": _is_name,
    "weights": _is_name,
    "stand_in": lambda value: isinstance(value, bool),
    "task": _optional(_is_name),
    "data_set": _is_name,
    "data_hash": _optional(_is_name),
    "trained_on_hash": _optional(_is_name),
    "split": _is_name,
    "part": lambda value: value in ("validation", "test", "all"),
    "seed": _is_count,
    **_with_ends({"accuracy": _is_share}),
    "protocol": _optional(lambda value: isinstance(value, dict)),
}
OF_TWO_CLASSES = _with_ends({"auc": _is_share})
OF_MORE_CLASSES = {
    "classes": lambda value: (
        isinstance(value, dict) and value and all(map(_is_share, value.values()))
    )
}
ON_OTHER_DATA = {"trained_on": _is_name, "data_hash": _is_name, "trained_on_hash": _is_name}


def invalid_fields(evaluation: dict[str, Any]) -> list[str]:
    """Names what a classifier's evaluation.json lacks, or has with a value that cannot be."""
    fields = FIELDS | (OF_TWO_CLASSES if evaluation.get("classes") is None else OF_MORE_CLASSES)
    if evaluation.get("part") == "all":
        fields |= ON_OTHER_DATA
    return [name for name, valid in fields.items() if not valid(evaluation.get(name))]
