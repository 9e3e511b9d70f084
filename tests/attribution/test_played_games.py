import numpy as np

from tfselfsup.attribution.played_games import observed
from tfselfsup.rl.environments import AtariEnvironment


def play(steps=20, limit=40, epsilon=0.0, num_envs=1):
    environment = AtariEnvironment("pong", num_envs, seed=3, max_episode_steps=limit)
    seen, actions = [], []
    step = environment.step

    def watched(chosen):
        actions.append(chosen[0])
        return step(chosen)

    environment.step = watched

    def policy(observations):
        seen.append(observations[0].copy())
        return observations.sum(axis=(1, 2, 3, 4), dtype=np.int64) % 6

    generator = np.random.default_rng(5)
    frames = observed(environment, policy, steps=steps, epsilon=epsilon, generator=generator)
    return frames, actions, seen


def test_observations_are_those_that_were_acted_on():
    frames, actions, seen = play()
    assert frames.shape == (20, 4, 84, 84, 1) and frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, seen)
    np.testing.assert_array_equal(actions, frames.sum((1, 2, 3, 4), dtype=np.int64) % 6)
    # One step moves the stack by one frame.
    np.testing.assert_array_equal(frames[1:, :3], frames[:-1, 1:])
    assert len(np.unique(frames[10:], axis=0)) > 5


def test_a_game_that_ends_before_has_fewer_steps():
    assert len(play(steps=100, limit=30)[0]) == 30


def test_only_the_first_slot_plays():
    np.testing.assert_array_equal(play(num_envs=2)[0], play()[0])


def test_random_actions_come_from_the_generator():
    one, other = play(epsilon=1.0), play(epsilon=1.0)
    np.testing.assert_array_equal(one[1], other[1])
    assert one[2] == [] and len(set(one[1])) > 2
