"""Whether the values of a JSON file are those that a report can reckon with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]
LARGEST = 2**63 - 1  # of an int64


def is_name(value: Any) -> bool:
    """Tells whether a value is a text that names something."""
    return isinstance(value, str) and value != ""


def is_number(value: Any) -> bool:
    """Tells whether a value is a number that can be reckoned with."""
    # Neither NaN nor infinity is, nor an integer that no float holds.
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def is_share(value: Any) -> bool:
    """Tells whether a value is a number in [0, 1]."""
    return is_number(value) and 0 <= value <= 1


def is_count(value: Any) -> bool:
    """Tells whether a value is a whole number of 0 or more that a table can hold."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 0 <= value <= LARGEST


def is_loss(value: Any) -> bool:
    """Tells whether a value is a number of 0 or more."""
    return is_number(value) and value >= 0


def is_flag(value: Any) -> bool:
    """Tells whether a value is true or false."""
    return isinstance(value, bool)


def is_object(value: Any) -> bool:
    """Tells whether a value is a JSON object."""
    return isinstance(value, dict)


def optional(check: Check) -> Check:
    """Admits null, and that the field is not there."""
    return lambda value: value is None or check(value)


def invalid(fields: Mapping[str, Check], content: Mapping[str, Any]) -> list[str]:
    """Names what is missing, or has a value that cannot be.

    Args:
        fields: The check of each field.
        content: A JSON object.
    """
    return [name for name, check in fields.items() if not check(content.get(name))]
