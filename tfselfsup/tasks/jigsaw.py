"""Jigsaw: how were the tiles of a picture permuted?"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfselfsup.tasks.base import ClassificationHead, ClassificationTask, Examples

_GRIDS = (2, 3)
_MOST_CLASSES = 1000  # the paper's number
_LARGEST_GAP = 0.25
_SMALLEST_CELL = 4  # pixels, of which the largest gap leaves 2 that every crop shows


class Jigsaw(ClassificationTask):
    """Cuts the picture into a grid of tiles and permutes them; the class names the permutation.

    All frames of an example are cut and permuted alike. The permutations are far apart: any two of
    the default set differ in 7 of 9 places or more (see `far_apart`). Edges that continue from tile
    to tile would give the answer away, so that a tile is a crop of its cell, taken at random and
    shown in the middle of the place it goes to, with black around it: as in the paper about 64 of
    75 pixels. Pixels at the border that belong to no cell, where a side is no multiple of the
    grid's, are black too. What is left out is lost, so that there is no inverse.

    The weight is 0 where another permutation of the set gives the same picture: nothing but two
    identical tiles has to be exchanged for that in a grid of 2, nearly all tiles in a grid of 3.
    Tiles count as identical that agree, in all frames, in the middle that every crop shows.

    Noroozi and Favaro, "Unsupervised learning of visual representations by solving jigsaw puzzles",
    ECCV 2016, arXiv:1603.09246. There every tile goes through the trunk alone, and is normalised;
    here the trunk reads the picture that the tiles make, in the one pass that all heads share, and
    `TilesHead` tells the tiles apart.

    Attributes:
      grid: tiles on a side.
      gap: share of a cell's side that a crop leaves out.
      permutations: int32 [num_classes, grid * grid]; permutation p means that place k, counted row
        by row, shows tile p[k].
    """

    def __init__(self, grid: int = 3, permutations: int = 24, gap: float = 0.15):
        """Makes the task.

        Args:
          grid: tiles on a side, 2 or 3.
          permutations: how many classes, from 2 to 1000, and at most (grid * grid)!. The default is
            all that a grid of 2 has, and about the 30 of Carlucci et al., CVPR 2019,
            arXiv:1903.06864, who ask this task beside a main one, as it is asked here.
          gap: share of a cell's side that a crop leaves out, in [0, 0.25]; 0 shows whole cells.

        Raises:
          ValueError: an option is something else.
        """
        self.check_option("grid", grid, type(grid) is int and grid in _GRIDS, "2 or 3")
        most = min(math.factorial(grid * grid), _MOST_CLASSES)
        is_count = type(permutations) is int and 2 <= permutations <= most
        expected = f"a whole number from 2 to {most} in a grid of {grid}"
        self.check_option("permutations", permutations, is_count, expected)
        is_share = type(gap) in (int, float) and 0 <= gap <= _LARGEST_GAP
        self.check_option("gap", gap, is_share, f"a number in [0, {_LARGEST_GAP}]")
        self.grid = grid
        self.gap = gap
        self.num_classes = permutations
        self.permutations = far_apart(grid * grid, permutations)

    def check(self, frame_shape: Sequence[int]) -> None:
        """Checks that the picture is large enough to be cut; see `Task.check`."""
        super().check(frame_shape)
        _, height, width, _ = frame_shape
        fewest = self.grid * _SMALLEST_CELL
        if min(height, width) < fewest:
            raise ValueError(
                f"task {self.name!r} needs frames of at least {fewest}x{fewest} pixels for a grid "
                f"of {self.grid}, got {height}x{width}; enlarge the frames or choose another task"
            )

    def head(self) -> tf.keras.layers.Layer:
        """Makes a fresh `TilesHead`."""
        return TilesHead(self.grid, self.num_classes)

    def transform(self, frames: tf.Tensor, seed: tf.Tensor) -> Examples:
        """Permutes the tiles; see `Task.transform`."""
        self.check_batch(frames)
        class_seed, crop_seed = tf.unstack(tf.random.split(seed))
        targets = tf.random.stateless_uniform(
            tf.shape(frames)[:1], class_seed, maxval=self.num_classes, dtype=tf.int32
        )
        tiles = tf.gather(self.permutations, targets)
        weights = tf.cast(self._has_one_answer(frames, tiles), tf.float32)
        return Examples(self._permuted(frames, tiles, crop_seed), targets, weights)

    def _permuted(self, frames, tiles, seed):
        """Shows in each place a crop of its tile, int32 [B, places], and black elsewhere."""
        num_frames, height, width, channels = frames.shape[1:]
        rows, columns = self._axis(height), self._axis(width)
        row_seed, column_seed = tf.unstack(tf.random.split(seed))
        top = rows.corner(tiles // self.grid, row_seed)
        left = columns.corner(tiles % self.grid, column_seed)
        # From a pixel of the output to that of the input, as both are numbered row by row.
        place = rows.place[:, None] * self.grid + columns.place
        within = rows.within[:, None] * width + columns.within
        source = tf.gather(top * width + left, place.ravel(), axis=1) + within.ravel()
        is_tile = (rows.is_tile[:, None] & columns.is_tile).astype(np.uint8)
        # All that is at a pixel, in all frames, is moved at once.
        pixels = tf.reshape(
            tf.transpose(frames, [0, 2, 3, 1, 4]), [-1, height * width, num_frames * channels]
        )
        moved = tf.gather(pixels, source, batch_dims=1) * is_tile.reshape(-1, 1)
        moved = tf.reshape(moved, [-1, height, width, num_frames, channels])
        return tf.transpose(moved, [0, 3, 1, 2, 4])

    def _has_one_answer(self, frames, tiles):
        """Tells where only one permutation of the set gives the picture: bool [B]."""
        pairs = tiles[:, tf.newaxis] * self.grid**2 + self.permutations
        is_same = tf.reduce_all(tf.gather(self._twins(frames), pairs, batch_dims=1), axis=-1)
        # The permutation itself gives the picture, of course.
        return tf.math.count_nonzero(is_same, axis=1) == 1

    def _twins(self, frames):
        """Tells which two tiles have the same middle: bool [B, tiles * tiles]."""
        rows, columns = self._axis(frames.shape[2]), self._axis(frames.shape[3])
        middles = [
            frames[:, :, row, column] for row in rows.middles() for column in columns.middles()
        ]
        is_twin = {}
        numbered = itertools.combinations_with_replacement(enumerate(middles), 2)
        for (i, one), (j, other) in numbered:
            is_twin[i, j] = is_twin[j, i] = tf.reduce_all(one == other, axis=[1, 2, 3, 4])
        pairs = itertools.product(range(len(middles)), repeat=2)
        return tf.stack([is_twin[pair] for pair in pairs], axis=1)

    def _axis(self, size: int) -> "_Axis":
        cell = size // self.grid
        return _Axis(size, self.grid, cell, round(self.gap * cell))


class _Axis(NamedTuple):
    """How one side of a picture is cut, in pixels.

    Attributes:
      size: the side.
      grid: cells on it; what they leave over lies at both ends.
      cell: side of a cell.
      gap: what a crop leaves of it.
    """

    size: int
    grid: int
    cell: int
    gap: int

    @property
    def start(self) -> int:
        """Where the first cell begins."""
        return (self.size - self.grid * self.cell) // 2

    @property
    def place(self) -> np.ndarray:
        """The cell that each pixel is in, or next to: int [size]."""
        return ((np.arange(self.size) - self.start) // self.cell).clip(0, self.grid - 1)

    @property
    def within(self) -> np.ndarray:
        """How far into a crop each pixel is, or the one next to it: int [size]."""
        return self._offset.clip(0, self.cell - self.gap - 1)

    @property
    def is_tile(self) -> np.ndarray:
        """Which pixels show a crop: bool [size]."""
        return self._offset == self.within

    @property
    def _offset(self) -> np.ndarray:
        cell_start = self.start + self.place * self.cell
        return np.arange(self.size) - cell_start - self.gap // 2

    def corner(self, cells: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws where crops of cells, int32 [B, places], begin."""
        offset = tf.random.stateless_uniform(
            tf.shape(cells), seed, maxval=self.gap + 1, dtype=tf.int32
        )
        return self.start + self.cell * cells + offset

    def middles(self) -> list[slice]:
        """Lists the part of each cell that every crop shows."""
        starts = self.start + self.cell * np.arange(self.grid)
        return [slice(start + self.gap, start + self.cell - self.gap) for start in starts]


