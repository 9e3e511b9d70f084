"""Tables as a page shows and sorts them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from tfselfsup.report.tables import presented

# `-3.1`, `1,234` or `1e-4`, at the end of a word: `2.15.1` and `3x` are no numbers.
NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?(?=[\s%]|$)", re.IGNORECASE)
# `0.903 (95%: 0.890 to 0.916)`: a figure and how sure it is.
WITH_INTERVAL = re.compile(r"(?P<figure>[^()]*[^()\s])\s+(?P<interval>\([^()]*\))")
# In `0.029 -> 0.019` what counts is what was arrived at.
ARROW = "-> "


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What stands there; of a figure with its interval the figure.
        interval: The interval in its brackets, or nothing.
        number: The number to sort by, or None where there is none.
    """

    text: str
    interval: str
    number: float | None


@dataclass(frozen=True)
class Grid:
    """A table of cells.

    Attributes:
        headings: The name of each column.
        numeric: For each column, whether it holds numbers and is sorted by them.
        rows: The cells of each row.
    """

    headings: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


def grid(frame: pd.DataFrame) -> Grid:
    """Takes a table apart.

    Args:
        frame: What is to be shown, the names of the rows in the first column.

    Returns:
        Its cells. A column is numeric if all its cells that are not empty begin with a number.
    """
    shown = presented(frame)
    rows = tuple(tuple(map(cell, row)) for row in shown.itertuples(index=False))
    headings = tuple(map(str, shown.columns))
    numeric = tuple(_is_numeric(row[index] for row in rows) for index in range(len(headings)))
    return Grid(headings, numeric, rows)


def cell(text: str) -> Cell:
    """Reads a cell.

    Args:
        text: Its content.

    Returns:
        The cell: `0.903 (95%: 0.890 to 0.916)` has the text and the number 0.903.
    """
    number = sort_number(text)
    found = WITH_INTERVAL.fullmatch(text) if number is not None else None
    if found is None:
        return Cell(text, "", number)
    return Cell(found["figure"], found["interval"], number)


def sort_number(text: str) -> float | None:
    """Returns the number that a cell is sorted by, or None if it does not begin with one."""
    found = NUMBER.match(text.rpartition(ARROW)[2])
    return None if found is None else float(found[0].replace(",", ""))


def _is_numeric(column: Iterable[Cell]) -> bool:
    filled = [cell.number is not None for cell in column if cell.text]
    return bool(filled) and all(filled)
