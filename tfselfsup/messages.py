"""What users read when something went wrong: one line."""

from __future__ import annotations


def one_line(message: object) -> str:
    """Joins the lines of a message; an error without a text is called by its kind."""
    return " ".join(str(message).split()) or type(message).__name__
