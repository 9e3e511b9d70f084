"""Names for the places of a page, which a link can lead to."""

from __future__ import annotations

import re


class Anchors:
    """Makes ids out of titles, each once a page."""

    def __init__(self) -> None:
        """Begins a page on which no id is taken."""
        self._taken: set[str] = set()

    def new(self, title: str) -> str:
        """Makes an id.

        Args:
            title: Any text.

        Returns:
            The title's ASCII letters and digits, with single hyphens between them, and a number
            where that is taken: `pong`, `pong-2`.
        """
        stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"
        anchor, count = stem, 1
        while anchor in self._taken:
            count += 1
            anchor = f"{stem}-{count}"
        self._taken.add(anchor)
        return anchor
