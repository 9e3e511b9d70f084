"""Scores a trained classifier per crop and per video, with intervals over sources."""

from __future__ import annotations

import dataclasses
import re
import sys
from typing import TYPE_CHECKING, Any

from jsonargparse.typing import PositiveInt

from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import ClassifierExperiment
from tfselfsup.config.flattened import flattened
from tfselfsup.programs.startup import import_quietly, start_tensorflow, user_mistakes
from tfselfsup.runs import RunDirectory

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from tfselfsup.datasets.labelled_images import LabelledImages
    from tfselfsup.programs.trained_classifier import TrainedClassifier

SHOWN = ("accuracy", "balanced_accuracy", "auc", "eer", "log_loss", "calibration_error")


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("run_dir", help="folder of the run")
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    parser.add_argument(
        "--part",
        choices=["validation", "test"],
        help="of the run's own split, test by default; another one writes evaluation_PART.json",
    )
    parser.add_argument(
        "--data",
        help="score on this data set instead, on all of it but images and sources that were "
        "trained or validated on; writes evaluation_on_NAME_HASH.json",
    )
    parser.add_argument(
        "--checkpoint", choices=["last", "best"], help="default: as the run's config.yaml"
    )
    parser.add_argument(
        "--resamples", type=PositiveInt | None, help="default: as the run's config.yaml"
    )
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="also measure on images that are compressed, rescaled, blurred or noisy; writes "
        "robustness.csv, named as the evaluation",
    )
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        run = RunDirectory.existing(parsed.run_dir)
        experiment = run.experiment(ClassifierExperiment)
        _check(experiment, parsed)
    chosen = {
        name: parsed[name] for name in ("checkpoint", "resamples") if parsed[name] is not None
    }
    experiment = dataclasses.replace(
        experiment, scoring=dataclasses.replace(experiment.scoring, **chosen)
    )
    start_tensorflow(experiment.runtime)
    import_quietly("tensorflow_datasets")
    with user_mistakes():
        evaluate(experiment, run, parsed.part or "test", parsed.data, parsed.robustness)


def _check(experiment: ClassifierExperiment, parsed) -> None:
    """Refuses options that would have no effect."""
    if parsed.data is not None and parsed.part is not None:
        raise ValueError("expected --part or --data, got both: other data are scored as a whole")
    if parsed.checkpoint is not None and experiment.mode == "probe":
        raise ValueError("expected no --checkpoint, got one: a probe has but one")


def evaluate(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    part: str,
    other_data: str | None = None,
    robustness: bool = False,
) -> dict[str, Any]:
    """Scores a classifier, and writes what came of it.

    Args:
        experiment: The run's settings, with those of the scoring.
        run: Has the checkpoint.
        part: Of the run's own split, `validation` or `test`.
        other_data: Path of another data set to score on instead, all of it but what was learnt.
        robustness: Whether to measure on corrupted images, too.

    Returns:
        What was written: to evaluation.json, evaluation_validation.json for that part, or
        evaluation_on_NAME_HASH.json for other data.

    Raises:
        ValueError: If the run is no classifier, or cannot be scored on these images.
    """
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.programs import trained_classifier
    from tfselfsup.programs.classifier_encoders import seeds
    from tfselfsup.report.classifiers import HASH_DIGITS
    from tfselfsup.vision import evaluation

    own = data = parts.open_data(experiment.data)
    if robustness and own.channels != 3:
        raise ValueError("expected images in colour for --robustness, got grey ones")
    fingerprint = own.fingerprint()
    run.check_inputs({"data": fingerprint})
    part_of = parts.make_parts(experiment, own)
    chosen, ending = part_of == part, "" if part == "test" else f"_{part}"
    if other_data is not None:
        data = parts.open_data(dataclasses.replace(experiment.data, path=other_data))
        chosen, fingerprint = _not_learnt(own, part_of, data), data.fingerprint()
        # Names are not unique: each folder that is laid out like DFDC is called dfdc.
        part, ending = "all", f"_on_{parts.data_set_name(data)}_{fingerprint[:HASH_DIGITS]}"
    if note := parts.coinciding_splits(experiment, own):
        print(note, file=sys.stderr)
    classifier = trained_classifier.load(experiment, run, own)
    temperature = run.temperature(classifier.checkpoint)
    rows = data.index[chosen]
    answered = rows["label"].to_numpy(int), classifier.logits(data, chosen), temperature, rows
    measured = evaluation.evaluate(
        *answered, experiment.scoring.resamples, seeds(experiment.seed)["bootstrap"]
    )
    about = _described(experiment, run, classifier, data, part)
    written = {**about, "data_hash": fingerprint, **measured}
    run.write_predictions(evaluation.predictions(*answered).to_csv(index=False), ending)
    path = run.write_evaluation(written, ending)
    _print(written)
    print(path)
    if robustness:
        described = {name: written[name] for name in ("data_set", "part", "stand_in")}
        described["checkpoint"] = classifier.checkpoint
        table = _robustness(classifier, data, chosen, temperature).assign(**described)
        print(table.to_markdown(index=False, floatfmt=".3f"))
        print(run.write_robustness(table.to_csv(index=False), ending))
    return written


