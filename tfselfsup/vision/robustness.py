"""Robustness to common image corruptions, such as photographs suffer when they are shared.

Each corruption is applied at several strengths, the mildest first, as by Hendrycks and Dietterich
(2019, arXiv:1903.12261); compression and blur are what Wang et al. (2020, arXiv:1912.11035) test
detectors of forged images with. The classifier is not told, and not trained again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd

from tfselfsup.vision.metrics import scores

Seed = int | np.random.Generator


class Corruption(NamedTuple):
    """Something that happens to images.

    Attributes:
        change: Takes images uint8 [B, H, W, 3] in RGB, a strength and a seed; returns new images
            of the same shape and dtype.
        strengths: At which it is measured, the mildest first.
        unit: What a strength says, with its unit.
    """

    change: Callable[[np.ndarray, float, Seed], np.ndarray]
    strengths: tuple[float, ...]
    unit: str


def jpeg(images: np.ndarray, strength: float, seed: Seed = 0) -> np.ndarray:
    """Compresses images, with half the resolution for colours (4:2:0).

    Images that come from JPEG files hardly change at the quality they were stored at, and may
    change more at a higher one.

    Args:
        images: uint8 [B, H, W, 3], RGB.
        strength: Quality, a whole number in [1, 100]; 100 changes images a little, too.
        seed: Not used; the result does not depend on chance.

    Returns:
        uint8 [B, H, W, 3].

    Raises:
        ValueError: If the images or the strength are not as described.
    """
    del seed
    if strength not in range(1, 101):
        raise _wrong("jpeg", "a quality that is a whole number in [1, 100]", strength)
    quality = (cv2.IMWRITE_JPEG_QUALITY, int(strength))

    def compressed(image):
        # OpenCV writes blue, green and red; the order matters to how colours are compressed.
        _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
        return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    return _each(compressed, images)


def rescale(images: np.ndarray, strength: float, seed: Seed = 0) -> np.ndarray:
    """Scales images down, each new pixel the mean of its area, and bilinearly back up.

    Args:
        images: uint8 [B, H, W, 3].
        strength: Factor for both sides, in (0, 1]; 1 leaves the images as they are.
        seed: Not used; the result does not depend on chance.

    Returns:
        uint8 [B, H, W, 3].

    Raises:
        ValueError: If the images or the strength are not as described.
    """
    del seed
    if not 0 < strength <= 1:
        raise _wrong("rescaling", "a factor in (0, 1]", strength)

    def rescaled(image):
        height, width = image.shape[:2]
        small = [max(1, round(strength * side)) for side in (width, height)]
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)

    return _each(rescaled, images)


def blur(images: np.ndarray, strength: float, seed: Seed = 0) -> np.ndarray:
    """Blurs images with a Gaussian that is cut off at 3 standard deviations.

    Args:
        images: uint8 [B, H, W, 3], mirrored at their edges.
        strength: Standard deviation in pixels, at least 0; 0 leaves the images as they are.
        seed: Not used; the result does not depend on chance.

    Returns:
        uint8 [B, H, W, 3].

    Raises:
        ValueError: If the images or the strength are not as described.
    """
    del seed
    if not 0 <= strength < np.inf:
        raise _wrong("blur", "a finite number of pixels of 0 or more", strength)
    if strength == 0:
        return _each(np.copy, images)
    return _each(lambda image: cv2.GaussianBlur(image, (0, 0), float(strength)), images)


def noise(images: np.ndarray, strength: float, seed: Seed = 0) -> np.ndarray:
    """Adds Gaussian noise, drawn for every pixel and channel, and cuts off what leaves the range.

    Args:
        images: uint8 [B, H, W, 3].
        strength: Standard deviation in grey levels of 255, at least 0; 0 leaves the images as they
            are.
        seed: The same seed draws the same noise, whatever its strength. A generator goes on where
            it stands, so that several batches get the noise of one large one.

    Returns:
        uint8 [B, H, W, 3].

    Raises:
        ValueError: If the images or the strength are not as described.
    """
    if not 0 <= strength < np.inf:
        raise _wrong("noise", "a finite number of grey levels of 0 or more", strength)
    random = np.random.default_rng(seed)

    def noisy(image):
        drawn = random.standard_normal(image.shape, dtype=np.float32)
        return np.clip(np.rint(image + strength * drawn), 0, 255).astype(np.uint8)

    return _each(noisy, images)


CORRUPTIONS: dict[str, Corruption] = {
    "jpeg": Corruption(jpeg, (95, 75, 50, 30, 10), "JPEG quality"),
    "rescaling": Corruption(rescale, (1, 0.75, 0.5, 0.25), "factor, down and back up"),
    "blur": Corruption(blur, (0, 0.5, 1, 2, 4), "standard deviation, pixels"),
    "noise": Corruption(noise, (0, 4, 8, 16, 32), "standard deviation, grey levels"),
}


def get(name: str) -> Corruption:
    """Returns a corruption by its name.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"expected a corruption among {', '.join(CORRUPTIONS)}, got {name!r}")
    return CORRUPTIONS[name]


def curve(
    predict: Callable[[np.ndarray], np.ndarray],
    batches: Iterable[np.ndarray],
    labels: np.ndarray,
    corruption: str,
    *,
    strengths: Sequence[float] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Measures a classifier on images that are corrupted more and more.

    Images are read once, and not kept. All strengths of noise have the same noise pattern, so that
    they differ in nothing else, and how the images are batched changes nothing.

    Args:
        predict: Takes images uint8 [B, H, W, 3], returns probabilities [B, K].
        batches: The images, uint8 [B, H, W, 3] each, N together.
        labels: Their true classes, int [N] in [0, K).
        corruption: A name in `CORRUPTIONS`.
        strengths: At which to measure; those of the corruption by default.
        seed: Seeds the noise.

    Returns:
        One row for each strength: `corruption`, `strength`, `accuracy` and `auc`, both in [0, 1];
        `auc` is NaN unless there are two classes.

    Raises:
        ValueError: If there is no such corruption or strength, if images and labels are not equally
            many, or if probabilities and labels are none (see `metrics.scores`).
    """
    change, default_strengths, _ = get(corruption)
    strengths = default_strengths if strengths is None else tuple(strengths)
    if not strengths:
        raise ValueError(f"expected at least one strength of {corruption}, got none; leave it out")
    randoms = [np.random.default_rng(seed) for _ in strengths]
    predicted = [[] for _ in strengths]
    for images in batches:
        for strength, random, found in zip(strengths, randoms, predicted, strict=True):
            found.append(np.asarray(predict(change(images, strength, random)), np.float64))
    if not predicted[0]:
        raise ValueError("expected at least one batch of images, got none; choose another part")
    rows = []
    for strength, found in zip(strengths, predicted, strict=True):
        measured = scores(labels, np.concatenate(found))
        rows.append((corruption, strength, measured["accuracy"], measured.get("auc", np.nan)))
    columns = ["corruption", "strength", "accuracy", "auc"]
    return pd.DataFrame(rows, columns=columns).astype({"strength": float})


def _each(change: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Changes images one by one: OpenCV's own loops over their pixels are what takes the time."""
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or not images.size:
        raise ValueError(
            f"expected colour images of uint8 [B, H, W, 3], got {images.dtype} "
            f"{list(images.shape)}; hand in batches of photographs as they are stored"
        )
    return np.stack([change(image) for image in images])


def _wrong(name: str, expected: str, strength: float) -> ValueError:
    return ValueError(f"expected {expected} for {name}, got {strength}; change the strength")
