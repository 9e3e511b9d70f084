"""Is a map worth looking at? Two checks: does it depend on the weights, and on what matters?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.stats import spearmanr

# From pixels, float32 [N, H, W, C], to scores, float [N].
ScoreOf = Callable[[np.ndarray], np.ndarray]

_BLUR = 5 / 224  # of the height: the standard deviation in the code of Petsiuk et al.


def by_position(maps: np.ndarray) -> np.ndarray:
    """Takes the largest value over all axes behind height and width: [N, H, W, ...] to [N, H, W].

    As tf-keras-vis does.
    """
    return maps.max(axis=tuple(range(3, maps.ndim))) if maps.ndim > 3 else maps


def randomised_layers(
    model: tf.keras.Model, maps_of: Callable[[], np.ndarray], seed: int, steps: int = 12
) -> pd.DataFrame:
    """Destroys what a network has learnt, layer by layer from its output on, and maps again.

    Adebayo et al. 2018, "Sanity checks for saliency maps" (arXiv:1810.03292), cascading
    randomisation. A map that stays as it was shows edges of the picture, and not what the network
    has learnt. Here the weights of a layer are shuffled rather than drawn anew: their sizes, and
    with them those of the activations, stay what they were.

    Args:
        model: Whose layers are randomised, such as `pixels.differentiable` makes. It has its own
            weights again when this returns.
        maps_of: Computes maps [N, H, W, ...] with the weights that the model has at the time.
        seed: Of the shuffling.
        steps: The most times that maps are computed anew: a deep network's layers are shuffled
            several at a time.

    Returns:
        A row for the original and for each step from the output to the input: `layer`, down to
        which the layers are shuffled; and `correlation`, Spearman's rank correlation of the maps
        with the original ones, the mean over the images, from -1 to 1. 0 where a map is constant:
        it ranks nothing.
    """
    before = by_position(maps_of())
    generator = np.random.default_rng(seed)
    rows = [("original", 1.0)]
    layers = [layer for layer in reversed(model.layers) if layer.weights]
    groups = np.array_split(np.arange(len(layers)), min(steps, len(layers)))
    with _restored(model):
        for group in groups:
            for layer in (layers[number] for number in group):
                layer.set_weights([_shuffled(weight, generator) for weight in layer.get_weights()])
            rows.append((layer.name, _correlation(before, by_position(maps_of()))))
    return pd.DataFrame(rows, columns=["layer", "correlation"])


@contextmanager
def _restored(model: tf.keras.Model) -> Iterator[None]:
    weights = model.get_weights()
    try:
        yield
    finally:
        model.set_weights(weights)


def _shuffled(weight: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(weight.ravel()).reshape(weight.shape)


def _correlation(maps: np.ndarray, others: np.ndarray) -> float:
    pairs = zip(maps.reshape(len(maps), -1), others.reshape(len(others), -1), strict=True)
    return float(np.mean([_rank_correlation(one, other) for one, other in pairs]))


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.min() == one.max() or other.min() == other.max():
        return 0.0
    return spearmanr(one, other).statistic


def deletion_and_insertion(
    score_of: ScoreOf,
    pixels: np.ndarray,
    maps: np.ndarray,
    *,
    steps: int = 20,
    random_orders: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Follows the score while the pixels are deleted, or inserted, in the order of the map.

    Petsiuk et al. 2018, RISE (arXiv:1806.07421). Deleted pixels get the image's mean colour;
    inserted ones come into a blurred copy. If the map is right, the score falls faster, or rises
    faster, than with the pixels in a random order.

    Args:
        score_of: Scores pixels, such as by the probability of a class.
        pixels: float [N, H, W, C].
        maps: [N, H, W, ...]; a position goes with all of its channels.
        steps: Equal parts in which the positions change.
        random_orders: How many random orders are followed beside the map's; the mean counts.
        seed: Of the random orders.

    Returns:
        Rows of `curve`, `deletion` or `insertion`; `order`, `map` or `random`; `fraction` of the
        positions changed, from 0 to 1; and `score`, the mean over the images.
    """
    order = by_position(maps).reshape(len(maps), -1)
    generator = np.random.default_rng(seed)
    drawn = [generator.random(order.shape) for _ in range(random_orders)]
    rows = []
    for curve, (start, end) in {
        "deletion": (pixels, _mean_colour(pixels)),
        "insertion": (_blurred(pixels), pixels),
    }.items():
        for name, importances in {"map": [order], "random": drawn}.items():
            scores = np.mean([_path(score_of, start, end, one, steps) for one in importances], 0)
            rows += [(curve, name, step / steps, score) for step, score in enumerate(scores)]
    return pd.DataFrame(rows, columns=["curve", "order", "fraction", "score"])


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Computes the area under each curve, by trapezoids.

    Args:
        curves: As `deletion_and_insertion` returns.

    Returns:
        A row for each curve with its areas `map` and `random`, both in the unit of the score.
        Deletion is better the smaller, insertion the larger the map's is.
    """
    found = {
        key: float(np.trapz(rows["score"], rows["fraction"]))
        for key, rows in curves.groupby(["curve", "order"])
    }
    return pd.Series(found).unstack().rename_axis("curve").reset_index()


def _path(
    score_of: ScoreOf, start: np.ndarray, end: np.ndarray, importance: np.ndarray, steps: int
) -> list[float]:
    """Scores the images on the way from `start` to `end`, the most important positions first."""
    count, height, width = start.shape[:3]
    ranks = np.argsort(np.argsort(-importance, axis=1, kind="stable"), axis=1)
    ranks = ranks.reshape(count, height, width, 1)
    changed = (round(step * height * width / steps) for step in range(steps + 1))
    return [float(np.mean(score_of(np.where(ranks < most, end, start)))) for most in changed]


def _mean_colour(pixels: np.ndarray) -> np.ndarray:
    return np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape)


def _blurred(pixels: np.ndarray) -> np.ndarray:
    sigma = max(1.0, _BLUR * pixels.shape[1])
    # OpenCV drops the last axis where it has one channel only.
    images = [cv2.GaussianBlur(image, (0, 0), sigma) for image in pixels]
    return np.stack(images).reshape(pixels.shape)
