"""An exported model as a server holds it: prepares one example at a time, answers many at once."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfselfsup.serving import layout, payloads
from tfselfsup.serving.layout import DEFAULT, FRAMES, IMAGES
from tfselfsup.serving.payloads import Refused


class ServedModel(abc.ABC):
    """A version of a model.

    Attributes:
        signature: Name of the signature that is asked.
        input: Name of its input.
        description: What it is, as `bin/export_model` wrote it.
        outputs: Names of what it answers.
    """

    signature: str
    input: str

    def __init__(self, folder: Path, description: dict[str, Any], batch_size: int = 1):
        """Loads the model and answers once at every size of a batch, so that no client need wait.

        Args:
            folder: Of the version.
            description: What it is.
            batch_size: Most examples that will be answered in one call.
        """
        self.description = {**description, "version": int(folder.name)}
        self._loaded = tf.saved_model.load(str(folder))  # its variables vanish with it
        self._function = self._loaded.signatures[self.signature]
        self.outputs = tuple(sorted(self._function.structured_outputs))
        for size in sorted({_padded(count) for count in range(1, batch_size + 1)}):
            self.answer([self._blank()] * size)

    def of_file(self, content: bytes) -> np.ndarray:
        """Returns the example that a file is.

        Raises:
            Refused: If it is none.
        """
        raise Refused(415, f"expected JSON: no file is a request of this {self.kind}")

    @abc.abstractmethod
    def of_instance(self, instance: Any) -> np.ndarray:
        """Returns the example that an instance in JSON is.

        Raises:
            Refused: If it is none.
        """

    def answer(self, examples: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Answers several examples in one call: for each a value of every output.

        The batch is filled up to a power of 2: the first call of a size costs as much as many
        others, because oneDNN prepares its kernels for it.
        """
        filled = [*examples, *[examples[-1]] * (_padded(len(examples)) - len(examples))]
        batch = self._function(**{self.input: tf.constant(np.stack(filled))})
        answers = {name: batch[name].numpy() for name in self.outputs}
        return [{name: answers[name][row] for name in answers} for row in range(len(examples))]

    @property
    def kind(self) -> str:
        """What kind of a model it is."""
        return self.description["kind"]

    @abc.abstractmethod
    def _blank(self) -> np.ndarray:
        """Returns an example that can be answered before anybody has asked."""


class ServedClassifier(ServedModel):
    """Images become squares of one size first: those of several clients fit into one batch."""

    signature = input = IMAGES

    def of_file(self, content: bytes) -> np.ndarray:
        """Decodes and scales a JPEG or PNG file: uint8 [side, side, C]."""
        return payloads.decoded_image(
            content, self.description["side"], self.description["channels"]
        )

    def of_instance(self, instance: Any) -> np.ndarray:
        """Decodes and scales the file in an instance: uint8 [side, side, C]."""
        return self.of_file(payloads.image_of(instance))

    def _blank(self) -> np.ndarray:
        side = self.description["side"]
        return np.zeros((side, side, self.description["channels"]), np.uint8)


class ServedAgent(ServedModel):
    """Frames come as numbers."""

    signature, input = DEFAULT, FRAMES

    def of_instance(self, instance: Any) -> np.ndarray:
        """Reads the frames in an instance: uint8 [H, W, T*C]."""
        return payloads.frames_of(instance, self._shape())

    def _shape(self) -> tuple[int, ...]:
        _, inputs = self._function.structured_input_signature
        return tuple(inputs[FRAMES].shape[1:])

    def _blank(self) -> np.ndarray:
        return np.zeros(self._shape(), np.uint8)


def _padded(count: int) -> int:
    """Returns the next power of 2."""
    return 1 << (count - 1).bit_length()


_KINDS = {"classifier": ServedClassifier, "agent": ServedAgent}


def load(folder: Path, batch_size: int = 1) -> ServedModel:
    """Loads a version of a model.

    Args:
        folder: Of the version.
        batch_size: Most examples that will be answered in one call.

    Raises:
        ValueError: If it was not written by `bin/export_model`.
    """
    description = layout.description(folder)
    if description.get("kind") not in _KINDS:
        raise ValueError(
            f"expected a model of kind {' or '.join(_KINDS)}, got {description.get('kind')} in "
            f"{folder}; export it again with bin/export_model"
        )
    return _KINDS[description["kind"]](folder, description, batch_size)
