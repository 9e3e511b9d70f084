"""A batched sum tree, the data structure behind proportional prioritised replay.

Schaul et al. 2016, "Prioritized Experience Replay" (arXiv:1511.05952), appendix B.2.1.
"""

from itertools import pairwise

import numpy as np

# Children of a node. Schaul et al. use two; a wide tree has fewer levels and so needs fewer NumPy
# calls, which is where the time goes: 2**20 leaves are 4 levels instead of 20.
_BRANCHING = 32


class SumTree:
    """Non-negative values (the leaves) under a tree of partial sums.

    Both operations take a whole batch through the tree, level by level. Every inner node is the
    sum of its children, never a running difference: rounding errors do not pile up, and equal
    leaves always give an equal tree.
    """

    def __init__(self, num_leaves: int):
        """Makes a tree of zeros.

        Args:
            num_leaves: how many values it holds, at least 1.

        Raises:
            ValueError: if num_leaves is below 1.
        """
        if num_leaves < 1:
            raise ValueError(f"num_leaves must be at least 1, got {num_leaves}")
        self._num_leaves = num_leaves
        # From the leaves up to the children of the root. Row i of a level holds the children of
        # node i of the level above.
        self._levels: list[np.ndarray] = []
        nodes = num_leaves
        while not self._levels or nodes > 1:
            nodes = -(-nodes // _BRANCHING)
            self._levels.append(np.zeros((nodes, _BRANCHING)))

    @property
    def leaves(self) -> np.ndarray:
        """All values, float64 [num_leaves], as a read-only view."""
        leaves = self._levels[0].reshape(-1)[: self._num_leaves]
        leaves.flags.writeable = False
        return leaves

    @property
    def total(self) -> float:
        """The sum of all leaves."""
        return float(self._levels[-1].sum())

    def set(self, indices: np.ndarray, values: np.ndarray) -> None:
        """Gives leaves new values.

        Args:
            indices: int64 [N], in [0, num_leaves). The last value of a repeated one wins.
            values: float64 [N], finite and not negative.

        Raises:
            ValueError: if an index or a value is out of its range.
        """
        if ((indices < 0) | (indices >= self._num_leaves)).any():
            raise ValueError(f"indices must lie in [0, {self._num_leaves})")
        if not ((values >= 0) & (values < np.inf)).all():
            raise ValueError("values must be finite and not negative")
        self._levels[0].reshape(-1)[indices] = values
        for level, above in pairwise(self._levels):
            indices = indices // _BRANCHING
            if indices.size > above.size:
                indices = np.arange(len(level))
            above.reshape(-1)[indices] = level.take(indices, axis=0).sum(axis=1)

    def find(self, masses: np.ndarray) -> np.ndarray:
        """Finds the leaf in whose share of the total each mass falls.

        Leaf i owns the masses from sum(leaves[:i]) up to, but not including, sum(leaves[:i + 1]).
        A leaf of value zero is never returned, whatever the rounding.

        Args:
            masses: float64 [N], in [0, total].

        Returns:
            The leaves' indices, int64 [N].

        Raises:
            ValueError: if every leaf is zero.
        """
        if not self.total > 0:
            raise ValueError("no leaf can be found while all are zero; set one first")
        batch = np.arange(len(masses))
        indices = np.zeros(len(masses), np.int64)
        starts = np.zeros((len(masses), _BRANCHING + 1))
        for level in reversed(self._levels):
            # Child i owns the masses from starts[:, i] up to starts[:, i + 1].
            level.take(indices, axis=0).cumsum(axis=1, out=starts[:, 1:])
            # Rounding can leave a mass that is not below its node's sum; lowering it here makes
            # every step end at a child with a positive value.
            masses = np.minimum(masses, np.nextafter(starts[:, -1], 0))
            child = (starts[:, 1:] <= masses[:, np.newaxis]).argmin(axis=1)
            masses = masses - starts[batch, child]
            indices = indices * _BRANCHING + child
        return indices
