"""Features of a frozen encoder, computed once and kept on disk."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfselfsup import __version__
from tfselfsup.datasets.labelled_images import LabelledImages
from tfselfsup.messages import one_line
from tfselfsup.runs import written_aside
from tfselfsup.vision.compiled_outputs import compiled_output


@dataclass(frozen=True)
class FeatureKey:
    """All that features depend on, beside the version of this package.

    Attributes:
        encoder: Name of the trunk or module.
        feature: Which of its features.
        weights_hash: Hash of the contents of its weights; random weights have one too.
        architecture: Hash of its layers and their settings, the preprocessing among them.
        side: Height and width of the images, pixels.
        precision: Keras' policy of the encoder's layers, `float32` or `mixed_bfloat16`.
        data: The data set's fingerprint.
    """

    encoder: str
    feature: str
    weights_hash: str
    architecture: str
    side: int
    precision: str
    data: str

    @property
    def digest(self) -> str:
        """SHA-256 of all attributes and the version, whose preprocessing no hash of weights has."""
        described = json.dumps(_description(self), sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()


class FeatureCache:
    """A folder of feature tables: for each key an array and a description of it."""

    def __init__(self, folder: str | Path):
        """Points at a folder, which need not exist yet."""
        self._folder = Path(folder)

    def load(self, key: FeatureKey) -> np.ndarray | None:
        """Returns the features of a key, float32 [N, d], or None where they must be computed.

        What is damaged counts as not there, with a warning.
        """
        table, description = self._paths(key)
        if not description.is_file():
            return None
        try:
            with table.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            if json.loads(description.read_text()) != {**_description(key), "sha256": content}:
                raise ValueError("the array is not the one that was described")
            features = np.load(table, allow_pickle=False)
            if features.ndim != 2 or features.dtype != np.float32:
                raise ValueError(f"expected float32 [N, d], got {features.dtype} {features.shape}")
        except (OSError, ValueError, EOFError) as error:
            reason = one_line(error)
            warnings.warn(f"{table} is damaged and computed again: {reason}", stacklevel=2)
            return None
        return features

    def store(self, key: FeatureKey, features: np.ndarray) -> None:
        """Keeps the features of a key.

        Args:
            key: What they depend on.
            features: float32 [N, d].

        Raises:
            ValueError: If they are of another type or rank.
        """
        if features.ndim != 2 or features.dtype != np.float32:
            raise ValueError(
                f"expected features float32 [N, d], got {features.dtype} {features.shape}; "
                "convert them before they are stored"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        table, description = self._paths(key)
        with self._alone():
            # The description comes last and holds the array's hash: a kill in between leaves a
            # pair that does not match, which `load` takes for none.
            with written_aside(table) as aside, aside.open("wb") as file:
                np.save(file, features, allow_pickle=False)
            with table.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            with written_aside(description) as aside:
                described = {**_description(key), "sha256": content}
                aside.write_text(json.dumps(described, indent=2) + "\n")

    def _paths(self, key: FeatureKey) -> tuple[Path, Path]:
        return tuple(self._folder / f"{key.digest}{ending}" for ending in (".npy", ".json"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Makes runs side by side, which may end up with the same features, write in turn."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def architecture(encoder: tf.keras.Model) -> str:
    """Names what an encoder computes, whatever its weights and wherever its files lie.

    Args:
        encoder: The model.

    Returns:
        SHA-256, in hexadecimal digits, over the classes of its layers and their settings.
    """
    layers = [
        (type(layer).__name__, layer.get_config() | dict.fromkeys(("directory", "name")))
        for layer in encoder.layers
    ]
    return hashlib.sha256(json.dumps(layers, sort_keys=True, default=str).encode()).hexdigest()


def _description(key: FeatureKey) -> dict[str, Any]:
    return {**dataclasses.asdict(key), "version": __version__}


def features_of(
    encoder: tf.keras.Model,
    key: FeatureKey,
    data: LabelledImages,
    batch_size: int,
    cache: FeatureCache,
) -> tuple[np.ndarray, float | None]:
    """Returns the features of all examples of a data set, from the cache where they are in it.

    Args:
        encoder: From frames uint8 [B, 1, side, side, C] to a dict of features.
        key: What the features depend on; its `feature` says which is wanted.
        data: The data set.
        batch_size: Images of a batch.
        cache: Where they are looked up, and kept.

    Returns:
        The features, float32 [N, d], in the order of the data set's index; and how many images a
        second were decoded and encoded, or None if they came from the cache.

    Raises:
        ValueError: If encoder, key and data do not fit each other, or as `extract` says.
    """
    features = cache.load(key)
    if features is not None and len(features) == len(data):
        return features, None
    wanted, given = (1, key.side, key.side, data.channels), tuple(encoder.input_shape[1:])
    if wanted != given:
        raise ValueError(
            f"expected an encoder of frames {wanted}, as the data and the key's side have them, "
            f"got one of frames {given}; build the encoder for this side and these channels"
        )
    encode = _compiled(encoder, key.feature)
    batches = data.images(np.ones(len(data), bool), side=key.side, batch_size=batch_size)
    began = time.perf_counter()  # after the compilation, which is no matter of the images
    features = _run(encode, batches, len(data))
    rate = len(data) / (time.perf_counter() - began)
    cache.store(key, features)
    return features, rate


def extract(
    encoder: tf.keras.Model,
    feature: str,
    batches: Iterable[Mapping[str, tf.Tensor]],
    count: int,
) -> np.ndarray:
    """Computes a feature of images, in inference mode, with a progress bar.

    Args:
        encoder: From frames uint8 [B, 1, H, W, C] to a dict of features.
        feature: Which of them, one that is [B, d].
        batches: Batches of `image` uint8 [B, H, W, C] and `row` int64 [B], rows ascending.
        count: How many images there are.

    Returns:
        float32 [count, d], in the order of the images.

    Raises:
        ValueError: If the encoder has no such feature or it is of another rank, if rows are out of
            order or of another number, or if a feature is NaN or infinite.
    """
    return _run(_compiled(encoder, feature), batches, count)


def _compiled(encoder: tf.keras.Model, feature: str) -> Callable[[tf.Tensor], tf.Tensor]:
    outputs = encoder.output_shape
    if feature not in outputs:
        raise ValueError(
            f"expected a feature among {', '.join(outputs)}, got '{feature}'; name one of these"
        )
    if len(outputs[feature]) != 2:
        raise ValueError(
            f"expected a feature of shape [B, d], got '{feature}' of {outputs[feature]}; "
            "name another feature"
        )
    return compiled_output(encoder, feature).get_concrete_function()


def _run(
    encode: Callable[[tf.Tensor], tf.Tensor],
    batches: Iterable[Mapping[str, tf.Tensor]],
    count: int,
) -> np.ndarray:
    features, rows = [], []
    with tqdm(total=count, unit=" images", dynamic_ncols=True, disable=None) as bar:
        for batch in batches:
            features.append(encode(batch["image"]).numpy())
            rows.append(np.asarray(batch["row"]))
            bar.update(len(rows[-1]))
    rows = np.concatenate(rows) if rows else np.zeros(0, int)
    if len(rows) != count or (np.diff(rows) <= 0).any():
        raise ValueError(
            f"expected {count} images with ascending rows, got {len(rows)} with rows "
            f"{rows[:5].tolist()}...; read them in the stored order, without shuffling"
        )
    features = np.concatenate(features)
    broken = ~np.isfinite(features).all(axis=1)
    if broken.any():
        raise ValueError(
            f"expected finite features, got NaN or infinity for {broken.sum()} of {count} images, "
            f"first for row {rows[broken][0]}; check the encoder's weights"
        )
    return features
