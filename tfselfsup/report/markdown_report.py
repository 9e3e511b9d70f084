"""A report as one Markdown file."""

from __future__ import annotations

import re
from pathlib import Path

from tfselfsup.report import tables
from tfselfsup.report.document import Contents, Picture, Section, Table

LEFT_OUT = "Left out"


def render(contents: Contents, files: dict[str, Path]) -> str:
    """Writes a report as Markdown.

    Args:
        contents: The report.
        files: Where each picture lies, by its name, as seen from the Markdown file.
    """
    parts = [f"# {plain(contents.question)}"]
    if contents.introduction:
        parts.append(plain(contents.introduction))
    if contents.answer:
        parts.append("\n".join(f"- {plain(sentence)}" for sentence in contents.answer))
    parts += [section(one, files) for one in contents.sections]
    if contents.left_out:
        listed = [f"- {plain(f'{one.path}: {one.reason}')}" for one in contents.left_out]
        parts.append("\n".join([f"## {LEFT_OUT}", "", *listed]))
    return "\n\n".join(parts) + "\n"


def section(section: Section, files: dict[str, Path]) -> str:
    """Writes a section as Markdown.

    Args:
        section: The section.
        files: As for `render`.
    """
    parts = [f"## {plain(section.title)}", *section.text]
    for item in section.items:
        parts.append(f"### {plain(item.title)}")
        parts += _table(item) if isinstance(item, Table) else _picture(item, files)
    return "\n\n".join(parts)


def _table(table: Table) -> list[str]:
    return [*filter(None, [table.note]), tables.markdown(table.frame)]


def _picture(picture: Picture, files: dict[str, Path]) -> list[str]:
    path = files[picture.name].as_posix()
    # Markdown shows no videos.
    mark = "" if Path(path).suffix == ".mp4" else "!"
    return [f"{mark}[{plain(picture.alt)}](<{path}>)"]


def plain(text: str) -> str:
    """Keeps text from being read as Markdown or HTML, as names of folders may hold anything."""
    return re.sub(r"([\\`*\[\]<>|])", r"\\\1", " ".join(text.split()))