@tf.keras.utils.register_keras_serializable(package="tfselfsup")
class TilesHead(tf.keras.layers.Layer):
    """Looks at every tile with the same weights, and then at all of them together.

    It reads the map [B, h, w, c], since a trunk's pooled features may be an average over all
    places, which is nearly the same wherever the tiles are. The map is averaged over each place of
    the grid; a layer that all places share, like the paper's fc6, is followed by a
    `ClassificationHead` on what it gives for all of them.
    """

    reads = "map"

    def __init__(self, grid: int, num_classes: int, tile_units: int = 64, **kwargs):
        """Makes the layer.

        Args:
          grid: tiles on a side.
          num_classes: width of the output.
          tile_units: width of the layer that all tiles share, which is followed by a ReLU.
          **kwargs: those of every Keras layer.
        """
        super().__init__(**kwargs)
        self.grid = grid
        self.num_classes = num_classes
        self.tile_units = tile_units
        self.tile = tf.keras.layers.Dense(tile_units, activation="relu", name="tile")
        self.flatten = tf.keras.layers.Flatten(name="all_tiles")
        self.classify = ClassificationHead(num_classes, name="classify")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Turns a map [B, h, w, c] into logits, float32 [B, num_classes]."""
        rows, columns = (
            tf.cast(_shares(size, self.grid), features.dtype) for size in features.shape[1:3]
        )
        tiles = tf.einsum("rh,sw,bhwc->brsc", rows, columns, features)
        return self.classify(self.flatten(self.tile(tiles)))

    def get_config(self) -> dict:
        """Returns what `from_config` needs to make the layer again."""
        own = ("grid", "num_classes", "tile_units")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _shares(size, grid):
    """Weighs `size` positions in the mean of each of `grid` equal parts: float [grid, size]."""
    edges = np.linspace(0, size, grid + 1)[:, None]
    positions = np.arange(size)
    overlap = np.minimum(edges[1:], positions + 1) - np.maximum(edges[:-1], positions)
    return overlap.clip(0) * grid / size


@functools.cache
def far_apart(length: int, count: int) -> np.ndarray:
    """Chooses permutations that differ from each other in many places.

    Greedily, as the paper does: the identity first, then always the permutation whose smallest
    Hamming distance to those before it is largest, of these the one whose distances have the
    largest sum, and of these the first in lexicographic order. The paper begins at random and goes
    by the mean distance alone, which lets two of them come close to each other.

    Args:
      length: of a permutation, at most 9: all are tried.
      count: how many, at most length!.

    Returns:
      int32 [count, length], to be read only.
    """
    candidates = _all_permutations(length)
    chosen = [0]
    smallest = np.full(candidates.shape[1], length, np.int32)
    total = np.zeros_like(smallest)
    for _ in range(count - 1):
        differs = candidates != candidates[:, chosen[-1:]]
        # Sums of single bytes are several times faster.
        distance = differs.sum(axis=0, dtype=np.int8)
        np.minimum(smallest, distance, out=smallest)
        total += distance
        # The sum decides only where the smallest is the same.
        chosen.append(int(np.argmax(smallest * (length * count) + total)))
    permutations = candidates[:, chosen].T.astype(np.int32)
    permutations.flags.writeable = False
    return permutations


def _all_permutations(length):
    """Lists all permutations in lexicographic order, one in each column: int8 [length, length!]."""
    columns = np.zeros((0, 1), np.int8)
    for size in range(1, length + 1):
        first = np.arange(size, dtype=np.int8).repeat(columns.shape[1])
        rest = np.tile(columns, size)
        columns = np.vstack([first, rest + (rest >= first)])
    return columns
