"""What all figures share."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tfselfsup.runs import written_aside

LINE_STYLES = ("-", "--", ":", "-.")


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes a figure as PNG and SVG.

    Args:
        figure: What was drawn.
        path: The file without its ending.

    Returns:
        Both files.
    """
    written = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    for file in written:
        with written_aside(file) as aside:
            figure.savefig(aside, format=file.suffix[1:], dpi=150)
    return written
