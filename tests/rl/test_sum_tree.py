import numpy as np
import pytest

from tfselfsup.rl.sum_tree import SumTree


def naive_find(leaves: np.ndarray, mass: float) -> int:
    for index, leaf in enumerate(leaves):
        if mass < leaf:
            return index
        mass -= leaf
    raise AssertionError("mass beyond the total")


def filled(leaves) -> SumTree:
    tree = SumTree(len(leaves))
    tree.set(np.arange(len(leaves)), np.array(leaves, np.float64))
    return tree


def test_find_by_hand():
    # Shares of the total of 6: leaf 0 owns [0, 2), leaf 1 nothing, leaf 2 [2, 5), leaf 3 [5, 6).
    tree = filled([2, 0, 3, 1])
    assert tree.total == 6
    masses = np.array([0, 1.9, 2, 4.9, 5, 5.9])
    np.testing.assert_array_equal(tree.find(masses), [0, 0, 2, 2, 3, 3])


# One leaf, one full node, one leaf more than that, and three and four levels.
@pytest.mark.parametrize("num_leaves", [1, 2, 31, 32, 33, 1024, 1025, 40_000])
def test_agrees_with_a_plain_list(num_leaves):
    generator = np.random.default_rng(num_leaves)
    tree = SumTree(num_leaves)
    leaves = np.zeros(num_leaves)
    for _ in range(20):
        indices = generator.integers(num_leaves, size=generator.integers(1, 100))
        # Integers, so that the plain list's sums are exact and every comparison can be, too.
        values = generator.integers(0, 4, size=indices.size).astype(np.float64)
        tree.set(indices, values)
        for index, value in zip(indices, values, strict=True):
            leaves[index] = value
        np.testing.assert_array_equal(tree.leaves, leaves)
        assert tree.total == leaves.sum()
        if tree.total:
            masses = generator.integers(0, int(tree.total), size=10).astype(np.float64)
            expected = [naive_find(leaves, mass) for mass in masses]
            np.testing.assert_array_equal(tree.find(masses), expected)


def test_last_value_of_a_repeated_index_wins():
    tree = filled([1, 1, 1])
    tree.set(np.array([2, 0, 2, 2]), np.array([9.0, 4.0, 8.0, 5.0]))
    np.testing.assert_array_equal(tree.leaves, [4, 1, 5])
    assert tree.total == 10


def test_zero_leaves_are_never_found_even_where_rounding_bites():
    generator = np.random.default_rng(0)
    for _ in range(50):
        # Magnitudes from 1e-12 to 1e12 make sums inexact; most leaves are zero.
        leaves = 10 ** generator.uniform(-12, 12, size=5000) * (generator.random(5000) < 0.01)
        tree = filled(leaves)
        edges = np.cumsum(leaves)
        masses = np.concatenate([[0.0, tree.total], edges[edges < tree.total]])
        assert (tree.leaves[tree.find(masses)] > 0).all()


def test_order_of_updates_leaves_no_trace():
    generator = np.random.default_rng(0)
    updated = SumTree(3000)
    for _ in range(500):
        updated.set(generator.integers(3000, size=32), generator.random(32))
    rebuilt = filled(updated.leaves)
    assert updated.total == rebuilt.total  # to the last bit
    masses = generator.random(1000) * rebuilt.total
    np.testing.assert_array_equal(updated.find(masses), rebuilt.find(masses))


def test_find_leaves_its_argument_alone():
    masses = np.array([0.5, 1.5])
    filled([1, 1]).find(masses)
    np.testing.assert_array_equal(masses, [0.5, 1.5])


def test_leaves_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        filled([1, 2]).leaves[0] = 3


def test_bad_input():
    with pytest.raises(ValueError, match="num_leaves must be at least 1, got 0"):
        SumTree(0)
    tree = filled([1, 2, 3])
    for index in (-1, 3):
        with pytest.raises(ValueError, match=r"indices must lie in \[0, 3\)"):
            tree.set(np.array([index]), np.array([1.0]))
    for value in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="values must be finite and not negative"):
            tree.set(np.array([0]), np.array([value]))
    np.testing.assert_array_equal(tree.leaves, [1, 2, 3])
    with pytest.raises(ValueError, match="no leaf can be found while all are zero"):
        SumTree(3).find(np.array([0.0]))
