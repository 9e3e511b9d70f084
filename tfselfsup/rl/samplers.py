"""How a replay chooses the transitions of a batch: uniformly or by priority."""

import numpy as np

from tfselfsup.rl.sum_tree import SumTree


class Sampler:
    """What a replay asks of, and tells, its sampler; this base remembers nothing.

    The replay numbers its rows from 0 and keeps `startable`, bool [num_rows]: whether a
    transition that can be sampled starts at the row. Rows are int64 [N] throughout.
    """

    def allocate(self, num_rows: int) -> None:
        """Prepares for a replay of `num_rows` rows, none of them startable."""

    def add(self, rows: np.ndarray) -> None:
        """Called when rows became startable."""

    def remove(self, rows: np.ndarray) -> None:
        """Called when rows are startable no more."""

    def update(self, rows: np.ndarray, td_errors: np.ndarray) -> None:
        """Called with the TD errors, float [N], of sampled rows that are still startable."""

    def anneal(self, progress: float) -> None:
        """Called when training goes on, with how far it is, in [0, 1]."""

    def draw(
        self, startable: np.ndarray, batch_size: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws rows with replacement.

        Args:
            startable: bool [stored], of the rows written so far; at least one is true.
            batch_size: how many rows to draw, at least 1.
            generator: where the randomness comes from.

        Returns:
            The rows, int64 [batch_size], and their importance weights, float32 [batch_size],
            in (0, 1].
        """
        raise NotImplementedError

    def state(self) -> dict[str, np.ndarray]:
        """Returns what is to be saved, by name; shapes depend on the number of rows only."""
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes back what `state` returned."""


class UniformSampler(Sampler):
    """Draws every startable row with the same probability; all weights are one."""

    def draw(self, startable, batch_size, generator):
        """See `Sampler.draw`."""
        # Nearly all rows are startable, so drawing again is much cheaper than listing them.
        rows = np.empty(0, np.int64)
        while rows.size < batch_size:
            drawn = generator.integers(startable.size, size=2 * batch_size)
            rows = np.concatenate([rows, drawn[startable[drawn]]])
        return rows[:batch_size], np.ones(batch_size, np.float32)


class PrioritisedSampler(Sampler):
    """Proportional prioritised replay, Schaul et al. 2016 (arXiv:1511.05952), section 3.3.

    Row i is drawn with probability P(i) = p_i**alpha / sum_j p_j**alpha, where p_i is the
    absolute TD error it had when it was last learnt from plus `epsilon`, or, for a new row, the
    largest p so far. A batch is stratified: one row from each of batch_size equal parts of the sum.
    The weights (N * P(i))**-beta, divided by the largest of the batch, correct for the bias.

    Attributes:
        beta: the exponent of the weights now.
    """

    def __init__(
        self,
        alpha: float = 0.6,
        beta_initial: float = 0.4,
        beta_final: float = 1.0,
        epsilon: float = 1e-6,
    ):
        """Makes a sampler without rows; a replay allocates them.

        Args:
            alpha: how much the priorities matter; 0 is uniform. Not negative.
            beta_initial: how far the weights correct for it at first, in [0, 1]; 1 is fully.
            beta_final: the same at the end of training; linear in between.
            epsilon: what keeps a transition without error from never being drawn. Positive.

        Raises:
            ValueError: if an argument is out of its range.
        """
        if alpha < 0:
            raise ValueError(f"alpha must not be negative, got {alpha}")
        if not (0 <= beta_initial <= 1 and 0 <= beta_final <= 1):
            raise ValueError(f"betas must lie in [0, 1], got {beta_initial} and {beta_final}")
        if epsilon <= 0:
            raise ValueError(f"epsilon must be positive, got {epsilon}")
        self.beta = beta_initial
        self._alpha = alpha
        self._beta_initial = beta_initial
        self._beta_final = beta_final
        self._epsilon = epsilon

    def allocate(self, num_rows):
        """See `Sampler.allocate`."""
        self._tree = SumTree(num_rows)  # p**alpha of startable rows, 0 of all others
        self._largest = 1.0  # the largest p**alpha so far

    def add(self, rows):
        """Gives new rows the largest priority so far, so that each is soon seen once."""
        self._tree.set(rows, np.full(rows.shape, self._largest))

    def remove(self, rows):
        """See `Sampler.remove`."""
        self._tree.set(rows, np.zeros(rows.shape))

    def update(self, rows, td_errors):
        """Sets priorities; where a row occurs twice, its last error counts.

        Raises:
            ValueError: if a TD error is not finite.
        """
        if not np.isfinite(td_errors).all():
            raise ValueError("TD errors must be finite; the learner has diverged")
        priorities = (np.abs(td_errors, dtype=np.float64) + self._epsilon) ** self._alpha
        self._tree.set(rows, priorities)
        self._largest = max(self._largest, priorities.max(initial=0.0))

    def anneal(self, progress):
        """Sets `beta`."""
        self.beta = self._beta_initial + progress * (self._beta_final - self._beta_initial)

    def draw(self, startable, batch_size, generator):
        """See `Sampler.draw`."""
        parts = np.arange(batch_size) + generator.random(batch_size)
        rows = self._tree.find(parts * (self._tree.total / batch_size))
        priorities = self._tree.leaves[rows]
        # N and the sum of the priorities cancel when the weights are divided by the largest.
        weights = (priorities / priorities.min()) ** -self.beta
        return rows, weights.astype(np.float32)

    def state(self):
        """See `Sampler.state`."""
        return {"priorities": self._tree.leaves, "largest_priority": np.array(self._largest)}

    def restore(self, state):
        """See `Sampler.restore`."""
        priorities = state["priorities"]
        self._tree.set(np.arange(priorities.size), priorities)
        self._largest = float(state["largest_priority"])
