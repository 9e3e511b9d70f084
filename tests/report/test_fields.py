import math

import pytest

from tfselfsup.report import fields


@pytest.mark.parametrize(
    ("check", "can_be", "cannot_be"),
    [
        (fields.is_name, ["a"], ["", None, 1, ["a"]]),
        (fields.is_number, [0, -1.5, 1e308], [True, "1", None, math.nan, -math.inf, 10**400]),
        (fields.is_share, [0, 0.5, 1], [-0.1, 1.1, math.nan, False, "0.5"]),
        (fields.is_count, [0, 7, 2**63 - 1], [-1, 1.0, True, "1", 2**63, 10**400]),
        (fields.is_loss, [0, 3.5], [-0.1, math.inf, None]),
        (fields.is_flag, [True, False], [0, 1, None, "true"]),
        (fields.is_object, [{}, {"a": 1}], [[], None, "{}"]),
        (fields.optional(fields.is_count), [None, 3], [-1, "3"]),
    ],
)
def test_what_a_value_can_be(check, can_be, cannot_be):
    assert all(check(value) for value in can_be)
    assert not any(check(value) for value in cannot_be)


def test_what_is_missing_or_cannot_be_is_named_in_order():
    checks = {"b": fields.is_name, "a": fields.is_count, "c": fields.optional(fields.is_count)}
    assert fields.invalid(checks, {"a": -1, "d": None}) == ["b", "a"]
    assert fields.invalid(checks, {"a": 1, "b": "x", "c": None}) == []
