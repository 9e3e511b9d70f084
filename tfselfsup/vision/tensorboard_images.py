"""Pictures for TensorBoard: the images that a classifier is most wrong about, and why."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import tensorflow as tf
from scipy.special import softmax

TAG = "misclassified"
EXPLAINED = "misclassified_explained"
SHOWN = 4  # images of an epoch; each is about 50 KB in TensorBoard's file

_SIDE = 224  # pixels, of a picture
_CAPTION = 24  # pixels, the height of what is written below it
_FONT = cv2.FONT_HERSHEY_SIMPLEX


class _Mistake(NamedTuple):
    image: np.ndarray
    taken_for: int
    caption: str
    confidence: float


# From images, uint8 [n, H, W, C], and the classes they are taken for, int64 [n], to pictures of
# what speaks for these, uint8 [n, h, w, 3].
Explain = Callable[[np.ndarray, np.ndarray], np.ndarray]

_confidence = operator.attrgetter("confidence")


class MisclassifiedImages:
    """Writes those images of a data set to TensorBoard that are taken for another class.

    The most confident mistakes come first. Below each stand what it is, what it is taken for and
    the probability of that, which is not calibrated. Under a second tag they are explained.
    """

    def __init__(
        self,
        answer: Callable[[Mapping[str, np.ndarray]], np.ndarray],
        batches: tf.data.Dataset,
        label_names: Sequence[str],
        explain: Explain | None = None,
    ):
        """Takes what is asked, and about which images.

        Args:
            answer: From a batch to logits, float [B, K].
            batches: With `image` uint8 [B, H, W, C], `label` int64 [B] and what else `answer`
                needs. All are asked about at every call: a few hundred images are enough.
            label_names: What the K labels stand for.
            explain: Draws where the wrong class's score is sensitive; None for no such pictures.
        """
        self._answer = answer
        self._batches = batches
        self._label_names = label_names
        self._explain = explain

    def __call__(self) -> None:
        """Writes to TensorBoard's default writer and step; nothing if there is no mistake."""
        mistakes: list[_Mistake] = []
        for batch in self._batches.as_numpy_iterator():
            # Only the worst so far are kept, whatever the number of batches.
            mistakes = sorted(mistakes + self._mistakes(batch), key=_confidence)[-SHOWN:]
        if not mistakes:
            return
        images, taken_for, captions, _ = zip(*reversed(mistakes), strict=True)
        tf.summary.image(TAG, captioned(images, captions), max_outputs=SHOWN)
        if self._explain is not None:
            explained = self._explain(np.stack(images), np.array(taken_for, np.int64))
            tf.summary.image(EXPLAINED, captioned(explained, captions), max_outputs=SHOWN)

    def _mistakes(self, batch: Mapping[str, np.ndarray]) -> list[_Mistake]:
        """Finds the worst mistakes of a batch."""
        probabilities = softmax(np.asarray(self._answer(batch), np.float64), axis=1)
        mistakes = []
        for row in worst(probabilities, batch["label"], SHOWN):
            taken_for = probabilities[row].argmax()
            confidence = probabilities[row, taken_for]
            names = self._label_names[batch["label"][row]], self._label_names[taken_for]
            caption = f"{names[0]}, taken for {names[1]} {confidence:.2f}"
            mistakes.append(_Mistake(batch["image"][row], taken_for, caption, confidence))
        return mistakes


def worst(probabilities: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Finds the most confident mistakes.

    Args:
        probabilities: float [N, K].
        labels: The true classes, int [N].
        count: How many at most.

    Returns:
        Their rows, int [n], by falling probability of the wrong class.
    """
    taken_for = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(taken_for != labels)
    confidence = probabilities[wrong, taken_for[wrong]]
    return wrong[np.argsort(-confidence, kind="stable")][:count]


def captioned(images: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Scales images to one height that can be seen, and writes a line below each.

    Args:
        images: uint8 [n, H, W, C] with C = 1 or 3.
        captions: n lines, in ASCII; long ones are written smaller.

    Returns:
        uint8 [n, 248, w, 3], w = 224 for squares.
    """
    return np.stack([_captioned(*pair) for pair in zip(images, captions, strict=True)])


def _captioned(image: np.ndarray, caption: str) -> np.ndarray:
    width = round(_SIDE * image.shape[1] / image.shape[0])
    picture = np.full((_SIDE + _CAPTION, width, 3), 255, np.uint8)
    grows = image.shape[0] < _SIDE
    # Pixels that are enlarged stay what they are: squares.
    how = cv2.INTER_NEAREST if grows else cv2.INTER_AREA
    colours = np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    picture[:_SIDE] = cv2.resize(colours, (width, _SIDE), interpolation=how)
    (text_width, _), _ = cv2.getTextSize(caption, _FONT, 1.0, 1)
    size = min(0.5, (width - 8) / text_width)
    cv2.putText(picture, caption, (4, _SIDE + _CAPTION - 8), _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    return picture