def _not_learnt(own: LabelledImages, part_of: np.ndarray, other: LabelledImages) -> np.ndarray:
    """Chooses of another data set what was not learnt from, bool [N], and says how much is left."""
    import numpy as np

    from tfselfsup.datasets import splits

    is_learnt = _is_learnt(own.index[np.isin(part_of, splits.PARTS[:2])], other)
    print(f"{is_learnt.sum()} of {len(other)} images are left out: they were learnt from")
    return ~is_learnt


def _is_learnt(learnt: pd.DataFrame, other: LabelledImages) -> np.ndarray:
    """Tells which images of a data set are learnt from, or of the same people: bool [N]."""
    import numpy as np
    import pandas as pd

    from tfselfsup.datasets import splits

    # A group is what the hard split would keep on one side: sources, donors and identical images.
    both = [splits.with_donors(learnt), splits.with_donors(other.index)]
    together = pd.concat(both, ignore_index=True)
    together["example_id"] = together.index.astype(str)
    group = splits.groups(together, "hard")
    known = set(other.index["source_id"]) & set(learnt["source_id"])
    by_name = other.index["source_id"].isin(known).to_numpy()
    is_known = np.isin(group[len(learnt) :], group[: len(learnt)])
    if (doubtful := (by_name & ~is_known).sum()) > 0:
        print(
            f"warning: {doubtful} images have the source id of one that was learnt from, in a data "
            "set of another name; if they are the same videos, they are no test",
            file=sys.stderr,
        )
    return is_known


def _described(
    experiment: ClassifierExperiment,
    run: RunDirectory,
    classifier: TrainedClassifier,
    data: LabelledImages,
    part: str,
) -> dict[str, Any]:
    from tfselfsup.programs import classifier_parts as parts

    inputs, encoder = run.inputs(), classifier.encoder
    learnt_from = {"trained_on": inputs["data_set"], "trained_on_hash": inputs["data"]}
    return {
        "kind": "classifier",
        "model": experiment.encoder.trunk,
        "weights": inputs["weights"],
        "stand_in": inputs["stand_in"],
        "task": parts.task_names(experiment),
        "data_set": parts.data_set_name(data),
        **(learnt_from if part == "all" else {}),
        "split": experiment.data.split,
        "part": part,
        "seed": experiment.seed,
        "protocol": {
            "mode": experiment.mode,
            "checkpoint": classifier.checkpoint,
            "side": encoder.side,
            "precision": encoder.key.precision,
            **{name: value for name, value in inputs.items() if name.startswith("pretrain")},
            **_changed(experiment),
        },
    }


def _changed(experiment: ClassifierExperiment) -> dict[str, Any]:
    """Lists the settings that matter to the run and are not the defaults, by dotted name."""
    matters = {"probe": "data|encoder|probe", "fine_tune": "data|encoder|training"}
    told = "data.(path|kind|split)|encoder.(trunk|weights|side|precision)"
    own, defaults = flattened(experiment), flattened(ClassifierExperiment())
    return {
        name: value
        for name, value in own.items()
        if re.match(matters[experiment.mode], name)
        and not re.fullmatch(told, name)
        and defaults.get(name) != value
    }


def _print(written: dict[str, Any]) -> None:
    """Prints the scores with their intervals, of the images and of the videos."""
    from tfselfsup.programs.classifier_encoders import described

    model = described(written["model"], written["weights"], written["stand_in"])
    task = f" with {written['task']}" if written["task"] else ""
    print(
        f"{model}{task}, {written['protocol']['checkpoint']} checkpoint: {written['data_set']}, "
        f"split {written['split']}, part {written['part']}, seed {written['seed']}"
    )
    parts = {"images": written}
    if written["videos"]["examples"] != written["examples"]:
        parts["videos"] = written["videos"]
    for name, scores in parts.items():
        shown = (
            f"{score} {scores[score]:.3f} [{scores[f'{score}_low']:.3f}, "
            f"{scores[f'{score}_high']:.3f}]"
            for score in SHOWN
            if score in scores
        )
        print(f"{scores['examples']} {name} of {scores['sources']} sources: {', '.join(shown)}")
    changes = (
        f"{name} {written[f'{name}_uncalibrated']:.3f} to {written[name]:.3f}"
        for name in ("log_loss", "calibration_error")
    )
    print(f"temperature {written['temperature']:.2f}: {', '.join(changes)}")


def _robustness(
    classifier: TrainedClassifier, data: LabelledImages, chosen, temperature: float
) -> pd.DataFrame:
    """Measures accuracy and AUC on images that are corrupted more and more."""
    import pandas as pd
    from tqdm import tqdm

    from tfselfsup.vision import calibration, robustness

    def predict(images):
        return calibration.apply(classifier.logits_of(images), temperature)

    labels, curves = data.index["label"].to_numpy(int)[chosen], []
    for corruption in tqdm(robustness.CORRUPTIONS, unit=" corruptions"):
        batches = data.images(chosen, side=classifier.encoder.side, batch_size=64)
        images = (batch["image"] for batch in batches.as_numpy_iterator())
        curves.append(robustness.curve(predict, images, labels, corruption))
    return pd.concat(curves, ignore_index=True)
