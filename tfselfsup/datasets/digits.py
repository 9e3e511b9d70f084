"""Reads the USPS digits, handwritten postcodes: grey images of 16x16 pixels in one HDF5 file.

J. J. Hull, "A database for handwritten text recognition research", IEEE TPAMI 16(5), 1994. Of
several versions that are passed on, this is the one with 7,291 examples to train and 2,007 to test.
Who wrote a digit is not known, so every digit counts as a source of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import tensorflow as tf

from tfselfsup.datasets.augmentation import Augmentation
from tfselfsup.datasets.labelled_images import LabelledImages, checked_choice, scaled
from tfselfsup.datasets.splits import LEFT_OUT, PARTS, checked_fractions

DATA_SET = "usps"
SIDE = 16  # pixels
SPLIT = "official"
_CLASSES = 10
_TRAIN, _VALIDATION, _TEST = PARTS
_STORED_PARTS = (_TRAIN, _TEST)


class DigitData(LabelledImages):
    """The digits of a file with the groups `train` and `test`, in this order.

    Each group has `data`, float [N, 256] in [0, 1], the rows of an image one after another, and
    `target`, int [N] in [0, 9].

    Attributes:
        index: As `splits.COLUMNS` says, and `stored_part`, the group an example is from; `sha256`
            is of the 256 bytes of the image.
    """

    label_names = tuple("0123456789")
    channels = 1

    def __init__(self, path: str | Path):
        """Reads all digits, 2.4 MB.

        Args:
            path: The HDF5 file.

        Raises:
            ValueError: If there is no such file, or if it holds something else.
        """
        try:
            with h5py.File(path) as file:
                read = {part: _read(file, part, path) for part in _STORED_PARTS}
        except OSError as error:
            found = "a file that HDF5 cannot read" if Path(path).is_file() else "no file"
            raise ValueError(
                f"expected an HDF5 file of digits, got {found} at {path}; give the path of usps.h5"
            ) from error
        self._images = np.concatenate([images for images, _ in read.values()])
        labels = np.concatenate([labels for _, labels in read.values()])
        self.index = _index(self._images, labels, {part: len(read[part][1]) for part in read})

    def images(
        self,
        chosen: np.ndarray,
        *,
        side: int,
        batch_size: int,
        shuffle_seed: int | None = None,
        augmentation: Augmentation | None = None,
    ) -> tf.data.Dataset:
        """Reads images of some digits; see `LabelledImages.images`.

        Images are not changed at random: a mirrored digit is another sign or none, and the changes
        of colours and of compression are made for photographs.
        """
        chosen = checked_choice(chosen, len(self))
        if augmentation not in (None, Augmentation()):
            raise ValueError(
                f"expected no augmentation of digits, got {augmentation}; switch its changes off"
            )
        (rows,) = np.nonzero(chosen)
        examples = tf.data.Dataset.from_tensor_slices(
            {
                "image": self._images[rows],
                "label": self.index["label"].to_numpy()[rows],
                "row": rows.astype(np.int64),
            }
        )
        if shuffle_seed is not None:
            examples = examples.shuffle(len(rows), seed=shuffle_seed)
        batches = examples.batch(batch_size)
        if side != SIDE:
            batches = batches.map(
                lambda batch: {**batch, "image": scaled(batch["image"], side)},
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
        return batches.prefetch(tf.data.AUTOTUNE)

    def parts(
        self, split: str, fractions: Sequence[float], seed: int, balance: bool = False
    ) -> np.ndarray:
        """Says for every digit which part it belongs to; see `LabelledImages.parts`.

        Args:
            split: `official`: the file's test part tests, and its training part is divided.
            fractions: Of the training part, fractions[1] / (fractions[0] + fractions[1]) validate,
                the same share of every class to within one digit.
            seed: Seeds which of them validate, and what balancing leaves out.
            balance: Leave out digits, until each part has as many of every class.

        Returns:
            Names in `splits.PARTS`, or `splits.LEFT_OUT`: str [N].

        Raises:
            ValueError: If the split or a fraction is none of the above, if a part would be empty,
                or if a part to balance lacks a class.
        """
        if split != SPLIT:
            raise ValueError(f"expected the split {SPLIT} of digits, got {split!r}; take that one")
        train, validation, _ = checked_fractions(fractions)
        random = np.random.default_rng(seed)
        parts = self.index["stored_part"].to_numpy(f"<U{max(map(len, PARTS))}", copy=True)
        labels = self.index["label"].to_numpy()
        (rows,) = np.nonzero(parts == _TRAIN)
        wanted = np.rint(np.bincount(labels[rows]) * validation / (train + validation))
        parts[rows[_turns(labels[rows], random) < wanted[labels[rows]]]] = _VALIDATION
        for part in PARTS if validation else _STORED_PARTS:
            (rows,) = np.nonzero(parts == part)
            counts = np.bincount(labels[rows], minlength=_CLASSES)
            if not counts.any():
                raise ValueError(
                    f"expected digits in the {part} part, got none at fractions {fractions}; "
                    "change these"
                )
            if balance and not counts.all():
                raise ValueError(
                    f"expected every digit in the {part} part to balance, got no "
                    f"{counts.argmin()}; do not balance"
                )
            if balance:
                parts[rows[_turns(labels[rows], random) >= counts.min()]] = LEFT_OUT
        return parts


def _turns(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Numbers the examples of each class from 0, in an order drawn at random: int [N]."""
    order = random.permutation(len(labels))
    turns = np.empty(len(labels), int)
    turns[order] = pd.Series(order).groupby(labels[order]).cumcount()
    return turns


