"""What only a person can say of a report: Markdown whose headings are those of its sections."""

from __future__ import annotations

import dataclasses
import re

from tfselfsup.report.document import Contents


def read(text: str) -> dict[str, tuple[str, ...]]:
    """Splits notes by their level-2 headings.

    Args:
        text: Markdown.

    Returns:
        The paragraphs below each heading; what stands before the first is dropped.

    Raises:
        ValueError: If there is no such heading.
    """
    _, *parts = re.split(r"^## +(.*?) *$", text, flags=re.MULTILINE)
    if not parts:
        raise ValueError("expected notes below headings such as '## Pong', found no such heading")
    found: dict[str, tuple[str, ...]] = {}
    for title, body in zip(parts[::2], parts[1::2], strict=True):
        paragraphs = filter(None, (one.strip() for one in re.split(r"\n\s*\n", body)))
        found[title] = found.get(title, ()) + tuple(paragraphs)
    return found


def added(contents: Contents, notes: dict[str, tuple[str, ...]]) -> Contents:
    """Puts notes at the end of the text of the sections that they are about.

    Args:
        contents: The report.
        notes: Paragraphs by the section's title.

    Raises:
        ValueError: If a title is of no section.
    """
    titles = [section.title for section in contents.sections]
    if unknown := [title for title in notes if title not in titles]:
        raise ValueError(
            f"expected notes on one of the sections {', '.join(titles)}, got {', '.join(unknown)};"
            " change the heading"
        )
    sections = tuple(
        dataclasses.replace(section, text=section.text + notes.get(section.title, ()))
        for section in contents.sections
    )
    return dataclasses.replace(contents, sections=sections)
