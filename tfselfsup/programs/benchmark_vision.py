"""What `bin/benchmark` measures of classifiers: encoders, and probes that diverge."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfselfsup.config import ClassifierExperiment, EncoderConfig, ImageDataConfig, ProbeConfig
from tfselfsup.runs import RunDirectory

if TYPE_CHECKING:
    import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16")
CACHED_IMAGES = 8000


def measure_encoders(parsed) -> list[dict]:
    """Measures every trunk for photographs in both precisions, and TF-Hub modules in their own.

    Returns:
        A row for each: images/s, and those of the cache.

    Raises:
        ValueError: If a module is none, or does not encode images.
    """
    import numpy as np

    from tfselfsup.benchmarks import encoders as measured

    # All are built before one is compiled, so that a module that is none is found at once.
    built = [*_modules(parsed.modules), *_trunks()]
    cases = [measured.EncoderCase(*encoder) for encoder in built]
    for _ in range(parsed.intervals):
        for case in cases:
            case.run(parsed.batches)
    rows = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            cached = measured.cached_images_per_second(Path(folder), CACHED_IMAGES, case.width)
        speed = np.median(case.images_per_second)
        rows.append(
            {
                "encoder": case.name,
                "side, pixels": case.side,
                "precision": case.precision,
                "images/s": f"{speed:.1f}",
                "from, to": f"{min(case.images_per_second):.1f}, {max(case.images_per_second):.1f}",
                "from the cache, images/s": f"{cached:,.0f}",
                "gain": f"{cached / speed:,.0f}",
            }
        )
    return rows


def _trunks() -> Iterator[tuple[str, str, tf.keras.Model]]:
    """Builds the trunks for photographs in each precision; with the name and the precision."""
    from tfselfsup.models import encoders, trunks

    photographic = {name: trunk for name, trunk in trunks.TRUNKS.items() if trunk.channels == 3}
    for (name, trunk), precision in itertools.product(photographic.items(), PRECISIONS):
        shape = (1, trunk.side, trunk.side, 3)
        yield name, precision, encoders.encoder(shape, name, precision=precision)


def _modules(handles: Sequence[str]) -> Iterator[tuple[str, str, tf.keras.Model]]:
    """Builds encoders of TF-Hub modules, which calculate in float32; with name and precision."""
    from tfselfsup.models import hub_encoders, hub_stand_in
    from tfselfsup.programs.classifier_encoders import marked

    shape = (1, hub_encoders.SIDE, hub_encoders.SIDE, 3)
    for handle in handles:
        directory = hub_encoders.resolve(handle)
        name = marked(handle, hub_stand_in.is_stand_in(directory))
        yield name, PRECISIONS[0], hub_encoders.encoder(shape, directory)


def measure_probes(parsed) -> list[dict]:
    """Counts over seeds and scales of the features how often a probe diverges or learns nothing.

    Returns:
        A row for each probe and scale; they are written to `--run_dir`, too, if there is one.

    Raises:
        ValueError: If the data or the encoder cannot be had, or the folder holds another run.
    """
    from tfselfsup.programs import classifier_encoders, trained_classifier
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.vision import divergence

    experiment = ClassifierExperiment(
        cache=parsed.cache,
        data=ImageDataConfig(path=parsed.data),
        encoder=EncoderConfig(trunk=parsed.trunk, weights=parsed.weights),
    )
    run = None if parsed.run_dir is None else _start_counting(parsed.run_dir, experiment)
    data = parts.open_data(experiment.data)
    encoder = classifier_encoders.make_encoder(experiment, data)
    features = trained_classifier.features_of_all(experiment, encoder, data)
    split = experiment.data
    runs = divergence.experiment(
        features,
        data.index["label"].to_numpy(int),
        lambda seed: data.parts(split.split, split.fractions, seed, split.balance),
        {solver: parts.make_probe(ProbeConfig(solver)) for solver in ("lbfgs", "adam", "knn")},
        range(parsed.seeds),
    )
    counted = divergence.summary(runs)
    if run is not None:
        rows = json.loads(counted.to_json(orient="records", double_precision=15))
        run.write_evaluation(
            {
                "kind": "probes",
                "model": experiment.encoder.trunk,
                "weights": encoder.weights,
                "stand_in": encoder.is_stand_in,
                "data_set": parts.data_set_name(data),
                "data_hash": data.fingerprint(),
                "split": split.split,
                "probes": rows,
            }
        )
    return counted.round(3).to_dict("records")


def _start_counting(path: str, experiment: ClassifierExperiment) -> RunDirectory:
    """Begins the folder for the counts, before time goes into what cannot be written there."""
    run = RunDirectory(path)
    # What an interrupted count leaves is begun again.
    others = {file.name for file in Path(path).glob("*")} - {"config.yaml", "environment.json"}
    if others and (run.evaluation() or {}).get("kind") != "probes":
        raise ValueError(
            f"expected a new folder, or one of counted probes, for --run_dir, got {path}"
        )
    run.start(experiment)
    return run
