"""The report as one HTML page that needs nothing else: no network and no other file."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tfselfsup.report.document import Contents, Picture, Section, Table
from tfselfsup.report.page_anchors import Anchors
from tfselfsup.report.page_pictures import Embedder, inline_svg
from tfselfsup.report.page_prose import breakable, prose
from tfselfsup.report.page_tables import Grid, grid
from tfselfsup.runs import written_aside

# A table with more rows is folded until a reader opens it.
ROWS_AT_ONCE = 24


@dataclass(frozen=True)
class ShownTable:
    """A table as the template takes it."""

    anchor: str
    title: str
    note: str
    grid: Grid
    folded: bool


@dataclass(frozen=True)
class ShownPicture:
    """A picture as the template takes it; one of the last four is set.

    Attributes:
        anchor: Its id on the page.
        title: What stands below it.
        alt: What is to be seen, in words.
        svg: A drawing, ready for the page.
        image: Data URI of a photograph.
        video: Data URI of a film.
        absent: Why it is not on the page.
    """

    anchor: str
    title: str
    alt: str
    svg: Markup | None = None
    image: str | None = None
    video: str | None = None
    absent: str | None = None


@dataclass(frozen=True)
class ShownSection:
    """A section as the template takes it."""

    anchor: str
    title: str
    text: tuple[str, ...]
    items: tuple[ShownTable | ShownPicture, ...]


def write(contents: Contents, path: Path) -> None:
    """Writes the page.

    Args:
        contents: What there is to tell.
        path: The HTML file; its folder is there.
    """
    with written_aside(path) as aside:
        aside.write_text(render(contents), encoding="utf-8")


def render(contents: Contents) -> str:
    """Makes the page.

    Args:
        contents: What there is to tell. All its texts are escaped: a run directory may have any
            name.

    Returns:
        HTML with style, script and pictures in it. Its content security policy lets a browser
        fetch nothing, and run this one script only. The same contents give the same page.
    """
    # The templates' own HTML apart, everything is escaped, and a misspelt name is an error.
    environment = Environment(
        loader=PackageLoader("tfselfsup.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "breakable": breakable}
    style, script = (_source(environment, name) for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    anchors, embedder = Anchors(), Embedder()
    return environment.get_template("page.html").render(
        contents=contents,
        sections=[_section(section, anchors, embedder) for section in contents.sections],
        left_out_anchor=anchors.new("left out"),
        style=style,
        script=script,
        script_digest=digest,
    )


def _source(environment: Environment, name: str) -> Markup:
    source, *_ = environment.loader.get_source(environment, name)
    return Markup(source)


def _section(section: Section, anchors: Anchors, embedder: Embedder) -> ShownSection:
    anchor = anchors.new(section.title)
    items = []
    for item in section.items:
        at = anchors.new(item.name)
        items.append(_table(item, at) if isinstance(item, Table) else _picture(item, at, embedder))
    return ShownSection(anchor, section.title, tuple(section.text), tuple(items))


def _table(table: Table, anchor: str) -> ShownTable:
    folded = len(table.frame) > ROWS_AT_ONCE
    return ShownTable(anchor, table.title, table.note, grid(table.frame), folded)


def _picture(picture: Picture, anchor: str, embedder: Embedder) -> ShownPicture:
    if picture.figure is not None:
        shown = {"svg": inline_svg(picture.figure, picture.alt, anchor)}
    else:
        shown = embedder.embed(picture.file)
    return ShownPicture(anchor, picture.title, picture.alt, **shown)
