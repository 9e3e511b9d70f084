"""Scored classifiers: what a report needs of them, and which are one model."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = ("data_set", "model", "task", "weights", "stand_in")


@dataclass(frozen=True)
class ClassifierRun:
    """A classifier that was scored.

    Attributes:
        path: The run directory.
        evaluation: The content of its evaluation.json.
    """

    path: Path
    evaluation: dict[str, Any]

    def settings(self) -> dict[str, Any]:
        """Returns how it was trained and scored, beyond its model, its split and its seed."""
        protocol = self.evaluation.get("protocol") or {}
        return {"part": self.evaluation["part"]} | protocol


def identity(run: ClassifierRun) -> str:
    """Names all that tells one scored classifier from another, the seed included."""
    return json.dumps([_key(run), run.evaluation["split"], run.evaluation["seed"]])


def _key(run: ClassifierRun) -> str:
    model = [run.evaluation.get(name) for name in MODEL]
    return json.dumps([model, run.settings()], sort_keys=True)


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


def common_settings(runs: Iterable[ClassifierRun]) -> dict[str, Any]:
    """Returns the settings in which all the runs agree."""
    first, *others = [run.settings() for run in runs]
    missing = object()
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name, missing) == value for other in others)
    }


def described(settings: dict[str, Any]) -> str:
    """Writes settings as text: `solver lbfgs, checkpoint best`."""
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_share(value: Any) -> bool:
    # Not a number is none, as it is not between two numbers.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _optional(valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or valid(value)


# What a report needs of an evaluation, and whether a value is what it should be.
FIELDS: dict[str, Callable[[Any], bool]] = {
    "model": _is_name,
    "weights": _is_name,
    "stand_in": lambda value: isinstance(value, bool),
    "task": _optional(_is_name),
    "data_set": _is_name,
    "split": _is_name,
    "part": lambda value: value in ("validation", "test"),
    "seed": _is_count,
    "accuracy": _is_share,
    "accuracy_low": _is_share,
    "accuracy_high": _is_share,
    "protocol": _optional(lambda value: isinstance(value, dict)),
}
OF_TWO_CLASSES = dict.fromkeys(("auc", "auc_low", "auc_high"), _is_share)
OF_MORE_CLASSES = {
    "classes": lambda value: (
        isinstance(value, dict) and value and all(map(_is_share, value.values()))
    )
}


def invalid_fields(evaluation: dict[str, Any]) -> list[str]:
    """Names what a classifier's evaluation.json lacks, or has with a value that cannot be."""
    fields = FIELDS | (OF_TWO_CLASSES if evaluation.get("classes") is None else OF_MORE_CLASSES)
    return [name for name, valid in fields.items() if not valid(evaluation.get(name))]
