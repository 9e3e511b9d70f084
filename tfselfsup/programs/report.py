"""Makes tables and figures of run directories: published and measured scores, learning curves."""

from __future__ import annotations

import re
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
    """Writes classifiers.md, its tables as CSV files, and figures of corrupted images."""
    import pandas as pd

    from tfselfsup.report import classifier_scores, classifier_sections, classifier_tables

    tables: dict[str, dict[str, DataFrame]] = {
        name: {} for name in ("classifiers", "classifiers_on_hard", "classifiers_by_class")
    }
    data_sets = dict.fromkeys(run.evaluation["data_set"] for run in runs)
    sections = []
    for data_set in data_sets:
        if not classifier_tables.of_data_set(runs, data_set):
            continue
        made = (
            classifier_tables.accuracies(runs, data_set),
            classifier_scores.on_hard(runs, data_set),
            classifier_tables.class_accuracies(runs, data_set),
        )
        sections.append(classifier_sections.section(runs, data_set, *made))
        for of_data_sets, table in zip(tables.values(), made, strict=True):
            of_data_sets[data_set] = table
    for name, of_data_sets in tables.items():
        filled = {name: table for name, table in of_data_sets.items() if not table.empty}
        if filled:
            table = pd.concat(filled, names=["data_set", None]).reset_index("data_set")
            _write_csv(table, out / f"{name}.csv")
    if elsewhere := classifier_scores.scored_elsewhere(runs):
        table = classifier_scores.on_other_data(elsewhere)
        sections.append(classifier_sections.other_data_section(elsewhere, table))
        _write_csv(table, out / "classifiers_on_other_data.csv")
    if drawn := [line for data_set in data_sets for line in _draw_robustness(runs, data_set, out)]:
        sections.append("## Corrupted images\n\n" + "\n".join(drawn) + "\n")
    return _write_text("\n".join(sections), out / "classifiers.md")


def _draw_robustness(runs: list[ClassifierRun], data_set: str, out: Path) -> list[str]:
    """Draws a figure for each corruption, and says where it is."""
    from tfselfsup.report import figures, robustness_figures

    lines = []
    for corruption in robustness_figures.corruptions(runs, data_set):
        path = out / f"{re.sub('[^A-Za-z0-9_-]', '_', data_set)}_{corruption}"
        figure = robustness_figures.curves(runs, data_set, corruption)
        drawn, _ = figures.save(figure, path)
        lines.append(f"- {data_set}, {corruption}: {drawn}")
    return lines


def _write_csv(table: DataFrame, path: Path) -> None:
    with written_aside(path) as aside:
        table.to_csv(aside, index=False)


def _write_text(text: str, path: Path) -> str:
    with written_aside(path) as aside:
        aside.write_text(text)
    return text
