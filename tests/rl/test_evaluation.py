import itertools

import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.evaluation import choose_actions, evaluate
from tfselfsup.rl.policies import random_policy

FIRST, MID, LAST = 0, 1, 2
NUM_ACTIONS = 6


class MadeUpEnvironment:
    """Games whose lengths and rewards are known, side by side.

    Observations tell the slot, the game and the step, so that a policy can be checked.
    """

    num_actions = NUM_ACTIONS

    def __init__(self, *slots):
        """Takes for each slot a list of games, each the rewards of its steps; then they repeat."""
        self._slots = slots
        self.batch_size = len(slots)
        self.actions = []
        self.resets = 0

    def current_time_step(self) -> ts.TimeStep:
        return self._time_step

    def reset(self) -> ts.TimeStep:
        self.resets += 1
        self._streams = [self._stream(slot) for slot in range(self.batch_size)]
        return self._next()

    def step(self, actions) -> ts.TimeStep:
        assert actions.shape == (self.batch_size,)
        self.actions.append(actions.copy())
        return self._next()

    def _stream(self, slot):
        for number, rewards in enumerate(itertools.cycle(self._slots[slot])):
            yield FIRST, 0.0, (slot, number, 0)
            for t, reward in enumerate(rewards, 1):
                yield LAST if t == len(rewards) else MID, reward, (slot, number, t % 256)

    def _next(self) -> ts.TimeStep:
        step_type, reward, position = zip(*(next(stream) for stream in self._streams), strict=True)
        observation = np.zeros((self.batch_size, 4, 84, 84, 1), np.uint8)
        observation[:, 0, 0, :3, 0] = np.array(position)
        self._time_step = ts.TimeStep(
            step_type=np.array(step_type, np.int32),
            reward=np.array(reward, np.float32),
            discount=np.ones(self.batch_size, np.float32),
            observation=observation,
        )
        return self._time_step


def positions(observations) -> list[list[int]]:
    """What slot, game and step each observation is of."""
    return observations[:, 0, 0, :3, 0].tolist()


def noop(observations) -> np.ndarray:
    return np.zeros(len(observations), np.int64)


def always_2(observations) -> np.ndarray:
    return np.full(len(observations), 2)


def play(environment, act=noop, *, episodes, epsilon=0.0, seed=0, **settings):
    generator = np.random.default_rng(seed)
    return evaluate(
        environment, act, episodes=episodes, epsilon=epsilon, generator=generator, **settings
    )


def test_scores_are_raw_sums_and_lengths_are_agent_steps():
    environment = MadeUpEnvironment([[0, 400.0, -2.5, 0], [7.0]])
    result = play(environment, episodes=3)
    np.testing.assert_array_equal(result.scores, [397.5, 7.0, 397.5])
    np.testing.assert_array_equal(result.lengths, [4, 1, 4])
    assert (result.scores.dtype, result.lengths.dtype) == (np.float64, np.int64)


def test_sums_do_not_lose_small_rewards():
    # In float32, 2**24 + 1 is 2**24.
    result = play(MadeUpEnvironment([[2.0**24, 1.0, 1.0, 1.0]]), episodes=1)
    assert result.scores == [2.0**24 + 3]


def test_short_games_are_not_favoured():
    # Slot 0 loses at once, slot 1 plays long and well. The first four games to end are all of slot
    # 0: their mean is -1. With two games of each slot it is (-1 - 1 + 20 + 20) / 4.
    environment = MadeUpEnvironment([[-1.0]], [[1.0] * 20])
    result = play(environment, episodes=4)
    np.testing.assert_array_equal(result.scores, [-1, -1, 20, 20])
    assert result.scores.mean() == 9.5


@pytest.mark.parametrize(
    "episodes, quota", [(3, [1, 1, 1]), (4, [2, 1, 1]), (5, [2, 2, 1]), (100, [34, 33, 33])]
)
def test_each_slot_plays_a_fixed_number_of_games(episodes, quota):
    # The score tells the slot; slot 0 is the fastest, slot 1 the slowest.
    environment = MadeUpEnvironment([[0.0]], [[0.0] * 9 + [1.0]], [[0.0, 0.0, 2.0]])
    result = play(environment, episodes=episodes)
    assert len(result.scores) == len(result.lengths) == episodes
    np.testing.assert_array_equal(np.bincount(result.scores.astype(int)), quota)


