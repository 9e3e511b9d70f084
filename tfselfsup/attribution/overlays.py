"""Draws maps: beside what they are of, and over it."""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np

COLOURS = "inferno"
_LEAST_SIDE = 224  # of a drawn picture, in pixels; smaller ones are enlarged by a whole number
_GAP = 4


def scale_of(maps: np.ndarray) -> float:
    """Returns the value that is drawn as the largest, their 99th percentile.

    Those above it are all drawn alike: a single pixel is not to darken the rest.

    Args:
        maps: Of any shape, at least 0.

    Returns:
        Above 0: 1 where the maps are 0 nearly everywhere.
    """
    return float(np.percentile(maps, 99)) or float(maps.max()) or 1.0


def coloured(map_: np.ndarray, largest: float) -> np.ndarray:
    """Draws a map in colours.

    Args:
        map_: [H, W], at least 0.
        largest: What gets the brightest colour; see `scale_of`.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    shares = np.clip(map_ / largest, 0, 1)
    return (255 * matplotlib.colormaps[COLOURS](shares)[..., :3]).round().astype(np.uint8)


def overlay(image: np.ndarray, map_: np.ndarray, largest: float) -> np.ndarray:
    """Draws a map over a grey copy of its image; where the map is 0 the image stays as it is.

    Args:
        image: uint8 [H, W, C], grey or RGB.
        map_: [H, W], at least 0.
        largest: See `scale_of`.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    grey = as_rgb(as_rgb(image).mean(-1, keepdims=True).round().astype(np.uint8))
    share = np.clip(map_ / largest, 0, 1)[..., np.newaxis]
    return (grey + share * (coloured(map_, largest) - grey.astype(float))).round().astype(np.uint8)


def side_by_side(image: np.ndarray, map_: np.ndarray, largest: float) -> np.ndarray:
    """Draws input, map and overlay in a row.

    Args:
        image: uint8 [H, W, C], grey or RGB.
        map_: [H, W], at least 0.
        largest: See `scale_of`.

    Returns:
        uint8 [h, w, 3], RGB.
    """
    pictures = (as_rgb(image), coloured(map_, largest), overlay(image, map_, largest))
    return row([enlarged(picture) for picture in pictures])


def input_and_overlay(image: np.ndarray, map_: np.ndarray) -> np.ndarray:
    """Draws input and overlay in a row, on the map's own scale.

    Args:
        image: uint8 [H, W, C], grey or RGB.
        map_: [H, W], at least 0.

    Returns:
        uint8 [h, w, 3], RGB.
    """
    pictures = (as_rgb(image), overlay(image, map_, scale_of(map_)))
    return row([enlarged(picture) for picture in pictures])


def fitted(map_: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scales a map, float32 [H, W], to the size of what it is drawn over."""
    shrinks = height < map_.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(map_, (width, height), interpolation=how)


def strip(frames: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Draws the frames of one example in a column, oldest first, on one scale.

    Args:
        frames: uint8 [T, H, W, C].
        maps: [T, H, W, C], at least 0; the largest over the channels is drawn.

    Returns:
        uint8 [h, w, 3], RGB: for each frame input, map and overlay side by side.
    """
    largest, maps = scale_of(maps.max(-1)), maps.max(-1)
    rows = [side_by_side(frame, map_, largest) for frame, map_ in zip(frames, maps, strict=True)]
    return column(rows)


def row(pictures: list[np.ndarray]) -> np.ndarray:
    """Puts pictures of one height beside each other, with white between them."""
    return np.concatenate(_with_gaps(pictures, 1), axis=1)


def column(pictures: list[np.ndarray]) -> np.ndarray:
    """Puts pictures of one width below each other, with white between them."""
    return np.concatenate(_with_gaps(pictures, 0), axis=0)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Gives a grey image, uint8 [H, W, 1], three equal channels."""
    return image if image.shape[-1] == 3 else np.repeat(image, 3, axis=-1)


def enlarged(image: np.ndarray) -> np.ndarray:
    """Enlarges a small image by a whole number, so that its pixels can be seen."""
    factor = -(-_LEAST_SIDE // min(image.shape[:2]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def png(image: np.ndarray) -> bytes:
    """Encodes an image, uint8 [H, W, 3], RGB."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def _with_gaps(pictures: list[np.ndarray], axis: int) -> list[np.ndarray]:
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, np.uint8)
    return [part for picture in pictures for part in (gap, picture)][1:]
