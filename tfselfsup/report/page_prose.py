"""Text as HTML: paragraphs, which are Markdown, and names."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

import markdown
from markdown.treeprocessors import Treeprocessor
from markupsafe import Markup, escape

# Python-Markdown takes HTML as it is, and a page must fetch nothing: these are left as text.
NOT_OBEYED = {
    "preprocessors": ("html_block",),
    "inlinePatterns": ("html", "image_link", "image_reference", "short_image_ref"),
}
# In `training.learning_rate` before `learning` and `rate`; not in numbers.
BREAKS = re.compile(r"(?<=[._/])(?=[^\W\d])")
ADDRESSES = ("https://", "http://", "#")


class WebLinks(Treeprocessor):
    """Keeps links from being anything but links: `javascript:` would run."""

    def run(self, root: Element) -> None:
        """Takes the address from every link that has another than `ADDRESSES`."""
        for link in root.iter("a"):
            if not link.get("href", "").startswith(ADDRESSES):
                del link.attrib["href"]


def prose(text: str) -> Markup:
    """Writes Markdown as HTML.

    Args:
        text: Markdown, with tables. HTML in it is shown, not obeyed, and so are images.

    Returns:
        Elements of a page.
    """
    converter = markdown.Markdown(extensions=["tables", "sane_lists"], output_format="html")
    for registry, names in NOT_OBEYED.items():
        for name in names:
            getattr(converter, registry).deregister(name)
    converter.treeprocessors.register(WebLinks(converter), "web_links", priority=0)
    return Markup(converter.convert(text))


def breakable(name: str) -> Markup:
    """Escapes text, and lets long names in it go on in the next line after `.`, `_` and `/`."""
    return Markup(BREAKS.sub("<wbr>", str(escape(name))))