def test_games_are_in_order_of_slot_and_then_of_time():
    # They end in another order.
    environment = MadeUpEnvironment(
        [[0, 0, 0, 0, 10.0], [11.0], [12.0]],
        [[20.0], [0, 21.0], [22.0]],
        [[0, 0, 30.0], [31.0], [32.0]],
    )
    ended = []
    result = play(environment, episodes=8, on_episode=ended.append)
    np.testing.assert_array_equal(result.scores, [10, 11, 12, 20, 21, 22, 30, 31])
    np.testing.assert_array_equal(result.lengths, [5, 1, 1, 1, 2, 1, 3, 1])
    assert ended[:2] == [20, 30] and sorted(ended) == sorted(result.scores)
    assert all(type(score) is float for score in ended)


def test_every_time_step_is_told():
    environment = MadeUpEnvironment([[1.0] * 3], [[2.0] * 2])
    told = []
    play(environment, episodes=2, on_step=lambda step: told.append(step.step_type.tolist()))
    assert told == [[FIRST, FIRST], [MID, MID], [MID, LAST], [LAST, FIRST]]


def test_no_game_counts_twice_or_is_begun_in_vain():
    # A step for each step of the games, and one between two games.
    environment = MadeUpEnvironment([[1.0] * 3, [2.0] * 5])
    result = play(environment, episodes=2)
    np.testing.assert_array_equal(result.scores, [3, 10])
    assert len(environment.actions) == 3 + 1 + 5


def test_a_slot_that_is_done_idles():
    seen = []

    def act(observations):
        seen.append(positions(observations))
        return np.full(len(observations), 3)

    environment = MadeUpEnvironment([[1.0]], [[0.0, 0.0, 5.0]])
    play(environment, act, episodes=2)
    # Slot 0 is asked for one action, and the emulator is given no-ops from then on.
    assert seen == [[[0, 0, 0], [1, 0, 0]], [[1, 0, 1]], [[1, 0, 2]]]
    np.testing.assert_array_equal(environment.actions, [[3, 3], [0, 3], [0, 3]])


def test_with_fewer_games_than_slots_the_others_idle():
    environment = MadeUpEnvironment([[1.0, 1.0]], [[2.0]], [[3.0]])
    result = play(environment, lambda observations: np.full(len(observations), 5), episodes=2)
    np.testing.assert_array_equal(result.scores, [2, 2])
    np.testing.assert_array_equal(environment.actions, [[5, 5, 0], [5, 0, 0]])


def test_every_action_follows_from_the_observation_before():
    def act(observations):
        return np.array(
            [(slot + game + t) % NUM_ACTIONS for slot, game, t in positions(observations)]
        )

    environment = MadeUpEnvironment([[0.0] * 3, [0.0] * 2], [[0.0] * 6])
    play(environment, act, episodes=4)
    # Slot 0 goes through the steps 0 to 3 of game 0 and 0 to 2 of game 1, and is done then.
    np.testing.assert_array_equal(
        [action[0] for action in environment.actions], [0, 1, 2, 3, 1, 2] + [0] * 7
    )
    np.testing.assert_array_equal(
        [action[1] for action in environment.actions],
        [1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1],
    )


def all_actions(epsilon, seed=0) -> np.ndarray:
    """The actions of 500 steps in 4 slots, where the policy always takes action 2."""
    environment = MadeUpEnvironment(*[[[0.0] * 500]] * 4)
    play(environment, always_2, episodes=4, epsilon=epsilon, seed=seed)
    return np.concatenate(environment.actions)


def test_epsilon_0_never_explores():
    assert set(all_actions(0.0)) == {2}


def test_epsilon_1_always_explores_and_uniformly():
    counts = np.bincount(all_actions(1.0), minlength=NUM_ACTIONS)
    expected = 2000 / NUM_ACTIONS
    # A binomial standard deviation is sqrt(2000 * 1/6 * 5/6) = 16.7.
    assert (abs(counts - expected) < 4 * 16.7).all()


