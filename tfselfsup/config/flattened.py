"""An experiment as one flat table, for tools that sort and filter runs by their settings."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from tfselfsup.config.shared import Scalar, TaskConfig


def flattened(settings: Any) -> dict[str, Scalar]:
    """Lists all settings by their dotted names.

    A task gives its weight, under its own name, and its options: ``training.tasks.rotation: 0.5``.
    Other lists are one text each. What is not given, None or an empty list, is left out, so that
    every name has values of one type.

    Args:
        settings: A dataclass of settings.
    """
    return _flat(settings, "")


@functools.singledispatch
def _flat(value: Any, name: str) -> dict[str, Scalar]:
    if not dataclasses.is_dataclass(value):
        return {name: value}
    before = f"{name}." if name else ""
    return _joined(
        _flat(getattr(value, field.name), before + field.name)
        for field in dataclasses.fields(value)
    )


@_flat.register(type(None))
def _(value: None, name: str) -> dict[str, Scalar]:
    return {}


@_flat.register
def _(value: TaskConfig, name: str) -> dict[str, Scalar]:
    own = f"{name}.{value.name}"
    return {own: value.weight, **{f"{own}.{key}": item for key, item in value.options.items()}}


@_flat.register
def _(value: tuple, name: str) -> dict[str, Scalar]:
    if any(dataclasses.is_dataclass(item) for item in value):
        return _joined(_flat(item, name) for item in value)
    return {name: ", ".join(map(str, value))} if value else {}


def _joined(tables) -> dict[str, Scalar]:
    return {name: value for table in tables for name, value in table.items()}
