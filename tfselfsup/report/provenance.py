"""Where figures come from: in which settings runs differ, and what they were made with."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tfselfsup.config import Experiment
from tfselfsup.config.flattened import flattened
from tfselfsup.report import classifier_rows
from tfselfsup.report.agents import AgentRun, group_over_games
from tfselfsup.report.classifier_tables import of_data_set
from tfselfsup.report.classifiers import ClassifierRun, group_splits_and_seeds

# What differs from run to run and changes no result, or is told elsewhere: the beginnings of names.
NOT_COMPARED = (
    *("seed", "logging", "runtime", "cache", "data.path", "environment.game", "data.split"),
    *("evaluation", "scoring"),
)
# Settings that a run of a mode does not read.
WITHOUT_EFFECT = {"probe": "training.", "fine_tune": "probe.", "pretrain": "probe."}
UNKNOWN = "unknown"
# Facts of environment.json, in the order they are shown.
FACTS = ("python", "versions", "processor", "cores", "git_revision")


def settings_of_agents(runs: Sequence[AgentRun]) -> dict[str, Experiment]:
    """Returns the settings of each agent, whatever the game and the seed."""
    return {name: group[0].experiment for name, group in group_over_games(runs).items()}


def settings_of_classifiers(runs: Sequence[ClassifierRun], data_set: str) -> dict[str, Experiment]:
    """Returns the settings of each classifier of a data set, whatever the split and the seed."""
    own = of_data_set(runs, data_set)
    named: dict[str, Experiment] = {}
    for run in (group[0] for group in group_splits_and_seeds(own)):
        row = classifier_rows.of_run(run, own)
        name = f"{classifier_rows.name_of(row | {'settings': None})}, {row['weights']}"
        if run.experiment is not None:
            named[_free(name, named)] = _with_named_weights(run)
    return named


def _with_named_weights(run: ClassifierRun) -> Experiment:
    """Returns the settings, with the name of the weights in place of one seed's file of them."""
    encoder = dataclasses.replace(run.experiment.encoder, weights=run.evaluation["weights"])
    return dataclasses.replace(run.experiment, encoder=encoder)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found


def setting_differences(experiments: Mapping[str, Experiment]) -> pd.DataFrame:
    """Compares settings.

    Args:
        experiments: The settings of each group of runs by its name.

    Returns:
        A row for every setting in which the groups that read it do not agree, in the order of their
        names, with the column `setting` and one for each group, texts; empty where a group has not
        the setting.
    """
    found = {name: _compared(experiment) for name, experiment in experiments.items()}
    rows = [
        {"setting": name} | {group: settings.get(name, "") for group, settings in found.items()}
        for name in sorted({name for settings in found.values() for name in settings})
        if len({of_one.get(name) for of_one in found.values() if _reads(of_one, name)}) > 1
    ]
    return pd.DataFrame(rows, columns=["setting", *found])


def _reads(settings: Mapping[str, Any], name: str) -> bool:
    """Tells whether a setting has an effect beside others."""
    return not name.startswith(WITHOUT_EFFECT.get(settings.get("mode"), ()))


def _compared(experiment: Experiment) -> dict[str, str]:
    """Lists the settings that are compared, as texts by dotted name."""
    settings = flattened(experiment)
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in settings.items()
        if not name.startswith(NOT_COMPARED) and _reads(settings, name)
    }


def environments(paths: Iterable[Path]) -> pd.DataFrame:
    """Lists what runs were made with.

    Args:
        paths: Run directories.

    Returns:
        A row for every environment, with the columns: runs, how many; first, the name of the first;
        and the facts of environment.json, all texts. Runs without that file come last, as
        `UNKNOWN`. No rows if no run has it.
    """
    alike: dict[str, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        alike[json.dumps(_environment(path), sort_keys=True)].append(path)
    if list(alike) == ["{}"]:
        return pd.DataFrame()
    rows = []
    for text, of_one in sorted(alike.items(), key=lambda item: item[0] == "{}"):
        facts = json.loads(text) or {"python": UNKNOWN}
        rows.append({"runs": str(len(of_one)), "first": of_one[0].name} | facts)
    return pd.DataFrame(rows).fillna("")


def _environment(path: Path) -> dict[str, str]:
    """Reads the facts of a run's environment.json, flat; none if there is no such file."""
    try:
        content = json.loads((path / "environment.json").read_text())
        facts = {name: content[name] for name in FACTS if name in content}
    except (OSError, ValueError, TypeError):
        return {}
    versions = facts.pop("versions", None)
    facts |= versions if isinstance(versions, dict) else {}
    return {name: str(value) for name, value in facts.items() if value is not None}
