"""Maps of the pixels that a classifier's or an agent's answer depends on, by SmoothGrad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt, PositiveInt

from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import AgentExperiment, ClassifierExperiment, Experiment
from tfselfsup.programs.startup import import_quietly, start_tensorflow, user_mistakes
from tfselfsup.runs import RunDirectory, written_aside

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from tfselfsup.attribution.questions import Question

ENGINES = ("own", "tf_keras_vis")


@dataclass(frozen=True)
class Subject:
    """A network, and what it looks at.

    Attributes:
        network: From uint8 [B, T, H, W, C] to a dict of outputs.
        questions: What can be asked about it, by name; the first is asked by default.
        frames: uint8 [N, T, H, W, C].
        names: Of these N.
        shown: Which of them are drawn one by one.
    """

    network: tf.keras.Model
    questions: dict[str, Question]
    frames: np.ndarray
    names: list[str]
    shown: np.ndarray


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parsed = _parser().parse_args(arguments)
    with user_mistakes():
        run = RunDirectory.existing(parsed.run_dir)
        experiment = run.experiment()
        _check_kind(experiment, parsed)
    start_tensorflow(experiment.runtime)
    import_quietly("tensorflow_datasets")
    with user_mistakes():
        print(attribute(experiment, run, parsed))


def _parser() -> ExperimentParser:
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", help="folder of the run")
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument("--out", help="folder to write to; default: RUN_DIR/figures")
    parser.add_argument("--images", nargs="+", help="of a classifier: image files")
    parser.add_argument(
        "--part", choices=["train", "validation", "test"], help="or examples of its split; the test"
    )
    parser.add_argument("--steps", type=PositiveInt | None, help="of an agent: play so long; 200")
    parser.add_argument("--video", action="store_true", help="and write all of the game as an mp4")
    parser.add_argument("--count", type=PositiveInt, default=8, help="examples, or steps, to draw")
    parser.add_argument(
        "--output", help="what is explained: label, q, value or a task; default: label or q"
    )
    parser.add_argument(
        "--target",
        default="predicted",
        help="a class, by its name or its number, or an action, by its number",
    )
    parser.add_argument("--form", choices=["mean_abs", "squared"], default="mean_abs")
    parser.add_argument("--copies", type=PositiveInt, default=20, help="noisy copies of each image")
    parser.add_argument(
        "--noise", type=NonNegativeFloat, default=0.05, help="as a share of an image's range"
    )
    parser.add_argument("--seed", type=NonNegativeInt, default=0)
    parser.add_argument("--batch_size", type=PositiveInt, default=32, help="noisy copies at a time")
    parser.add_argument(
        "--sanity", action="store_true", help="also draw whether the maps are worth looking at"
    )
    parser.add_argument("--engine", choices=ENGINES, default="own", help="what takes the gradients")
    return parser


def _check_kind(experiment: Experiment, parsed: Any) -> None:
    """Refuses options that are for another kind of run, or for other images."""
    if parsed.images and parsed.part:
        raise ValueError("expected --images or --part, got both; leave one out")
    for kind, (options, _) in _KINDS.items():
        for name in options:
            if parsed[name] and not isinstance(experiment, kind):
                raise ValueError(
                    f"expected no --{name} for a run of {type(experiment).__name__}, got "
                    f"{parsed[name]}; leave it out"
                )


def attribute(experiment: Experiment, run: RunDirectory, parsed: Any) -> Path:
    """Computes maps and draws them.

    Args:
        experiment: The run's settings.
        run: Has the checkpoint.
        parsed: The options.

    Returns:
        The folder that was written, whole or not at all.

    Raises:
        ValueError: If the run has no network, or not what is asked about.
    """
    from tfselfsup.attribution import files, keras_vis, pixels, smoothgrad
    from tfselfsup.attribution.questions import Answers

    subject = _KINDS[type(experiment)][1](experiment, run, parsed)
    name = parsed.output or next(iter(subject.questions))
    if name not in subject.questions:
        raise ValueError(
            f"expected an output among {', '.join(subject.questions)}, got '{parsed.output}'"
        )
    question = subject.questions[name]
    part = pixels.differentiable(subject.network, question.output)
    makers = {"own": smoothgrad.compiled, "tf_keras_vis": keras_vis.saliency}
    maps_of = smoothgrad.SmoothGrad(
        makers[parsed.engine](part, question.score),
        copies=parsed.copies,
        noise=parsed.noise,
        form=parsed.form,
        seed=parsed.seed,
        batch_size=parsed.batch_size,
    )
    answers = Answers(part, question, parsed.batch_size)
    shown = pixels.of_frames(subject.frames[subject.shown])
    targets = answers.targets(parsed.target, shown)
    out = Path(parsed.out or run.path / "figures") / f"smoothgrad_{name}_{parsed.form}"
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(out) as folder:
        folder.mkdir()
        maps = files.computed(maps_of, shown, targets)
        names = [subject.names[number] for number in subject.shown]
        files.write_maps(folder, subject.frames[subject.shown], maps, names, targets)
        files.write_settings(folder, _settings(parsed, name, question))
        if parsed.sanity:
            files.write_checks(folder, part, maps_of, answers, (shown, targets, maps))
        if parsed.video:
            files.write_game(folder / "game.mp4", subject.frames, maps_of, answers, parsed.target)
    return out


def _settings(parsed: Any, output: str, question: Question) -> dict[str, Any]:
    names = ("target", "form", "copies", "noise", "seed", "engine")
    return {
        "output": output,
        **{name: parsed[name] for name in names},
        "target_names": question.target_names,
    }


def _classifier(experiment: ClassifierExperiment, run: RunDirectory, parsed: Any) -> Subject:
    import numpy as np

    from tfselfsup.attribution import questions
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.vision.training_model import LABEL

    # The kind of the images is enough: files can be explained where the data set is not.
    kind = parts.data_kind(experiment.data)
    classifier = trained_classifier.load(experiment, run, kind)
    network = classifier.required_network()
    side = classifier.encoder.side
    read = _files if parsed.images else _examples
    images, names = read(experiment, parsed, side)
    outputs = network.output
    asked = {name: questions.of_class(name) for name in outputs if name != LABEL}
    return Subject(
        network,
        {LABEL: questions.of_class(LABEL, kind.label_names), **asked},
        images[:, np.newaxis],
        names,
        np.arange(len(images)),
    )


def _files(experiment: ClassifierExperiment, parsed: Any, side: int):
    """Reads image files: uint8 [N, side, side, C], and their names."""
    import numpy as np
    import tensorflow as tf

    from tfselfsup.datasets.labelled_images import decoded
    from tfselfsup.programs import classifier_parts as parts

    channels, images = parts.data_kind(experiment.data).channels, []
    for file in parsed.images:
        try:
            images.append(decoded(Path(file).read_bytes(), side, channels).numpy())
        except tf.errors.InvalidArgumentError as error:
            raise ValueError(f"expected an image file, got {file}, which is none") from error
    return np.stack(images), [Path(file).stem for file in parsed.images]


def _examples(experiment: ClassifierExperiment, parsed: Any, side: int):
    """Draws examples of a part: uint8 [N, side, side, C], and their names."""
    import numpy as np

    from tfselfsup.programs import classifier_parts as parts

    data = parts.open_data(experiment.data)
    rows = np.flatnonzero(parts.make_parts(experiment, data) == (parsed.part or "test"))
    drawn = np.random.default_rng(parsed.seed).permutation(rows)[: parsed.count]
    chosen = np.isin(np.arange(len(data)), drawn)
    batches = data.images(chosen, side=side, batch_size=64)
    images = np.concatenate([batch["image"] for batch in batches.as_numpy_iterator()])
    labels = np.array(data.label_names)[data.index["label"].to_numpy(int)[chosen]]
    names = data.index["example_id"][chosen]
    return images, [f"{label}_{name}" for label, name in zip(labels, names, strict=True)]


def _agent(experiment: AgentExperiment, run: RunDirectory, parsed: Any) -> Subject:
    import numpy as np

    from tfselfsup.attribution import played_games, questions
    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl.objectives import Q
    from tfselfsup.rl.policies import greedy_policy

    settings = experiment.evaluation
    seed = parts.seeds(experiment.seed)["evaluation"]
    environment = parts.make_environment(
        experiment.environment, seed, 1, settings.repeat_action_probability
    )
    agent, _ = parts.trained_agent(experiment, run, environment)
    frames = played_games.observed(
        environment,
        greedy_policy(agent.model),
        steps=parsed.steps or 200,
        epsilon=settings.epsilon,
        generator=np.random.default_rng(seed),
    )
    environment.close()
    shown = np.unique(np.linspace(0, len(frames) - 1, parsed.count).round().astype(int))
    asked = questions.of_actions(Q, experiment.network.dueling)
    tasks = {task.name: questions.of_class(task.name) for task in experiment.agent.tasks}
    return Subject(
        agent.model,
        {**asked, **tasks},
        frames,
        [f"step_{step}" for step in range(len(frames))],
        shown,
    )


# The options that only one kind of run has, and what makes its subject.
_KINDS: dict[type[Experiment], tuple[tuple[str, ...], Callable[..., Subject]]] = {
    ClassifierExperiment: (("images", "part"), _classifier),
    AgentExperiment: (("steps", "video"), _agent),
}
