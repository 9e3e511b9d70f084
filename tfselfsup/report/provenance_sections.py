"""What a reader is shown of where the figures come from, and the pictures that runs hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfselfsup.config import Experiment
from tfselfsup.report import provenance
from tfselfsup.report.agents import AgentRun
from tfselfsup.report.classifiers import ClassifierRun
from tfselfsup.report.document import LeftOut, Picture, Section, Table
from tfselfsup.report.probe_failures import ProbeFailures

SETTINGS_NOTE = (
    "The settings in which not all of them agree. Not listed: the game, the split, the seed, paths,"
    " threads, logging and how a run is scored."
)
ENVIRONMENTS_NOTE = (
    "From environment.json; scores depend on the processor only by rounding, hours do throughout."
)
NO_ENVIRONMENT = (
    "No run directory holds an environment.json: what they were made with is not known."
)
PICTURES_NOTE = (
    "What lies in the run directories: maps of where an answer comes from, checks of such maps,"
    " played games."
)
# What `bin/attribute` writes beside its maps, by the stem of the file, or else by its ending.
PICTURES = {
    "randomised_layers": "Check of maps, against those of a network with random layers",
    "deletion_insertion": "Check of maps, by what deleting and inserting pixels does",
    ".png": "Map of where answers come from",
    ".mp4": "Video of a played game",
}


def sections(
    agents: Sequence[AgentRun],
    classifiers: Sequence[ClassifierRun],
    probes: Sequence[ProbeFailures] = (),
) -> list[Section]:
    """Makes the sections of pictures, of settings and of environments.

    Args:
        agents: Scored agents.
        classifiers: Scored classifiers.
        probes: Probes whose failures were counted.

    Returns:
        Those sections that have content.
    """
    paths = list(dict.fromkeys(run.path for run in (*agents, *classifiers, *probes)))
    pictures = [picture for path in paths for picture in _pictures(path)]
    made = [Section("Maps and games", (PICTURES_NOTE,), tuple(pictures))] if pictures else []
    groups = {"agents": provenance.settings_of_agents(agents)}
    for name in dict.fromkeys(run.evaluation["data_set"] for run in classifiers):
        groups[f"classifiers of {name}"] = provenance.settings_of_classifiers(classifiers, name)
    if tables := [
        table for whose, of_whom in groups.items() for table in _settings(whose, of_whom)
    ]:
        made.append(Section("Settings that differ", (SETTINGS_NOTE,), tuple(tables)))
    return [*made, _environments(paths)]


def _settings(whose: str, groups: dict[str, Experiment]) -> list[Table]:
    if len(groups) < 2:
        return []
    frame = provenance.setting_differences(groups)
    name = re.sub("[^A-Za-z0-9_-]", "_", f"settings_of_{whose}")
    return [] if frame.empty else [Table(name, f"Settings of {whose}", "", frame)]


def _environments(paths: Sequence[Path]) -> Section:
    frame = provenance.environments(paths)
    if frame.empty:
        return Section("Environments", (NO_ENVIRONMENT,), ())
    table = Table("environments", "What the runs were made with", ENVIRONMENTS_NOTE, frame)
    return Section("Environments", (), (table,))


def unreadable_pictures(paths: Iterable[Path]) -> list[LeftOut]:
    """Lists the images and the videos of run directories that cannot be shown, with the reason."""
    reasons = {file: _fault(file) for path in dict.fromkeys(paths) for file in _files(path)}
    return [LeftOut(file, reason) for file, reason in reasons.items() if reason is not None]


def _pictures(path: Path) -> list[Picture]:
    """Lists the images and the videos of a run directory."""
    return [_picture(path, file) for file in _files(path) if _fault(file) is None]


def _files(path: Path) -> list[Path]:
    return [*sorted(path.glob("figures/**/*.png")), *sorted(path.glob("videos/*.mp4"))]


def _fault(file: Path) -> str | None:
    """Says why a file cannot be read, if so."""
    try:
        file.open("rb").close()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return None


def _picture(path: Path, file: Path) -> Picture:
    # `bin/attribute` gives the maps of each question a folder of their own.
    place = file.relative_to(path).with_suffix("").parts[1:]
    which = ", ".join(part.replace("_", " ") for part in place)
    what = PICTURES.get(file.stem) or PICTURES[file.suffix]
    return Picture(
        re.sub("[^A-Za-z0-9_-]", "_", "_".join((path.name, *place))),
        f"{path.name}: {which}",
        f"{what}, of the run {path.name}: {which}.",
        file=file,
    )
