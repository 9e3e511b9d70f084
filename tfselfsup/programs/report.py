"""Makes tables and figures of run directories: published and measured scores, learning curves."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tfselfsup.command_line import ExperimentParser
from tfselfsup.programs.startup import user_mistakes
from tfselfsup.runs import written_aside

if TYPE_CHECKING:
    from pandas import DataFrame

    from tfselfsup.report.aggregate import AgentRun, ClassifierRun


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
    """Writes what there is to tell of agents, and of classifiers.

    Args:
        run_dirs: Run directories of either.
        out: The folder, made if it is not there.

    Returns:
        The content of tables.md, which is about agents, and of classifiers.md.

    Raises:
        ValueError: If no run could be reported.
    """
    from tfselfsup.report import aggregate

    runs, left_out = aggregate.read_runs(run_dirs)
    for skipped in left_out:
        print(f"left out: {skipped.path}: {skipped.reason}", file=sys.stderr)
    if not runs:
        raise ValueError("expected at least one run directory that was scored, found none")
    out.mkdir(parents=True, exist_ok=True)
    agents = [run for run in runs if isinstance(run, aggregate.AgentRun)]
    classifiers = [run for run in runs if isinstance(run, aggregate.ClassifierRun)]
    texts = []
    if agents:
        texts.append(_write_agents(agents, out))
    if classifiers:
        texts.append(_write_classifiers(classifiers, out))
    return "\n".join(texts)


def _write_agents(runs: list[AgentRun], out: Path) -> str:
    """Writes tables.md, and for each game a CSV table and learning curves."""
    from tfselfsup.report import figures, tables

    sections = []
    for game in dict.fromkeys(run.evaluation["game"] for run in runs):
        table = tables.agent_scores(runs, game)
        _write_csv(table, out / f"{game}.csv")
        curves, _ = figures.save(
            figures.learning_curves(runs, game), out / f"{game}_learning_curves"
        )
        sections.append(
            f"## {game}\n\nMean raw score of whole games; `published` is the study's.\n\n"
            f"{tables.markdown(table)}\n\nLearning curves: {curves}\n"
        )
    return _write_text("\n".join(sections), out / "tables.md")


def _write_classifiers(runs: list[ClassifierRun], out: Path) -> str:
    """Writes classifiers.md, classifiers.csv, and of more than two classes a table by class."""
    import pandas as pd

    from tfselfsup.report import classifier_sections, classifier_tables

    sections, tables, by_class = [], {}, {}
    for data_set in dict.fromkeys(run.evaluation["data_set"] for run in runs):
        tables[data_set] = classifier_tables.accuracies(runs, data_set)
        by_class[data_set] = classifier_tables.class_accuracies(runs, data_set)
        sections.append(
            classifier_sections.section(runs, data_set, tables[data_set], by_class[data_set])
        )
    for name, of_data_sets in (("classifiers", tables), ("classifiers_by_class", by_class)):
        filled = {name: table for name, table in of_data_sets.items() if not table.empty}
        if filled:
            table = pd.concat(filled, names=["data_set", None]).reset_index("data_set")
            _write_csv(table, out / f"{name}.csv")
    return _write_text("\n".join(sections), out / "classifiers.md")


def _write_csv(table: DataFrame, path: Path) -> None:
    with written_aside(path) as aside:
        table.to_csv(aside, index=False)


def _write_text(text: str, path: Path) -> str:
    with written_aside(path) as aside:
        aside.write_text(text)
    return text
