"""Settings that agents and classifiers share, and how two configurations differ."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt

# What an option of a task, or an overridden setting, may be. Not `Any`: of such a value the parser
# would make whatever class it names, and a file of settings may come from anybody.
Scalar = bool | int | float | str


@dataclass(frozen=True)
class TaskConfig:
    """A self-supervised task beside the main loss.

    Attributes:
        name: Name of the task, such as ``rotation``.
        weight: Factor of its loss. It matters most where losses are added up: in mode ``joint``, or
            among several tasks. Of a lone loss Adam takes steps of nearly one size, as long as
            gradients are large beside its epsilon and are not clipped.
        options: The task's own options, such as ``{classes: 12}``.
    """

    name: str
    weight: NonNegativeFloat = 1.0
    options: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class RuntimeConfig:
    """How TensorFlow uses the machine.

    Attributes:
        intra_op_threads: Threads inside one operation; 0 lets TensorFlow decide.
        inter_op_threads: Operations that run side by side; 0 lets TensorFlow decide.
    """

    intra_op_threads: NonNegativeInt = 1
    inter_op_threads: NonNegativeInt = 2


def differences(one: Any, other: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Compares two configurations.

    Args:
        one: A dataclass.
        other: A dataclass of the same type.
        prefix: Dotted path of both.

    Returns:
        Both values of each dotted key in which they differ.
    """
    found: dict[str, tuple[Any, Any]] = {}
    for key in dataclasses.fields(one):
        left, right = getattr(one, key.name), getattr(other, key.name)
        if dataclasses.is_dataclass(left):
            found |= differences(left, right, f"{prefix}{key.name}.")
        elif left != right:
            found[f"{prefix}{key.name}"] = (left, right)
    return found
