"""The model card that goes with an exported model (Mitchell et al. 2019, arXiv:1810.03993).

The text is in templates/, for people to read and improve; what is filled in comes from the files of
the run, so that no figure in a card can differ from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from string import Template
from typing import Any

from tabulate import tabulate

from tfselfsup.config import AgentExperiment, ClassifierExperiment

FILE = "MODEL_CARD.md"
NOT_SCORED = (
    "**Not scored.** The run had no evaluation when the model was exported: nothing is known of "
    "how good it is."
)

_SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "area under the ROC curve",
    "eer": "equal error rate",
    "average_precision": "average precision",
    "log_loss": "log loss, nats",
    "calibration_error": "calibration error",
}
_UNCALIBRATED = {
    "log_loss_uncalibrated": "log loss before calibration, nats",
    "calibration_error_uncalibrated": "calibration error before calibration",
}
_APART = {
    "random": "by frame: the test part may hold frames of a video that was learnt from, which "
    "makes scores too good, or the fake of a real one that was, which makes them worse",
    "video": "by video: the test part may hold a person who was learnt from, which makes scores "
    "too good, or the fake of a real video that was, which makes them worse",
    "hard": "by source: a real video and all fakes made of it are on one side",
    "actor": "by actor: all videos of a person are on one side",
    "official": "as its makers divided it",
}

# The JSON files of a run directory, by name.
Files = Mapping[str, Mapping[str, Any]]


def of_classifier(
    name: str, description: Mapping[str, Any], experiment: ClassifierExperiment, files: Files
) -> str:
    """Writes the card of a classifier.

    Args:
        name: Of the model.
        description: What `model.json` says.
        experiment: The run's settings.
        files: Of the run: inputs.json and, as far as they are there, environment.json,
            evaluation.json and evaluation_*.json.

    Returns:
        Markdown.
    """
    evaluations = _evaluations(files)
    return _filled(
        experiment.data.kind,
        name=name,
        details=_listed(_classifier_details(description, experiment) | _origin(files)),
        metrics_note=_metrics_note(experiment),
        evaluation_data="\n".join(map(_tested_on, evaluations.values())) or NOT_SCORED,
        training_data=_training_data(experiment, files["inputs.json"]),
        results="\n\n".join(
            [_calibration(description), *_tables(evaluations, description["checkpoint"])]
        ),
    )


def of_agent(
    name: str, description: Mapping[str, Any], experiment: AgentExperiment, files: Files
) -> str:
    """Writes the card of an agent; see `of_classifier`."""
    details = {
        "game": description["game"],
        "agent": description["model"],
        "trunk": experiment.network.trunk,
        "agent steps": f"{description['agent_steps']:,}",
        "checkpoint": description["checkpoint"],
        "seed": experiment.seed,
        "input": "frames, uint8, oldest first",
        "output": f"Q values of the actions {', '.join(description['labels'])}, and the best one",
    }
    evaluation = files.get("evaluation.json")
    return _filled(
        "agent",
        name=name,
        details=_listed(details | _origin(files)),
        results=NOT_SCORED if evaluation is None else _games(evaluation, description),
    )


def _filled(template: str, **values: str) -> str:
    templates = resources.files(__package__).joinpath("templates")
    text = templates.joinpath(f"{template}.md")
    # Images of a kind that a package added have no text of their own.
    text = text if text.is_file() else templates.joinpath("images.md")
    return Template(text.read_text()).substitute(values)


def _listed(values: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items() if value is not None)


def _classifier_details(
    description: Mapping[str, Any], experiment: ClassifierExperiment
) -> dict[str, Any]:
    side, channels = description["side"], description["channels"]
    stand_in = " (**a random stand-in, not the published weights**)"
    return {
        "trunk": description["model"],
        "weights it began with": description["weights"]
        + (stand_in if description["stand_in"] else ""),
        "training": {
            "probe": f"a probe ({experiment.probe.solver}) on the frozen trunk",
            "fine_tune": f"end to end, {experiment.training.epochs} epochs",
        }[experiment.mode],
        "self-supervised task beside the classes": description["task"] or "none",
        "checkpoint": description["checkpoint"],
        "seed": experiment.seed,
        "input": f"images, scaled to {side}x{side} pixels with {channels} channels",
        "output": f"calibrated probabilities of the classes {', '.join(description['labels'])}",
    }


def _origin(files: Files) -> dict[str, Any]:
    """Says with what a model was made."""
    environment = files.get("environment.json", {})
    versions = environment.get("versions", {})
    made_with = (
        f"{name} {versions[name]}" for name in ("tfselfsup", "tensorflow") if name in versions
    )
    return {
        "made with": ", ".join(made_with) or None,
        "revision of the code": environment.get("git_revision"),
    }


def _metrics_note(experiment: ClassifierExperiment) -> str:
    return (
        "Intervals are 95%, by a bootstrap over sources "
        f"({experiment.scoring.resamples} resamples; cluster bootstrap, Field and Welsh 2007), "
        "because images of one source are alike. They tell how the scores would differ with other "
        "sources of the same kind, and not with another training run or other forgers. The "
        "calibration error has 15 bins of confidence (Guo et al. 2017, arXiv:1706.04599); its "
        "interval may lie above it, as the bins of a resample are noisier."
    )


def _evaluations(files: Files) -> dict[str, Mapping[str, Any]]:
    """Picks the evaluations by the names of their files, that of the run's own test part first."""
    names = [name for name in files if name.startswith("evaluation")]
    return {
        name: files[name] for name in sorted(names, key=lambda name: name.removesuffix(".json"))
    }


