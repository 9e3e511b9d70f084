"""What all figures share."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from tfselfsup.runs import written_aside

LINE_STYLES = ("-", "--", ":", "-.")


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes a figure as PNG and SVG, the same bytes whenever it is drawn.

    Args:
        figure: What was drawn.
        path: The file without its ending.

    Returns:
        Both files.
    """
    # Else an SVG holds the time, and names that are drawn by lot.
    metadata = {".png": {}, ".svg": {"Date": None}}
    written = [path.with_name(path.name + suffix) for suffix in metadata]
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        for file in written:
            with written_aside(file) as aside:
                figure.savefig(
                    aside, format=file.suffix[1:], dpi=150, metadata=metadata[file.suffix]
                )
    return written
