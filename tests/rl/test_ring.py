import numpy as np
import pytest

from tfselfsup.rl.ring import FIRST, LAST, MID, Ring, Rows


def one_slot(step_types, rewards=None, discounts=None) -> Ring:
    """A ring of one slot whose frames are 1x1 and count from 1."""
    count = len(step_types)
    ring = Ring(length=count, num_envs=1, frame_shape=(1, 1))
    for t in range(count):
        ring.write(
            Rows(
                frames=np.full((1, 1, 1), t + 1, np.uint8),
                step_types=np.array([step_types[t]]),
                actions=np.array([0]),
                rewards=np.array([rewards[t] if rewards else 0]),
                discounts=np.array([discounts[t] if discounts else 1]),
            )
        )
    return ring


# With gamma = 1/2, n = 3, from row 0, rewards 1, 2, 4 on arriving at rows 1, 2, 3:
@pytest.mark.parametrize(
    "step_types, discounts, r_t, discount_t, row_n",
    [
        # 1 + 2/2 + 4/4 = 3, and gamma**2 = 1/4 at row 3.
        ([FIRST, MID, MID, MID, MID], [1, 1, 1, 1, 1], 3, 0.25, 3),
        # Truncated at row 2: 1 + 2/2 = 2, and gamma = 1/2 there.
        ([FIRST, MID, LAST, FIRST, MID], [1, 1, 1, 1, 1], 2, 0.5, 2),
        # Terminated at row 2: the same return, nothing after it.
        ([FIRST, MID, LAST, FIRST, MID], [1, 1, 0, 1, 1], 2, 0, 2),
        # Truncated at row 1: the return is the reward.
        ([FIRST, LAST, FIRST, MID, MID], [1, 1, 1, 1, 1], 1, 1, 1),
        # A life lost at row 2, the game goes on: 1 + 2/2 + 0 * 4/4, and 0.
        ([FIRST, MID, MID, MID, MID], [1, 1, 0, 1, 1], 2, 0, 3),
        # Terminated on the very last of the three steps.
        ([FIRST, MID, MID, LAST, FIRST], [1, 1, 1, 0, 1], 3, 0, 3),
    ],
)
def test_returns_by_hand(step_types, discounts, r_t, discount_t, row_n):
    ring = one_slot(step_types, rewards=[0, 1, 2, 4, 64], discounts=discounts)
    returns = ring.returns(np.array([0]), n_step=3, gamma=0.5)
    np.testing.assert_array_equal(returns, [[r_t], [discount_t], [row_n]])
    assert [part.dtype for part in returns] == [np.float32, np.float32, np.int64]


def test_stacks_by_hand():
    ring = one_slot([FIRST, MID, LAST, FIRST, MID, MID, MID, MID])
    observations = ring.observations(np.arange(8), stack=4)
    assert observations.shape == (8, 4, 1, 1, 1) and observations.dtype == np.uint8
    expected = [
        [0, 0, 0, 1],
        [0, 0, 1, 2],
        [0, 1, 2, 3],
        [0, 0, 0, 4],
        [0, 0, 4, 5],
        [0, 4, 5, 6],
        [4, 5, 6, 7],
        [5, 6, 7, 8],
    ]
    np.testing.assert_array_equal(observations[..., 0, 0, 0], expected)
    np.testing.assert_array_equal(
        ring.observations(np.arange(8), stack=1)[:, 0, 0, 0, 0], np.arange(1, 9)
    )


def valid_step(step_type) -> dict:
    return {
        "frames": np.ones((2, 3, 4), np.uint8),
        "step_types": np.full(2, step_type),
        "actions": np.zeros(2, np.int64),
        "rewards": np.zeros(2),
        "discounts": np.ones(2),
    }


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("frames", np.ones((2, 3, 5), np.uint8), r"frames must have shape \(2, 3, 4\), got"),
        ("frames", np.ones((2, 3, 4), np.float32), "frames must be uint8, got float32"),
        ("step_types", FIRST, r"step_types must have shape \(2,\), got \(\)"),
        ("actions", np.zeros(3, int), r"actions must have shape \(2,\), got \(3,\)"),
        ("rewards", 0.0, r"rewards must have shape \(2,\), got \(\)"),
        ("discounts", np.ones((2, 1)), r"discounts must have shape \(2,\), got \(2, 1\)"),
        ("step_types", np.array([FIRST, MID]), "step_types must be FIRST at the start"),
    ],
)
def test_bad_rows(name, value, message):
    ring = Ring(length=5, num_envs=2, frame_shape=(3, 4))
    with pytest.raises(ValueError, match=message):
        ring.write(Rows(**valid_step(FIRST) | {name: value}))
    assert len(ring) == 0


def test_first_comes_after_last_and_only_there():
    ring = Ring(length=5, num_envs=2, frame_shape=(3, 4))
    ring.write(Rows(**valid_step(FIRST)))
    with pytest.raises(ValueError, match="only there"):
        ring.write(Rows(**valid_step(FIRST)))
    ring.write(Rows(**valid_step(LAST)))
    for step_type in (MID, LAST):
        with pytest.raises(ValueError, match="after each LAST"):
            ring.write(Rows(**valid_step(step_type)))
    ring.write(Rows(**valid_step(FIRST)))
    assert len(ring) == 6
