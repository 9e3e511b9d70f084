"""Memory and speed of the replay memory, filled to the last row."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfselfsup.rl.replay import Replay
from tfselfsup.rl.ring import FIRST, LAST, MID
from tfselfsup.rl.samplers import Sampler

EPISODE = 1000  # steps of the made-up games
BATCH_SIZE = 32
MINIBATCHES = 200


class Measured(NamedTuple):
    """What was measured of one replay memory.

    Attributes:
        memory: GiB by which the process grew.
        append: Microseconds per row.
        sample: Milliseconds per minibatch of `BATCH_SIZE`.
        update: Milliseconds per minibatch to write its priorities.
    """

    memory: float
    append: float
    sample: float
    update: float


def measure_apart(num_envs: int, capacity: int, make_sampler: Callable[[], Sampler]) -> Measured:
    """Does what `measure` does in a process of its own.

    In one that has freed memory before, the next replay memory would seem to take up less.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(measure, num_envs, capacity, make_sampler).result()


def measure(num_envs: int, capacity: int, make_sampler: Callable[[], Sampler]) -> Measured:
    """Fills a replay memory with random frames, then samples.

    Args:
        num_envs: Games side by side.
        capacity: Transitions.
        make_sampler: Makes the sampler; a class of `samplers`, for instance.
    """
    generator = np.random.default_rng(0)
    resident_before = resident_bytes()
    replay = Replay(capacity=capacity, num_envs=num_envs, n_step=3, sampler=make_sampler(), seed=0)
    frames = generator.integers(0, 256, (64, num_envs, 84, 84), dtype=np.uint8)
    zeros, ones = np.zeros(num_envs, np.int64), np.ones(num_envs)
    steps = replay.capacity // num_envs
    started = time.perf_counter()
    for step in range(steps):
        replay.append(frames[step % 64], zeros + _step_type(step), zeros, zeros, ones)
    append = (time.perf_counter() - started) / (steps * num_envs)
    memory = resident_bytes() - resident_before
    sampling, updating = [], []
    for _ in range(MINIBATCHES):
        moments = [time.perf_counter()]
        batch = replay.sample(BATCH_SIZE)
        moments.append(time.perf_counter())
        replay.update_priorities(batch.rows, generator.normal(size=BATCH_SIZE))
        moments.append(time.perf_counter())
        sampling.append(moments[1] - moments[0])
        updating.append(moments[2] - moments[1])
    return Measured(
        memory / 2**30, append * 1e6, np.median(sampling) * 1e3, np.median(updating) * 1e3
    )


def _step_type(step: int) -> int:
    position = step % EPISODE
    return FIRST if position == 0 else LAST if position == EPISODE - 1 else MID


def resident_bytes() -> int:
    """Returns the memory the process has in use; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError("expected VmRSS in /proc/self/status, found none; this needs Linux")