def test_epsilon_is_the_share_of_random_actions():
    others = np.mean(all_actions(0.3) != 2)
    # 5 of 6 random actions are others; the standard deviation is sqrt(0.25 * 0.75 / 2000) = 0.01.
    assert abs(others - 0.3 * 5 / 6) < 0.04


def test_slots_explore_independently():
    environment = MadeUpEnvironment(*[[[0.0] * 500]] * 2)
    play(environment, always_2, episodes=2, epsilon=0.5)
    both = np.mean((np.array(environment.actions) != 2).all(axis=1))
    # Each explores visibly in 0.5 * 5/6 of the steps, so that both do in 0.17; were it decided for
    # all together, in 0.5 * (5/6)**2 = 0.35. The standard deviation is 0.017.
    assert 0.1 < both < 0.25


def test_the_generator_determines_the_exploration():
    np.testing.assert_array_equal(all_actions(0.3, seed=1), all_actions(0.3, seed=1))
    assert (all_actions(0.3, seed=1) != all_actions(0.3, seed=2)).any()


def test_slots_that_are_not_active_are_left_alone():
    environment = MadeUpEnvironment([[0.0]], [[0.0]], [[0.0]])
    environment.reset()
    actions = choose_actions(
        environment,
        lambda observations: 1 + observations[:, 0, 0, 0, 0],  # 1 + the slot
        np.array([0, 2]),
        epsilon=0.0,
        generator=np.random.default_rng(0),
    )
    np.testing.assert_array_equal(actions, [1, 0, 3])
    assert actions.dtype == np.int32


def test_each_evaluation_starts_anew():
    environment = MadeUpEnvironment([[1.0], [2.0], [3.0]])
    for resets in (1, 2):
        np.testing.assert_array_equal(play(environment, episodes=2).scores, [1, 2])
        assert environment.resets == resets


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"episodes": 0}, "episodes must be 1 or more, got 0"),
        ({"episodes": -3}, "episodes must be 1 or more, got -3"),
        ({"episodes": 1, "epsilon": -0.1}, "epsilon must be from 0 to 1, got -0.1"),
        ({"episodes": 1, "epsilon": 1.5}, "epsilon must be from 0 to 1, got 1.5"),
        ({"episodes": 1, "epsilon": float("nan")}, "epsilon must be from 0 to 1, got nan"),
    ],
)
def test_bad_arguments(settings, message):
    environment = MadeUpEnvironment([[1.0]])
    with pytest.raises(ValueError, match=f"^{message}$"):
        play(environment, **settings)
    assert not environment.actions


# Real games


@pytest.fixture(scope="module")
def pong() -> AtariEnvironment:
    return AtariEnvironment("pong", 4, seed=1)


def play_randomly(environment, episodes):
    act = random_policy(NUM_ACTIONS, np.random.default_rng(0))
    return play(environment, act, episodes=episodes)


@pytest.fixture(scope="module")
def random_games(pong):
    return play_randomly(pong, episodes=4)


def test_a_random_agent_loses_at_pong(random_games):
    # The known mean is about -20.5 with a standard deviation of about 0.7.
    scores, lengths = random_games
    assert len(scores) == 4
    assert -21 <= scores.min() and scores.max() <= -17
    assert -21 < scores.mean() < -19.4
    # Whole games: each of the 21 points takes about 40 agent steps.
    assert lengths.min() > 700 and lengths.max() < 2000
    assert len(set(lengths)) > 1  # the random no-op starts keep the games apart


def test_the_same_seed_gives_the_same_games(pong, random_games):
    again = play_randomly(pong, episodes=4)
    np.testing.assert_array_equal(again.scores, random_games.scores)
    np.testing.assert_array_equal(again.lengths, random_games.lengths)


def test_a_game_that_is_cut_off_counts():
    environment = AtariEnvironment("pong", 2, seed=1, max_episode_steps=50)
    result = play_randomly(environment, episodes=3)
    np.testing.assert_array_equal(result.lengths, [50] * 3)
