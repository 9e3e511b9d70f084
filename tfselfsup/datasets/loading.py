"""Reads a prepared data set: its index, and images of any part of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
import tensorflow_datasets as tfds
from google.protobuf.json_format import ParseError

from tfselfsup.datasets import forged_faces, splits
from tfselfsup.datasets.augmentation import Augmentation, augment
from tfselfsup.datasets.labelled_images import LabelledImages, checked_choice, decoded
from tfselfsup.messages import one_line

# Encoded images that are shuffled at a time; 10,000 crops of 224x224 take about 50 MB.
_SHUFFLED = 10_000
_INDEX_BATCH = 1024


class FaceData(LabelledImages):
    """A data set that `forged_faces.build` wrote.

    Attributes:
        index: One row for each example, in the order in which they are stored: `example_id`,
            `label`, `data_set`, `video_id`, `source_id`, `actor`, `donor` (not in data sets of
            version 1.0.0), `manipulation`, `frame_index`, `seconds`, `confidence`,
            `faces_in_frame`, `has_mask` and `sha256`.
    """

    label_names = forged_faces.LABELS
    channels = 3

    def __init__(self, directory: str | Path):
        """Opens the data set and reads its index, without decoding an image.

        Args:
            directory: Where `bin/prepare_faces` wrote to.

        Raises:
            ValueError: If there is no data set, or a damaged one.
        """
        folder = forged_faces.folder(directory)
        if not (folder / "dataset_info.json").is_file():
            raise ValueError(
                f"expected a data set in {directory}, got no {folder.relative_to(directory)}; "
                "make one with bin/prepare_faces"
            )
        try:
            self._builder = tfds.builder_from_directory(folder)
            self.index = self._read_index()
        except (ValueError, KeyError, ParseError, tf.errors.OpError) as error:
            raise ValueError(
                f"expected a whole data set in {folder}, got: {one_line(error)}; make it again "
                "with bin/prepare_faces"
            ) from error

    def images(
        self,
        chosen: np.ndarray,
        *,
        side: int,
        batch_size: int,
        shuffle_seed: int | None = None,
        augmentation: Augmentation | None = None,
    ) -> tf.data.Dataset:
        """Decodes images of some examples, in parallel; see `LabelledImages.images`."""
        chosen = checked_choice(chosen, len(self))
        if augmentation is not None and shuffle_seed is None:
            raise ValueError("expected a shuffle_seed for augmentation, got None")
        is_chosen = tf.constant(chosen)
        examples = self._stored({"image": tfds.decode.SkipDecoding()}).enumerate()
        examples = examples.filter(lambda row, _: is_chosen[row])
        examples = examples.apply(tf.data.experimental.assert_cardinality(int(chosen.sum())))
        if shuffle_seed is not None:
            examples = examples.shuffle(min(int(chosen.sum()), _SHUFFLED), seed=shuffle_seed)
        noise = tf.data.Dataset.random(shuffle_seed or 0, rerandomize_each_iteration=True)

        def decode(row_and_example, noise):
            row, example = row_and_example
            image = decoded(example["image"], side)  # ready crops may be PNGs
            if augmentation is not None:
                image = augment(image, tf.stack([shuffle_seed, noise]), augmentation)
            return {"image": image, "label": example["label"], "row": row}

        return (
            tf.data.Dataset.zip(examples, noise)
            .map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .batch(batch_size)
            .prefetch(tf.data.AUTOTUNE)
        )

    def parts(
        self, split: str, fractions: Sequence[float], seed: int, balance: bool = False
    ) -> np.ndarray:
        """Says for every example which part it belongs to; see `splits.assign`."""
        return splits.assign(self.index, split, fractions, seed, balance)

    def _read_index(self) -> pd.DataFrame:
        features = self._builder.info.features
        wanted = [name for name in features if name not in ("image", "box")]
        partial = tfds.decode.PartialDecoding({name: True for name in wanted})
        columns = {name: [] for name in wanted}
        for batch in self._stored(partial).batch(_INDEX_BATCH).as_numpy_iterator():
            for name, values in batch.items():
                columns[name].append(values)
        index = pd.DataFrame({name: np.concatenate(parts) for name, parts in columns.items()})
        for name in index.select_dtypes("object"):
            index[name] = index[name].str.decode("utf-8")
        frame = index["frame_index"].astype(str)
        index["example_id"] = index["data_set"] + "/" + index["video_id"] + "/" + frame
        return index

    def _stored(self, decoders) -> tf.data.Dataset:
        """All examples in the order in which they are stored."""
        return self._builder.as_dataset(
            split=forged_faces.STORED_SPLIT,
            shuffle_files=False,
            decoders=decoders,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
