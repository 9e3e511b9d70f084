import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from tfselfsup.benchmarks import replay_memory
from tfselfsup.rl.samplers import PrioritisedSampler, UniformSampler


def growth(size):
    """Takes memory, and says how much more the process has in use then."""
    before = replay_memory.resident_bytes()
    array = np.ones(size, np.uint8)
    grown = replay_memory.resident_bytes() - before
    assert array.all()
    return grown


def test_memory_in_use_is_what_the_process_has_touched():
    # In a fresh process: here, other tests may have freed what is then used again.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        grown = process.submit(growth, 100 * 2**20).result()
    assert 95 * 2**20 < grown < 110 * 2**20


def test_a_replay_is_filled_to_the_last_row_and_measured():
    for make_sampler in (UniformSampler, PrioritisedSampler):
        # 20,000 frames are 135 MiB, also of the second one: freed memory is not used again.
        measured = replay_memory.measure_apart(8, 20_000, make_sampler)
        assert 0.12 < measured.memory < 0.18
        assert 0 < measured.append < 10_000
        assert 0 < measured.update < measured.sample < 1000
