import pytest

from tfselfsup.messages import one_line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("two\n  lines,\tor more\r\n", "two lines, or more"),
        (ValueError("expected this,\ngot that"), "expected this, got that"),
        (EOFError(), "EOFError"),
        (OSError(" \n"), "OSError"),
    ],
)
def test_a_message_is_one_line_and_never_empty(message, line):
    assert one_line(message) == line
