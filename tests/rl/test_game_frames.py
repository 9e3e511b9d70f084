import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.game_frames import GameFrames

FIRST, MID, LAST = 0, 1, 2


def play(shown, *lengths, slots=2):
    """Plays games in the first slot, whose newest frames tell the step; the memory is one."""
    observation = np.zeros((slots, 4, 2, 2, 1), np.uint8)
    for number, length in enumerate(lengths):
        for step in range(length + 1):
            observation[0, -1] = step + 100 * number
            observation[1:, -1] = 255
            kind = FIRST if step == 0 else LAST if step == length else MID
            types = np.array([kind] + [LAST] * (slots - 1), np.int32)
            shown(ts.TimeStep(types, np.zeros(slots), np.ones(slots), observation))
    return shown.frames[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 15, 16, 31, 50, 90])
def test_frames_are_spread_over_the_game(length):
    found = play(GameFrames(4), length)
    assert len(found) == min(4, length + 1)
    assert found[0] == 0 and found == sorted(set(found))
    gaps = np.diff(found)
    assert gaps.max() <= 2 * gaps.min()
    # The last is from the last quarter, as the doubled spacing allows.
    assert found[-1] >= 0.6 * length


def test_only_the_first_game_of_the_first_slot_is_shown():
    assert max(play(GameFrames(3), 20, 30)) <= 20


def test_few_frames_are_in_memory_at_a_time():
    shown = GameFrames(4)
    play(shown, 90)
    assert len(shown._kept) < 8


def test_there_is_something_to_show_or_an_error():
    with pytest.raises(ValueError, match="at least 1 frame, got 0"):
        GameFrames(0)
    with pytest.raises(ValueError, match="got no step"):
        GameFrames(2).frames  # noqa: B018
