"""Reports run directories: what the evidence supports, tables, figures and learning curves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tfselfsup.command_line import ExperimentParser
from tfselfsup.programs.startup import user_mistakes
from tfselfsup.runs import written_aside

if TYPE_CHECKING:
    from tfselfsup.report.document import Contents, Picture, Table


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dirs", nargs="+", help="folders of runs that were scored")
    parser.add_argument("--out", required=True, help="folder for tables and figures")
    parser.add_argument(
        "--notes",
        type=str,
        help="Markdown file; what stands below a heading '## SECTION' is added to that section",
    )
    parser.add_argument("--config", action="config", help="YAML file with the options above")
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        print(write_report(parsed.run_dirs, Path(parsed.out), parsed.notes), end="")


def write_report(
    run_dirs: Iterable[str | Path], out: Path, notes_file: str | Path | None = None
) -> str:
    """Writes what there is to tell of agents, of classifiers and of failing probes.

    Args:
        run_dirs: Run directories of these.
        out: The folder, made if it is not there: `report.md`, the same as one page to open in a
            browser, `index.html`, and every table and every figure in files of its own.
        notes_file: Markdown to be added to the sections, or None.

    Returns:
        The content of report.md.

    Raises:
        ValueError: If no run could be reported, or notes are of a section that there is not.
    """
    from tfselfsup.report import (
        aggregate,
        contents,
        markdown_report,
        notes,
        page,
        provenance_sections,
    )

    runs, left_out = aggregate.read_runs(run_dirs)
    left_out += provenance_sections.unreadable_pictures(run.path for run in runs)
    for skipped in left_out:
        print(f"left out: {skipped.path}: {skipped.reason}", file=sys.stderr)
    if not runs:
        raise ValueError("expected at least one run directory that was scored, found none")
    report = contents.contents(runs, left_out)
    if notes_file is not None:
        report = notes.added(report, notes.read(Path(notes_file).read_text()))
    out.mkdir(parents=True, exist_ok=True)
    files = _write_items(report, out)
    page.write(report, out / "index.html")
    # Not among the report, which may go to a file.
    print(f"page: {out / 'index.html'}", file=sys.stderr)
    return _write_text(markdown_report.render(report, files), out / "report.md")


def _write_items(report: Contents, out: Path) -> dict[str, Path]:
    """Writes tables and pictures; returns where the pictures are, by name, as seen from `out`."""
    from tfselfsup.report.document import Table

    for folder in ("tables", "figures"):
        (out / folder).mkdir(exist_ok=True)
    files = {}
    for item in (item for section in report.sections for item in section.items):
        if isinstance(item, Table):
            _write_table(item, out / "tables" / item.name)
        else:
            files[item.name] = _write_picture(item, out / "figures" / item.name).relative_to(out)
    return files


def _write_table(table: Table, path: Path) -> None:
    from tfselfsup.report import tables

    with written_aside(path.with_name(f"{path.name}.csv")) as aside:
        table.exact.to_csv(aside, index=False)
    _write_text(tables.markdown(table.frame) + "\n", path.with_name(f"{path.name}.md"))
    _write_text(tables.latex(table.frame) + "\n", path.with_name(f"{path.name}.tex"))


def _write_picture(picture: Picture, path: Path) -> Path:
    """Writes a drawing as PNG and SVG, or copies what lies in a run directory."""
    from tfselfsup.report import figures

    if picture.figure is not None:
        drawn, _ = figures.save(picture.figure, path)
        return drawn
    copy = path.with_name(path.name + picture.file.suffix)
    with written_aside(copy) as aside:
        shutil.copyfile(picture.file, aside)
    return copy


def _write_text(text: str, path: Path) -> str:
    with written_aside(path) as aside:
        aside.write_text(text)
    return text
