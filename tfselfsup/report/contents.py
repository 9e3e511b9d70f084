"""All that is to be reported of runs, in order, as plain data for whatever writes it."""

from __future__ import annotations

from collections.abc import Sequence

from tfselfsup.report import (
    agent_comparisons,
    agent_sections,
    classifier_comparisons,
    classifier_sections,
    comparisons,
    evidence,
    probe_failures,
    provenance_sections,
)
from tfselfsup.report.agents import AgentRun
from tfselfsup.report.aggregate import Run
from tfselfsup.report.classifiers import ClassifierRun
from tfselfsup.report.document import (
    Contents,
    LeftOut,
    Picture,
    Section,
    Table,
    listed,
    with_names_of_their_own,
)
from tfselfsup.report.probe_failures import ProbeFailures
from tfselfsup.report.published import STUDY

__all__ = ["Contents", "LeftOut", "Picture", "Section", "Table", "contents"]

INTRODUCTION = (
    "A self-supervised task asks what the input itself can answer, such as by which angle a picture"
    " was turned, so that its labels are free. Here a network learns such a task beside its main"
    f" one, or before it. The study, whose figures are called published, is {STUDY}."
)
COMPARISONS_NOTE = (
    "Accuracy and AUC as shares of 1; seeds are those that both sides have. The interval of agents"
    " is Student's over seeds. That of classifiers holds Student's over seeds, and where both sides"
    " have predictions.csv a bootstrap over sources and seeds as well, in which a source that"
    " several seeds test on is one source. Without, it is over seeds only, and says nothing of"
    " chance in the images: where all seeds test on the same ones, nothing can be told."
)


def contents(runs: Sequence[Run], left_out: Sequence[LeftOut]) -> Contents:
    """Makes the report of runs.

    Args:
        runs: As `aggregate.read_runs` returns them.
        left_out: What it could not read.
    """
    agents = [run for run in runs if isinstance(run, AgentRun)]
    classifiers = [run for run in runs if isinstance(run, ClassifierRun)]
    probes = [run for run in runs if isinstance(run, ProbeFailures)]
    asked = [
        *agent_comparisons.comparisons(agents).items(),
        *classifier_comparisons.comparisons(classifiers).items(),
    ]
    found = [one for _, of_place in asked for one in of_place]
    sections = [
        *_evidence(found),
        *agent_sections.sections(agents),
        *classifier_sections.sections(classifiers),
        *probe_failures.sections(probes),
        *provenance_sections.sections(agents, classifiers, probes),
    ]
    return Contents(
        question=_question(agents, classifiers),
        answer=(
            *comparisons.answers(found, [place for place, ones in asked if not ones]),
            *agent_comparisons.without_control(agents),
        ),
        sections=with_names_of_their_own(sections),
        left_out=tuple(left_out),
        introduction=INTRODUCTION,
    )


def _evidence(found: Sequence[comparisons.Comparison]) -> list[Section]:
    if not found:
        return []
    exact = comparisons.table(found)
    shown = comparisons.presented(exact)
    table = Table("comparisons", "All comparisons", COMPARISONS_NOTE, shown, exact)
    return [Section("What the evidence supports", (evidence.rule(len(found)),), (table,))]


def _question(agents: Sequence[AgentRun], classifiers: Sequence[ClassifierRun]) -> str:
    games = dict.fromkeys(run.evaluation["game"].replace("_", " ") for run in agents)
    data_sets = dict.fromkeys(run.evaluation["data_set"] for run in classifiers)
    asked = [f"agents on {listed(list(games))}"] if games else []
    asked += [f"classifiers of {listed(list(data_sets))}"] if data_sets else []
    subjects = "; ".join(asked)
    return f"Is self-supervision helpful? {subjects[:1].upper()}{subjects[1:]}".strip()
