"""Pictures that are part of a page: drawings as SVG, files as data URIs."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

# By the ending of the file: the media type, and what it is on the page.
MEDIA = {
    ".png": ("image/png", "image"),
    ".jpg": ("image/jpeg", "image"),
    ".mp4": ("video/mp4", "video"),
}
MOST_BYTES_OF_A_FILE = 2_000_000
MOST_BYTES_OF_A_PAGE = 20_000_000
REFERENCE = re.compile(r"url\(#([^)]+)\)")
# What matplotlib writes beside the drawing; its style would hold for the whole page.
ASIDE = ("metadata", "style")


class Embedder:
    """Puts files into a page, until it is as large as a browser opens with ease."""

    def __init__(
        self, of_a_file: int = MOST_BYTES_OF_A_FILE, of_a_page: int = MOST_BYTES_OF_A_PAGE
    ) -> None:
        """Begins a page.

        Args:
            of_a_file: The most bytes of one file.
            of_a_page: The most bytes of all files.
        """
        self._of_a_file = of_a_file
        self._left = of_a_page

    def embed(self, file: Path) -> dict[str, str]:
        """Encodes a file.

        Args:
            file: A picture or a film.

        Returns:
            `image` or `video` with a data URI; or `absent` with the reason, if the file is too
            large, of another kind, or cannot be read.
        """
        if file.suffix not in MEDIA:
            return {"absent": f"{file} is not on this page: it is none of {', '.join(MEDIA)}."}
        try:
            content = file.read_bytes()
        except OSError as error:
            return {"absent": f"{file} is not on this page: {error.strerror}."}
        if len(content) > min(self._of_a_file, self._left):
            size = f"{len(content) / 1e6:.1f} MB"
            return {"absent": f"{file} is not on this page, which its {size} would make too large."}
        self._left -= len(content)
        media_type, kind = MEDIA[file.suffix]
        return {kind: f"data:{media_type};base64,{base64.b64encode(content).decode()}"}


def inline_svg(figure: Figure, alt: str, prefix: str) -> Markup:
    """Draws a figure as an element of a page.

    Args:
        figure: What was drawn.
        alt: What is to be seen, in words.
        prefix: The beginning of all its ids, which no other figure of the page has.

    Returns:
        An <svg> whose letters are outlines, so that it looks the same without its fonts, on a
        transparent ground. The same figure gives the same text.
    """
    root = ElementTree.fromstring(_drawn(figure))
    for parent in list(root.iter()):
        for child in [one for one in parent if _local(one.tag) in ASIDE]:
            parent.remove(child)
    names = _names(root, prefix)
    for element in root.iter():
        # HTML knows <svg> and what is in it without XML's namespaces.
        element.tag = _local(element.tag)
        attributes = {_local(name): value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update(_renamed(attributes, names))
    root.attrib |= {"role": "img", "aria-label": alt}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "page"}):
        figure.savefig(buffer, format="svg", transparent=True)
    return buffer.getvalue()


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _names(root: ElementTree.Element, prefix: str) -> dict[str, str]:
    """Returns a new id for each old one that the drawing refers to, in the order of the drawing."""
    wanted = set()
    for element in root.iter():
        for name, value in element.attrib.items():
            wanted |= set(REFERENCE.findall(value))
            wanted |= {value[1:]} if _local(name) == "href" and value.startswith("#") else set()
    present = [element.get("id") for element in root.iter() if element.get("id") in wanted]
    # No anchor has two hyphens.
    return {old: f"{prefix}--{number}" for number, old in enumerate(present)}


def _renamed(attributes: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    renamed = {}
    for name, value in attributes.items():
        if name == "id":
            if value in names:
                renamed[name] = names[value]
        elif name == "href" and value.startswith("#"):
            renamed[name] = f"#{names[value[1:]]}"
        else:
            renamed[name] = REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value)
    return renamed
