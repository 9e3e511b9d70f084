"""Lists the runs of a reproduction, in an order in which each comes after what it needs."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfselfsup import command_line
from tfselfsup.config import (
    AgentExperiment,
    ClassifierExperiment,
    Experiment,
    Reproduction,
    Scalar,
)
from tfselfsup.programs.planned_runs import (
    Planned,
    PlannedAgent,
    PlannedClassifier,
    PlannedPretraining,
    PlannedSplices,
    described_faces,
)
from tfselfsup.runs import RunDirectory

SPLICES = "splices"
FACES, DIGITS = "faces", "digits"  # kinds of data, of which packages may add others
CACHE = "features"  # of frozen trunks, below the folder of the runs


def plan(reproduction: Reproduction, out: Path) -> list[Planned]:
    """Lists what is to be made.

    Args:
        reproduction: Which experiments, games, splits and seeds.
        out: The folder of the runs' folders.

    Returns:
        Agents first, then the data of classifiers, pre-trainings and classifiers.

    Raises:
        ValueError: If there is nothing to run, if two runs would share a folder, if there is no
            such game, or if an experiment or the data cannot be read.
    """
    agents, classifiers = reproduction.agents, reproduction.classifiers
    asked = {
        "agents": (agents.experiments, agents.seeds),
        "classifiers": (classifiers.experiments or classifiers.pretrainings, classifiers.seeds),
    }
    for name, (experiments, seeds) in asked.items():
        if experiments and not seeds:
            raise ValueError(f"expected one seed or more in {name}.seeds, got none; give [0]")
    planned = [*_agents(reproduction, out), *_classifiers(reproduction, out)]
    if not planned:
        raise ValueError(
            "expected experiments in agents.experiments or classifiers.experiments, got none; "
            "give some, or a --preset"
        )
    shared = [str(folder) for folder, n in Counter(one.folder for one in planned).items() if n > 1]
    if shared:
        raise ValueError(f"expected a folder for each run, got several for {', '.join(shared)}")
    return planned


def left_out(reproduction: Reproduction) -> list[str]:
    """Lists the experiments with digits where no digits are given."""
    if reproduction.digits is not None:
        return []
    own = _own_classifiers(reproduction)
    return [name for name, experiment in own.items() if experiment.data.kind == DIGITS]


def _agents(reproduction: Reproduction, out: Path) -> Iterator[PlannedAgent]:
    from tfselfsup.rl.game_names import resolve_game

    settings = reproduction.agents
    _checked(settings.experiments, AgentExperiment)
    for name, game, seed in itertools.product(
        settings.experiments, settings.games or (None,), settings.seeds
    ):
        own = {} if game is None else {"environment.game": game}
        options, experiment = _read(name, {**settings.overrides, **own, "seed": seed})
        resolve_game(experiment.environment.game)
        yield PlannedAgent(options, experiment, RunDirectory(out / _folder(name, game, seed)))


def _classifiers(reproduction: Reproduction, out: Path) -> Iterator[Planned]:
    settings, own = reproduction.classifiers, _own_classifiers(reproduction)
    names = (*settings.pretrainings, *settings.experiments)
    with_faces = [name for name in names if own[name].data.kind == FACES]
    if with_faces:
        yield from _with_faces(reproduction, with_faces, out)
    # What a package adds has data of its own, and no split of faces.
    path = {DIGITS: {"data.path": reproduction.digits}}
    elsewhere = {*with_faces, *left_out(reproduction)}
    others = defaultdict(list)
    for name in names:
        if name not in elsewhere:
            others[own[name].data.kind].append(name)
    if DIGITS in others and not Path(reproduction.digits).is_file():
        raise ValueError(
            f"expected an HDF5 file of digits, got {reproduction.digits}; give the path of usps.h5"
        )
    for (kind, of_kind), seed in itertools.product(others.items(), settings.seeds):
        given = {**path.get(kind, {}), "seed": seed}
        yield from _variant(of_kind, settings.pretrainings, given, (None, seed), out, ())


def _own_classifiers(reproduction: Reproduction) -> dict[str, ClassifierExperiment]:
    """Reads the experiments as they are, pre-trainings first.

    Raises:
        ValueError: If one is none of a classifier, or takes a trunk that is another, or from other
            data.
    """
    settings = reproduction.classifiers
    probes = _checked(settings.pretrainings.values(), ClassifierExperiment)
    own = _checked((*settings.pretrainings, *settings.experiments), ClassifierExperiment)
    for name, probe in settings.pretrainings.items():
        before, after = own[name], probes[probe]
        for setting, made, taken in (
            ("data.kind", before.data.kind, after.data.kind),
            ("encoder.trunk", before.encoder.trunk, after.encoder.trunk),
        ):
            if made != taken:
                raise ValueError(
                    f"expected one {setting} of a pre-training and of what takes its trunk, got "
                    f"{made} of {name} and {taken} of {probe}; choose another experiment"
                )
    return own


def _with_faces(
    reproduction: Reproduction, experiments: Sequence[str], out: Path
) -> Iterator[Planned]:
    """Plans the data, and what learns from them."""
    settings = reproduction.classifiers
    data, needs = Path(reproduction.data), ()
    if reproduction.data == SPLICES:
        data = out / f"splices_{settings.splices}_of_{settings.splice_side}_pixels"
        yield PlannedSplices(data, settings.splices, settings.splice_side)
        needs = (data,)
    elif not described_faces(data):
        raise ValueError(
            f"expected '{SPLICES}' or a folder that bin/prepare_faces wrote as data, got {data}; "
            "prepare it first"
        )
    given = {"cache": str(out / CACHE), **settings.overrides, "data.path": str(data)}
    for split, seed in itertools.product(settings.splits or (None,), settings.seeds):
        own = {**given, "seed": seed} | ({} if split is None else {"data.split": split})
        pretrainings = settings.pretrainings
        yield from _variant(experiments, pretrainings, own, (split, seed), out, needs)


def _variant(
    experiments: Sequence[str],
    pretrainings: Mapping[str, str],
    given: Mapping[str, Any],
    variant: tuple[str | None, int],
    out: Path,
    needs: tuple[Path, ...],
) -> Iterator[PlannedClassifier]:
    """Plans experiments with one split and one seed, and what takes the trunks of pre-trainings.

    Whether a pre-training helps is asked of the same classifier on random weights, at the same
    side; it is made once for all pre-trainings, and not at all if it is among the experiments.
    """
    planned, controls = [], []
    for name in experiments:
        one = _classifier(name, given, out / _folder(name, *variant), needs)
        planned.append(one)
        if name in pretrainings:
            probe, side = pretrainings[name], _side_of(one)
            on = Path(probe).stem + "_on_"
            trunk = {**given, **side, "encoder.weights": str(one.folder)}
            folder = out / _folder(on + Path(name).stem, *variant)
            planned.append(_classifier(probe, trunk, folder, (*needs, one.folder)))
            random = "_".join(["random", *map(str, side.values())])
            folder = out / _folder(on + random, *variant)
            control = {**given, **side, "encoder.weights": "random"}
            controls.append(_classifier(probe, control, folder, needs))
    yield from planned
    made = [one.experiment for one in planned]
    for control in controls:
        if control.experiment not in made:
            made.append(control.experiment)
            yield control


def _side_of(before: PlannedClassifier) -> dict[str, int]:
    """Returns the setting of the side that a pre-training was made at, if it has one of its own."""
    if before.experiment.mode != "pretrain":
        raise ValueError(
            f"expected pre-trainings as keys of classifiers.pretrainings, got {before.name}, a "
            f"{before.experiment.mode}"
        )
    side = before.experiment.encoder.side
    return {} if side is None else {"encoder.side": side}


def _classifier(
    name: str, given: Mapping[str, Any], folder: Path, needs: tuple[Path, ...]
) -> PlannedClassifier:
    options, experiment = _read(name, given)
    kind = PlannedPretraining if experiment.mode == "pretrain" else PlannedClassifier
    return kind(options, experiment, RunDirectory(folder), needs)


def _read(name: str, settings: Mapping[str, Scalar]) -> tuple[tuple[str, ...], Experiment]:
    """Makes the options of an experiment, and the experiment itself."""
    options = ["--config", command_line.find_config(name)]
    for key, value in settings.items():
        options += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    try:
        experiment = command_line.load_experiment(name, tuple(options[2:]))
    except ValueError as error:  # the experiment itself was read before
        told = str(error).removesuffix(" See --help")
        raise ValueError(
            f"expected settings that {name} takes, got: {told}; the --help of bin/train_agent and "
            "bin/train_classifier lists them"
        ) from error
    return tuple(options), experiment


def _checked(names: Iterable[str], kind: type[Experiment]) -> dict[str, Experiment]:
    """Reads experiments as they are, by name.

    Raises:
        ValueError: If one is not of the kind that is listed there.
    """
    own = {name: command_line.load_experiment(name) for name in names}
    for name, experiment in own.items():
        if not isinstance(experiment, kind):
            lists = {AgentExperiment: "agents", ClassifierExperiment: "classifiers"}
            raise ValueError(
                f"expected {lists[kind]} in {lists[kind]}.experiments, got {name}, which is none; "
                f"put it into {lists[type(experiment)]}.experiments"
            )
    return own


def _folder(name: str, variant: str | None, seed: int) -> str:
    """Names the folder of a run by its experiment, the game or split it was given, and the seed."""
    return "_".join(filter(None, (Path(name).stem, variant, f"seed{seed}")))
