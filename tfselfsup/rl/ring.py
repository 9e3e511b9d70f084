"""The rows of a replay: a ring of time steps per environment slot, every frame stored once.

Row t of a slot is a TF-Agents time step: the newest frame of observation o_t, its step type, the
action a_t taken at o_t (without meaning when o_t is the last), and the reward and discount received
on arriving at o_t. The transition that starts at row t takes its first reward from row t + 1.
"""

from typing import NamedTuple

import cv2
import numpy as np

# Values of tf_agents.trajectories.StepType, whose import would bring TensorFlow along.
FIRST, MID, LAST = 0, 1, 2

# How the axes of observations [N, T, H, W, 1] follow each other in memory: the frames of a stack
# are interleaved, pixel by pixel, because time becomes the channels of the first convolution.
MEMORY_ORDER = (0, 2, 3, 1, 4)
LOGICAL_ORDER = (0, 3, 1, 2, 4)  # leads back


class Rows(NamedTuple):
    """Time steps, one a row.

    Attributes:
        frames: uint8 [N, H, W].
        step_types: int8 [N], FIRST, MID or LAST.
        actions: int16 [N].
        rewards: float32 [N].
        discounts: float32 [N].
    """

    frames: np.ndarray
    step_types: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    discounts: np.ndarray


class Ring:
    """The newest steps of all slots, which are written together.

    It is time-major: row (step % length) * num_envs + slot. So the rows in use are a prefix, and a
    slot's next row is num_envs further on, modulo num_rows.

    Attributes:
        num_envs: environment slots E.
        length: steps the ring holds.
        num_rows: length * num_envs.
        rows: everything stored.
        steps: steps written so far, overwritten ones included.
    """

    def __init__(self, length: int, num_envs: int, frame_shape: tuple[int, int]):
        """Makes an empty ring; memory is taken up as rows are written.

        Args:
            length: steps it holds.
            num_envs: environment slots.
            frame_shape: height and width (H, W) of a frame.
        """
        self.num_envs = num_envs
        self.length = length
        self.num_rows = length * num_envs
        self.steps = 0
        # np.zeros leaves it to the operating system to find the memory once it is written.
        self.rows = Rows(
            frames=np.zeros((self.num_rows, *frame_shape), np.uint8),
            step_types=np.zeros(self.num_rows, np.int8),
            actions=np.zeros(self.num_rows, np.int16),
            rewards=np.zeros(self.num_rows, np.float32),
            discounts=np.zeros(self.num_rows, np.float32),
        )

    def __len__(self) -> int:
        """Rows stored, of all slots."""
        return min(self.steps, self.length) * self.num_envs

    def newest(self) -> np.ndarray:
        """The row written last in each slot, int64 [E]; there must be one."""
        return (self.steps - 1) % self.length * self.num_envs + np.arange(self.num_envs)

    def shifted(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Rows of the same slots some steps later.

        Args:
            rows: int64 [N].
            offsets: int64 [K], in steps; negative ones lie before.

        Returns:
            int64 [N, K].
        """
        return (rows[:, np.newaxis] + offsets * self.num_envs) % self.num_rows

    def write(self, step: Rows) -> None:
        """Writes the next step of every slot, over the oldest one if the ring is full.

        Args:
            step: one row a slot, in the slots' order; any integer or float types but uint8 frames.

        Raises:
            ValueError: if a shape or the frames' dtype is wrong, or if a FIRST row does not come
                after a LAST one, or another row does.
        """
        for name, values, stored in zip(Rows._fields, step, self.rows, strict=True):
            if np.shape(values) != (self.num_envs, *stored.shape[1:]):
                expected = (self.num_envs, *stored.shape[1:])
                raise ValueError(f"{name} must have shape {expected}, got {np.shape(values)}")
        if step.frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8, got {step.frames.dtype}")
        begins = self.rows.step_types[self.newest()] == LAST if self.steps else True
        if not ((np.asarray(step.step_types) == FIRST) == begins).all():
            raise ValueError(
                "step_types must be FIRST at the start and after each LAST, and only there; "
                "call end_episodes() before new games begin"
            )
        start = self.steps % self.length * self.num_envs
        for stored, values in zip(self.rows, step, strict=True):
            stored[start : start + self.num_envs] = values
        self.steps += 1

    def observations(self, rows: np.ndarray, stack: int) -> np.ndarray:
        """Stacks frames, with zeros for what lies before an episode's FIRST, as the emulator does.

        Args:
            rows: int64 [N], whose stack - 1 predecessors are not overwritten.
            stack: frames T of an observation.

        Returns:
            uint8 [N, T, H, W, 1], oldest frame first; in memory in `MEMORY_ORDER`.
        """
        past = self.shifted(rows, np.arange(1 - stack, 1))
        interleaved = np.empty((len(rows), *self.rows.frames.shape[1:], stack), np.uint8)
        for its_rows, observation in zip(past, interleaved, strict=True):
            # An order of magnitude faster than a copy by NumPy, which would move single bytes.
            cv2.merge([self.rows.frames[row] for row in its_rows], observation)
        # A frame is padding if an episode begins at one of the later frames of its stack.
        begins_later = self.rows.step_types[past[:, :0:-1]] == FIRST
        padding = np.logical_or.accumulate(begins_later, axis=1)[:, ::-1]
        observations = np.moveaxis(interleaved, -1, 1)
        observations[:, :-1][padding] = 0
        return observations[..., np.newaxis]

    def returns(
        self, rows: np.ndarray, n_step: int, gamma: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums up m steps: n_step, or fewer where LAST comes before.

        Args:
            rows: int64 [N], each followed by n_step rows or by LAST.
            n_step: steps of a transition.
            gamma: discount of one step.

        Returns:
            The returns, float32 [N]: the sum over k = 1..m of
            gamma**(k - 1) * d_{t+1} * ... * d_{t+k-1} * r_{t+k}. The discounts, float32 [N]:
            gamma**(m - 1) * d_{t+1} * ... * d_{t+m}. The rows t + m, int64 [N].
        """
        later = self.shifted(rows, np.arange(1, n_step + 1))
        ends = self.rows.step_types[later] == LAST
        ends[:, -1] = True
        final = ends.argmax(axis=1)  # m - 1
        discounts = self.rows.discounts[later]
        # scale[:, k - 1] is gamma**(k - 1) * d_{t+1} * ... * d_{t+k-1}
        scale = np.ones_like(discounts)
        np.cumprod(discounts[:, :-1] * np.float32(gamma), axis=1, out=scale[:, 1:])
        within = np.arange(n_step) <= final[:, np.newaxis]
        r_t = (scale * self.rows.rewards[later]).sum(axis=1, where=within)
        batch = np.arange(len(rows))
        discount_t = scale[batch, final] * discounts[batch, final]
        return r_t, discount_t, later[batch, final]
