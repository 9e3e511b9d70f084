"""Maps with one value for every position, by the batch: no more is kept than what is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfselfsup.attribution import pixels, questions, sanity, smoothgrad
from tfselfsup.attribution.smoothgrad import SmoothGrad


def by_batch(
    maps_of: SmoothGrad,
    frames: np.ndarray,
    targets_of: Callable[[np.ndarray], np.ndarray],
    on_images: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Computes maps, of which only the largest value of each position is kept.

    Args:
        maps_of: Computes them.
        frames: uint8 [N, T, H, W, C].
        targets_of: From float32 [n, H, W, T*C] in [0, 1] to targets, int64 [n].
        on_images: Called after each batch with the number of images in it.

    Returns:
        float32 [N, H, W], at least 0.
    """
    found = [np.zeros((0, *frames.shape[2:4]), np.float32)]
    for at in range(0, len(frames), maps_of.batch_size):
        images = pixels.of_frames(frames[at : at + maps_of.batch_size])
        found.append(sanity.by_position(maps_of(images, targets_of(images))))
        if on_images is not None:
            on_images(len(images))
    return np.concatenate(found)


def of_classes(
    network: tf.keras.Model, output: str, copies: int
) -> Callable[[np.ndarray, np.ndarray | int], np.ndarray]:
    """Makes what computes SmoothGrad maps of where a class's score is sensitive.

    Args:
        network: From frames, uint8 [B, 1, H, W, C], to a dict of outputs. Whatever weights it has
            when maps are asked for are used.
        output: Name of the one with the logits.
        copies: Noisy copies of each image.

    Returns:
        A function from images, uint8 [N, H, W, C], and a class for each, int [N], or one for all,
        to float32 [N, H, W].
    """
    part = pixels.differentiable(network, output)
    score = questions.of_class(output).score
    maps_of = SmoothGrad(smoothgrad.compiled(part, score), copies=copies)

    def maps(images: np.ndarray, classes: np.ndarray | int) -> np.ndarray:
        rest = iter(np.broadcast_to(np.asarray(classes, np.int64), len(images)))
        return by_batch(
            maps_of,
            images[:, np.newaxis],
            lambda batch: np.fromiter(rest, np.int64, count=len(batch)),
        )

    return maps
