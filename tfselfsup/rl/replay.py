"""Experience replay of several Atari games side by side."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfselfsup.rl.ring import LAST, Ring, Rows
from tfselfsup.rl.samplers import Sampler


class Batch(NamedTuple):
    """Transitions of m steps; m is n_step, or less where the episode ended before.

    Observations lie in memory in `ring.MEMORY_ORDER`.

    Attributes:
        s_t: uint8 [B, T, H, W, 1], the stacked observation, oldest frame first.
        a_t: int32 [B], the action taken there.
        r_t: float32 [B], the m-step return, of rewards as they were appended.
        discount_t: float32 [B], gamma**(m - 1) times the product of the m steps' discounts. The
            target is r_t + gamma * discount_t * value(s_tpn): one gamma is left to the learner,
            as in TF-Agents.
        s_tpn: uint8 [B, T, H, W, 1], the observation m steps later.
        weights: float32 [B], importance weights in (0, 1].
        rows: int64 [B], these transitions' names for `Replay.update_priorities`.
    """

    s_t: np.ndarray
    a_t: np.ndarray
    r_t: np.ndarray
    discount_t: np.ndarray
    s_tpn: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


class Replay:
    """The newest rows of each environment slot, and a sampler over their transitions.

    Not for concurrent use: calls may come from several threads, but one after the other. Batches
    share no memory with the replay.
    """

    def __init__(
        self,
        *,
        capacity: int,
        num_envs: int,
        frame_shape: tuple[int, int] = (84, 84),
        stack: int = 4,
        n_step: int = 1,
        gamma: float = 0.99,
        sampler: Sampler,
        seed: int,
    ):
        """Makes an empty replay; memory is taken up as rows are written.

        Args:
            capacity: rows in all, rounded down to a multiple of num_envs.
            num_envs: environment slots E, each of which appends one row at a time.
            frame_shape: height and width (H, W) of a frame.
            stack: frames T of an observation.
            n_step: steps of a transition.
            gamma: discount of a step inside a transition, in (0, 1].
            sampler: chooses the rows of a batch; belongs to this replay from now on.
            seed: of the sampling.

        Raises:
            ValueError: if a number is out of its range, or if capacity // num_envs is below
                stack + n_step, so that a full ring would have no transition.
        """
        if min(num_envs, stack, n_step) < 1:
            raise ValueError(
                f"num_envs, stack and n_step must be at least 1, got {num_envs}, {stack}, {n_step}"
            )
        if not 0 < gamma <= 1:
            raise ValueError(f"gamma must lie in (0, 1], got {gamma}")
        if capacity < num_envs * (stack + n_step):
            raise ValueError(
                f"capacity must be at least num_envs * (stack + n_step) = "
                f"{num_envs * (stack + n_step)}, got {capacity}"
            )
        self._stack = stack
        self._n_step = n_step
        self._gamma = gamma
        self._ring = Ring(capacity // num_envs, num_envs, frame_shape)
        self._startable = np.zeros(self._ring.num_rows, bool)
        self._sampler = sampler
        self._sampler.allocate(self._ring.num_rows)
        self._generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Rows stored, of all slots."""
        return len(self._ring)

    @property
    def capacity(self) -> int:
        """Rows there is room for, of all slots."""
        return self._ring.num_rows

    @property
    def num_startable(self) -> int:
        """Number of transitions that can be sampled."""
        return int(np.count_nonzero(self._startable))

    def append(
        self,
        frames: np.ndarray,
        step_types: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        discounts: np.ndarray,
    ) -> None:
        """Writes the next row of every slot, over the oldest one if the ring is full.

        A transition can be sampled as soon as its return is complete. Once rows are overwritten,
        it can no longer start at the stack - 1 oldest ones, whose stacks may lack frames.

        Args:
            frames: uint8 [E, H, W], the newest frame of each observation.
            step_types: int [E]; FIRST comes at the start and after each LAST, and only there.
            actions: int [E], taken at the observation, below 2**15; anything at LAST.
            rewards: float [E], received on arriving at the observation, clipped already if the
                learner wants it so; 0 at FIRST.
            discounts: float [E], received with them: 0 where the game is over, or where a life is
                lost and returns are to end there; else 1, at a truncation too.

        Raises:
            ValueError: if a shape, the frames' dtype or the order of step types is wrong.
        """
        self._ring.write(Rows(frames, step_types, actions, rewards, discounts))
        if self._ring.steps > self._ring.length:
            lost = self._ring.shifted(self._ring.newest(), np.arange(self._stack))
            lost = lost[self._startable[lost]]
            self._startable[lost] = False
            self._sampler.remove(lost)
        self._complete_transitions()

    def end_episodes(self) -> None:
        """Makes the newest row of every slot LAST, as a truncation does.

        For resuming, where every slot begins a new game: no stack and no return crosses it.
        """
        if self._ring.steps:
            self._ring.rows.step_types[self._ring.newest()] = LAST
            self._complete_transitions()

    def sample(self, batch_size: int) -> Batch:
        """Draws a batch of transitions, with replacement.

        Raises:
            ValueError: if batch_size is below 1, or if no transition is complete yet.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        startable = self._startable[: len(self)]
        if not startable.any():
            raise ValueError(f"no transition is complete in {len(self)} rows; append more first")
        rows, weights = self._sampler.draw(startable, batch_size, self._generator)
        r_t, discount_t, rows_n = self._ring.returns(rows, self._n_step, self._gamma)
        return Batch(
            s_t=self._ring.observations(rows, self._stack),
            a_t=self._ring.rows.actions[rows].astype(np.int32),
            r_t=r_t,
            discount_t=discount_t,
            s_tpn=self._ring.observations(rows_n, self._stack),
            weights=weights,
            rows=rows,
        )

    def update_priorities(self, rows: np.ndarray, td_errors: np.ndarray) -> None:
        """Tells the sampler how wrong the learner was about sampled transitions.

        Transitions that cannot be sampled any more are passed over.

        Args:
            rows: int64 [N], from `Batch.rows`.
            td_errors: float [N], of either sign.

        Raises:
            ValueError: if the shapes differ or, with priorities, if an error is not finite.
        """
        rows, td_errors = np.asarray(rows), np.asarray(td_errors)
        if rows.shape != td_errors.shape:
            raise ValueError(f"td_errors must have shape {rows.shape}, got {td_errors.shape}")
        current = self._startable[rows]
        self._sampler.update(rows[current], td_errors[current])

    def anneal(self, progress: float) -> None:
        """Tells the sampler how far training is.

        Args:
            progress: the share of all steps taken, in [0, 1].
        """
        self._sampler.anneal(progress)

    def save(self, directory: str | Path) -> None:
        """Writes all that `load` needs to go on with the same samples; only rows in use.

        Not atomic: let it write to a new directory, then rename that.

        Args:
            directory: where the files go; made if it is not there.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        for name, array in self._arrays(len(self)).items():
            np.save(directory / f"{name}.npy", array, allow_pickle=False)
        state = {
            "settings": self._settings(),
            "steps": self._ring.steps,
            "generator": self._generator.bit_generator.state,
        }
        (directory / "replay.json").write_text(json.dumps(state, indent=2))

    def load(self, directory: str | Path) -> None:
        """Takes back what `save` wrote; whatever the replay held is gone.

        Args:
            directory: where `save` wrote.

        Raises:
            ValueError: if it was saved with other settings or another sampler, or if a file does
                not have the shape and dtype that follow from them. The replay is then unchanged.
            OSError: if a file is missing.
        """
        directory = Path(directory)
        state = json.loads((directory / "replay.json").read_text())
        for name, value in self._settings().items():
            saved = state["settings"][name]
            if saved != value:
                raise ValueError(f"{name} must be {saved}, as in {directory}, got {value}")
        stored = min(state["steps"], self._ring.length) * self._ring.num_envs
        arrays = self._arrays(stored)
        saved = {name: _read(directory / f"{name}.npy", like) for name, like in arrays.items()}
        self._ring.steps = state["steps"]
        self._startable[:] = False
        for name in (*Rows._fields, "startable"):
            arrays[name][:] = saved[name]
        self._sampler.restore(saved)
        self._generator.bit_generator.state = state["generator"]

    def _complete_transitions(self) -> None:
        """Marks the rows whose return is complete now that the newest rows are there."""
        newest = self._ring.newest()
        offsets = np.arange(1, min(self._n_step, self._ring.steps - 1) + 1)
        rows = self._ring.shifted(newest, -offsets)
        step_types = self._ring.rows.step_types
        complete = (offsets == self._n_step) | (step_types[newest] == LAST)[:, np.newaxis]
        added = rows[complete & (step_types[rows] != LAST) & ~self._startable[rows]]
        self._startable[added] = True
        self._sampler.add(added)

    def _settings(self) -> dict[str, object]:
        """What a saved replay must share with the one that loads it."""
        return {
            "length": self._ring.length,
            "num_envs": self._ring.num_envs,
            "frame_shape": list(self._ring.rows.frames.shape[1:]),
            "stack": self._stack,
            "n_step": self._n_step,
            "gamma": self._gamma,
            "sampler": type(self._sampler).__name__,
        }

    def _arrays(self, stored: int) -> dict[str, np.ndarray]:
        """All that is worth saving when `stored` rows are in use, by name."""
        arrays = {**self._ring.rows._asdict(), "startable": self._startable}
        return {name: array[:stored] for name, array in arrays.items()} | self._sampler.state()


def _read(path: Path, like: np.ndarray) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if (array.shape, array.dtype) != (like.shape, like.dtype):
        raise ValueError(
            f"{path} must hold {like.dtype} {like.shape}, got {array.dtype} {array.shape}"
        )
    return array
