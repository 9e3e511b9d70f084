"""A report as plain data: what it is made of, whatever it is written as."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class LeftOut:
    """A directory that is not reported, and the reason."""

    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class Table:
    """A table that is ready to be shown.

    Attributes:
        name: Stem of its files.
        title: What it is about.
        note: What its figures mean; may be empty.
        frame: Its cells as they are read, texts.
        figures: The same with exact figures, for programs; `frame` if None.
    """

    name: str
    title: str
    note: str
    frame: pd.DataFrame
    figures: pd.DataFrame | None = None

    @property
    def exact(self) -> pd.DataFrame:
        """The table for programs."""
        return self.frame if self.figures is None else self.figures


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture that was drawn, or that lies in a run directory.

    Attributes:
        name: Stem of its files.
        title: What it is about.
        alt: What is to be seen, in words.
        figure: The drawing, or None.
        file: An image or an mp4, or None; one of the two is given.
    """

    name: str
    title: str
    alt: str
    figure: Figure | None = None
    file: Path | None = None


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the report.

    Attributes:
        title: Its heading.
        text: Paragraphs.
        items: What stands below them.
    """

    title: str
    text: tuple[str, ...]
    items: tuple[Table | Picture, ...]


@dataclass(frozen=True, eq=False)
class Contents:
    """A report.

    Attributes:
        question: What was asked.
        answer: A sentence for each comparison, with its figures.
        sections: All the rest, in the order to be read.
        left_out: The directories that are not reported.
        introduction: What the question means, for whoever reads nothing but this.
    """

    question: str
    answer: tuple[str, ...]
    sections: tuple[Section, ...]
    left_out: tuple[LeftOut, ...]
    introduction: str = ""


def with_names_of_their_own(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Numbers items of one name, as these become files: `curves`, `curves_2`."""
    taken: set[str] = set()
    renamed = []
    for section in sections:
        items = []
        for item in section.items:
            name = _free(item.name, taken)
            taken.add(name)
            items.append(dataclasses.replace(item, name=name))
        renamed.append(dataclasses.replace(section, items=tuple(items)))
    return tuple(renamed)


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def listed(names: Sequence[str]) -> str:
    """Joins names as a sentence does: `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
