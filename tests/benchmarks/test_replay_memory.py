import numpy as np

from tfselfsup.benchmarks import replay_memory
from tfselfsup.rl.samplers import PrioritisedSampler, UniformSampler


def test_memory_in_use_is_what_the_process_has_touched():
    before = replay_memory.resident_bytes()
    array = np.ones(100 * 2**20, np.uint8)
    assert 95 * 2**20 < replay_memory.resident_bytes() - before < 110 * 2**20
    assert array.all()


def test_a_replay_is_filled_to_the_last_row_and_measured():
    for make_sampler in (UniformSampler, PrioritisedSampler):
        # 20,000 frames are 135 MiB, also of the second one: freed memory is not used again.
        measured = replay_memory.measure_apart(8, 20_000, make_sampler)
        assert 0.12 < measured.memory < 0.18
        assert 0 < measured.append < 10_000
        assert 0 < measured.update < measured.sample < 1000
