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

    def __init__(self, folder: Path, description: dict[str, Any]):
        """Loads the model and answers one request, so that the first client need not wait.

        Args:
            folder: Of the version.
            description: What it is.
        """
        self.description = {**description, "version": int(folder.name)}
        self._loaded = tf.saved_model.load(str(folder))  # its variables vanish with it
        self._function = self._loaded.signatures[self.signature]
        self.outputs = tuple(sorted(self._function.structured_outputs))
        self.answer([self._blank()])

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
        """Answers several examples in one call: for each a value of every output."""
        batch = self._function(**{self.input: tf.constant(np.stack(examples))})
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


_KINDS = {"classifier": ServedClassifier, "agent": ServedAgent}


def load(folder: Path) -> ServedModel:
    """Loads a version of a model.

    Raises:
        ValueError: If it was not written by `bin/export_model`.
    """
    description = layout.description(folder)
    if description.get("kind") not in _KINDS:
        raise ValueError(
            f"expected a model of kind {' or '.join(_KINDS)}, got {description.get('kind')} in "
            f"{folder}; export it again with bin/export_model"
        )
    return _KINDS[description["kind"]](folder, description)