def _tested_on(evaluation: Mapping[str, Any]) -> str:
    of_what = {
        "all": "all images that are not of a source or an image that was learnt from",
    }.get(evaluation["part"], f"the {evaluation['part']} part")
    return (
        f"- {evaluation['data_set']}, {of_what}: {evaluation['examples']} images of "
        f"{evaluation['sources']} sources"
    )


def _training_data(experiment: ClassifierExperiment, inputs: Mapping[str, Any]) -> str:
    data = experiment.data
    training, validation, _ = data.fractions
    shares = ", ".join(f"{share:.0%}" for share in data.fractions)
    if data.split == "official":  # whose test part is the data set's own
        shares = f"{validation / (training + validation):.0%} of the training part validates"
    balanced = "as many examples of each class" if data.balance else "classes as they come"
    found = {
        "data set": inputs["data_set"],
        "fingerprint": f"`{inputs['data']}`",
        "parts kept apart": _APART[data.split],
        "training, validation and test": f"{shares}; {balanced}",
        "chosen on the validation part": {
            "probe": "the regularisation and the temperature",
            "fine_tune": "the best checkpoint and the temperature",
        }[experiment.mode],
    }
    if inputs.get("pretrained_on_other_data"):
        found["note"] = "the trunk was pre-trained on other data, which may hold test images"
    return _listed(found)


def _calibration(description: Mapping[str, Any]) -> str:
    return (
        f"Logits are divided by the temperature {description['temperature']:.3f}, fitted to the "
        "validation part."
    )


def _tables(evaluations: Mapping[str, Mapping[str, Any]], checkpoint: str) -> list[str]:
    """Writes a table of each evaluation."""
    if not evaluations:
        return [NOT_SCORED]
    found = []
    for name, evaluation in evaluations.items():
        found.append(f"### {evaluation['data_set']}, {evaluation['part']} part (`{name}`)")
        if (scored := evaluation["protocol"]["checkpoint"]) != checkpoint:
            found.append(_of_another_checkpoint(scored, checkpoint))
        found.append(_table(evaluation))
    return found


def _of_another_checkpoint(scored: str, exported: str) -> str:
    return (
        f"**These are scores of the {scored} checkpoint, and this model is the {exported} one**, "
        "which may be better or worse."
    )


def _table(evaluation: Mapping[str, Any]) -> str:
    columns = {"per image": evaluation, "per video": evaluation.get("videos", {})}
    rows = [
        [name, *(of.get(name, "") for of in columns.values())] for name in ("examples", "sources")
    ]
    rows += [
        [title, *(_figure(of, score) for of in columns.values())]
        for score, title in (_SCORES | _UNCALIBRATED).items()
        if score in evaluation
    ]
    rows += [
        [f"accuracy of class {label}", f"{share:.3f}", ""]
        for label, share in evaluation.get("classes", {}).items()
    ]
    return tabulate(rows, headers=["score", *columns], tablefmt="pipe", disable_numparse=True)


def _figure(scores: Mapping[str, Any], name: str) -> str:
    if name not in scores:
        return ""
    bounds = [scores.get(f"{name}_{bound}") for bound in ("low", "high")]
    interval = "" if None in bounds else " [{:.3f}, {:.3f}]".format(*bounds)
    return f"{scores[name]:.3f}{interval}"


def _games(evaluation: Mapping[str, Any], description: Mapping[str, Any]) -> str:
    """Writes the scores of an agent, and the protocol."""
    lines = [
        f"Score over {evaluation['episodes']} whole games, raw rewards: mean "
        f"{evaluation['mean']:.2f}, standard deviation {evaluation['std']:.2f}, median "
        f"{evaluation['median']:.2f}.",
        _listed(
            {name: value for name, value in evaluation["protocol"].items() if value is not None}
        ),
    ]
    if evaluation["agent_steps"] != description["agent_steps"]:
        lines.insert(
            0,
            f"**These are scores after {evaluation['agent_steps']:,} agent steps**, and this model "
            f"learnt for {description['agent_steps']:,}.",
        )
    if not evaluation["finished"]:
        lines.append("The training was not finished when it was scored.")
    return "\n\n".join(lines)