def _read(file: h5py.File, part: str, path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads a part as images uint8 [N, 16, 16, 1] and labels int64 [N]."""
    names = [f"{part}/{name}" for name in ("data", "target")]
    for name in names:
        if not isinstance(file.get(name), h5py.Dataset):
            raise ValueError(f"expected an array {name} in {path}, got none; take a file of USPS")
    data, target = (file[name] for name in names)
    if data.ndim != 2 or data.shape[1] != SIDE**2 or target.shape != (len(data),) or not len(data):
        raise ValueError(
            f"expected {part}/data [N, {SIDE**2}] and {part}/target [N] in {path}, got "
            f"{list(data.shape or ())} and {list(target.shape or ())}; take a file of USPS"
        )
    pixels, labels = data[()], target[()]
    _check(pixels, "f", 1, f"floats from 0 to 1 in {names[0]} of {path}")
    _check(labels, "iu", _CLASSES - 1, f"whole numbers from 0 to 9 in {names[1]} of {path}")
    images = np.rint(255 * pixels).astype(np.uint8)
    return images.reshape(-1, SIDE, SIDE, 1), labels.astype(np.int64)


def _check(values: np.ndarray, kinds: str, highest: int, expected: str) -> None:
    if values.dtype.kind not in kinds:
        found = str(values.dtype)
    # Written so that NaN does not pass.
    elif not (values.min() >= 0 and values.max() <= highest):
        found = f"{values.min()} to {values.max()}"
    else:
        return
    raise ValueError(f"expected {expected}, got {found}; take a file of USPS")


def _index(images: np.ndarray, labels: np.ndarray, counts: dict[str, int]) -> pd.DataFrame:
    digits = [f"{part}/{number}" for part, count in counts.items() for number in range(count)]
    return pd.DataFrame(
        {
            "example_id": [f"{DATA_SET}/{digit}" for digit in digits],
            "label": labels,
            "data_set": DATA_SET,
            "video_id": digits,
            "source_id": digits,
            "actor": "",
            "sha256": [hashlib.sha256(image.tobytes()).hexdigest() for image in images],
            "stored_part": np.repeat(list(counts), list(counts.values())),
        }
    )
