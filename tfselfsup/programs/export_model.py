"""Exports a trained classifier or agent as a SavedModel, as TensorFlow Serving wants it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import AgentExperiment, ClassifierExperiment, Experiment
from tfselfsup.messages import one_line
from tfselfsup.programs.startup import import_quietly, start_tensorflow, user_mistakes
from tfselfsup.runs import RunDirectory, json_object, written_aside
from tfselfsup.serving import layout, model_card


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", help="folder of the run")
    parser.add_argument(
        "--out", required=True, help="folder to write, a new version of a model: DIR/1"
    )
    parser.add_argument(
        "--checkpoint", choices=["last", "best"], help="default: as the run's config.yaml"
    )
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        run = RunDirectory.existing(parsed.run_dir)
        experiment = _with_checkpoint(run.experiment(), parsed.checkpoint)
    start_tensorflow(experiment.runtime)
    with user_mistakes():
        described = export(experiment, run, Path(parsed.out))
    stand_in = " (stand-in)" if described.get("stand_in") else ""
    name, checkpoint = described["model"], described["checkpoint"]
    print(f"{parsed.out}: {described['kind']} {name}{stand_in}, {checkpoint} checkpoint")


def _with_checkpoint(experiment: Experiment, checkpoint: str | None) -> Experiment:
    section = _KINDS[type(experiment)].section
    if checkpoint is None:
        return experiment
    settings = dataclasses.replace(getattr(experiment, section), checkpoint=checkpoint)
    return dataclasses.replace(experiment, **{section: settings})


def export(experiment: Experiment, run: RunDirectory, out: Path) -> dict[str, Any]:
    """Writes a SavedModel and its model card, whole or not at all.

    Args:
        experiment: The run's settings, with the checkpoint that is asked for.
        run: Has the checkpoint.
        out: The folder, a whole number below the model's own.

    Returns:
        What was written to `assets.extra/model.json`.

    Raises:
        ValueError: If the run cannot be exported, or there is such a version.
    """
    layout.check_new(out)
    if run.evaluation() is None:
        print(f"warning: {run.path} has no evaluation to go with the model", file=sys.stderr)
    files = _json_files(run)
    out.parent.mkdir(parents=True, exist_ok=True)
    kind = _KINDS[type(experiment)]
    with written_aside(out) as folder:
        described = kind.save(experiment, run, folder)
        name = f"{out.resolve().parent.name}, version {out.name}"
        try:
            card = kind.card(name, described, experiment, files)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"expected whole files {', '.join(files)} in {run.path}, got "
                f"{type(error).__name__}: {one_line(error)}; score the run again"
            ) from error
        (folder / model_card.FILE).write_text(card)
    return described


def _save_classifier(
    experiment: ClassifierExperiment, run: RunDirectory, folder: Path
) -> dict[str, Any]:
    import_quietly("tensorflow_datasets")
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.serving import classifier_export, saved_models
    from tfselfsup.vision.training_model import LABEL

    # The kind of the images is enough: a model can be exported where the images are not.
    kind = parts.data_kind(experiment.data)
    classifier = trained_classifier.load(experiment, run, kind)
    encoder, checkpoint = classifier.encoder, classifier.checkpoint
    network = classifier.required_network()
    temperature = run.temperature(checkpoint)
    features = encoder.model.output[encoder.reads]
    model = classifier_export.joined(network, LABEL, features)
    description = {
        "kind": "classifier",
        "model": experiment.encoder.trunk,
        "weights": encoder.weights,
        "stand_in": encoder.is_stand_in,
        "task": parts.task_names(experiment),
        "labels": list(kind.label_names),
        "checkpoint": checkpoint,
        "temperature": temperature,
        "side": encoder.side,
        "channels": kind.channels,
    }
    saved_models.save(
        folder,
        classifier_export.signatures(model, temperature),
        model,
        description,
        _travelling(run),
        classifier_export.requests(model),
    )
    return description


def _save_agent(experiment: AgentExperiment, run: RunDirectory, folder: Path) -> dict[str, Any]:
    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.programs.evaluate_agent import agent_name
    from tfselfsup.rl.game_names import resolve_game
    from tfselfsup.rl.objectives import Q
    from tfselfsup.serving import agent_export, saved_models

    environment = parts.make_environment(experiment.environment, experiment.seed, num_envs=1)
    agent, agent_steps = parts.trained_agent(experiment, run, environment)
    environment.close()
    model = agent_export.only(agent.model, Q)
    description = {
        "kind": "agent",
        "model": agent_name(experiment.agent),
        "game": resolve_game(experiment.environment.game),
        "labels": _actions(experiment.environment.game),
        "checkpoint": experiment.evaluation.checkpoint,
        "agent_steps": agent_steps,
    }
    saved_models.save(
        folder,
        agent_export.signatures(model),
        model,
        description,
        _travelling(run),
        agent_export.requests(model),
    )
    agent_export.save_policy(agent.policy, agent_steps, folder / agent_export.POLICY)
    return description


def _actions(game: str) -> list[str]:
    """Names a game's actions, such as NOOP and FIRE, in the order of their numbers."""
    import ale_py

    from tfselfsup.rl.game_names import resolve_game

    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    emulator = ale_py.ALEInterface()
    emulator.loadROM(ale_py.roms.get_rom_path(resolve_game(game)))
    return [action.name for action in emulator.getMinimalActionSet()]


def _travelling(run: RunDirectory) -> list[Path]:
    """Lists the files of a run that go with its model."""
    names = ("config.yaml", "inputs.json", "evaluation*.json")
    return [path for name in names for path in sorted(run.path.glob(name))]


def _json_files(run: RunDirectory) -> dict[str, dict[str, Any]]:
    """Reads what a run says of itself, by the names of the files."""
    names = ("inputs.json", "environment.json", "evaluation*.json")
    paths = [path for name in names for path in run.path.glob(name)]
    return {path.name: json_object(path, "make it again") for path in paths}


@dataclasses.dataclass(frozen=True)
class _Kind:
    """How experiments of a kind are exported.

    Attributes:
        section: Of the settings, the one that chooses the checkpoint.
        save: Writes the SavedModel, and returns what it is.
        card: Writes the model card.
    """

    section: str
    save: Callable[[Any, RunDirectory, Path], dict[str, Any]]
    card: Callable[[str, dict[str, Any], Any, model_card.Files], str]


_KINDS: dict[type[Experiment], _Kind] = {
    ClassifierExperiment: _Kind("scoring", _save_classifier, model_card.of_classifier),
    AgentExperiment: _Kind("evaluation", _save_agent, model_card.of_agent),
}
