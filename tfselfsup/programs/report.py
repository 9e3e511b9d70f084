"""Makes tables and figures of run directories: published and measured scores, learning curves."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tfselfsup.command_line import ExperimentParser
from tfselfsup.programs.startup import user_mistakes
from tfselfsup.runs import written_aside


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dirs", nargs="+", help="folders of runs that were scored")
    parser.add_argument("--out", required=True, help="folder for tables and figures")
    parser.add_argument("--config", action="config", help="YAML file with the options above")
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        print(write_report(parsed.run_dirs, Path(parsed.out)), end="")


def write_report(run_dirs: Iterable[str | Path], out: Path) -> str:
    """Writes tables.md, and for each game a CSV table and learning curves.

    Args:
        run_dirs: Run directories.
        out: The folder, made if it is not there.

    Returns:
        The content of tables.md.

    Raises:
        ValueError: If no run could be reported.
    """
    from tfselfsup.report import aggregate, figures, tables

    runs, left_out = aggregate.read_runs(run_dirs)
    for skipped in left_out:
        print(f"left out: {skipped.path}: {skipped.reason}", file=sys.stderr)
    if not runs:
        raise ValueError("expected at least one run directory that was scored, found none")
    out.mkdir(parents=True, exist_ok=True)
    sections = []
    for game in dict.fromkeys(run.evaluation["game"] for run in runs):
        table = tables.agent_scores(runs, game)
        with written_aside(out / f"{game}.csv") as aside:
            table.to_csv(aside, index=False)
        curves, _ = figures.save(
            figures.learning_curves(runs, game), out / f"{game}_learning_curves"
        )
        sections.append(
            f"## {game}\n\nMean raw score of whole games; `published` is the study's.\n\n"
            f"{tables.markdown(table)}\n\nLearning curves: {curves}\n"
        )
    text = "\n".join(sections)
    with written_aside(out / "tables.md") as aside:
        aside.write_text(text)
    return text
