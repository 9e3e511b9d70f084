import numpy as np
import tensorflow as tf

from tfselfsup.rl.policies import epsilon_greedy, greedy_policy, random_policy

NUM_ACTIONS = 6


def test_greedy_policy_takes_the_largest_q_value_of_any_number_of_observations():
    frames = tf.keras.Input((4, 2, 2, 1), dtype=tf.uint8)
    flat = tf.keras.layers.Flatten()(tf.cast(frames, tf.float32))
    model = tf.keras.Model(frames, {"q": tf.keras.layers.Dense(NUM_ACTIONS)(flat), "other": flat})
    policy = greedy_policy(model)
    generator = np.random.default_rng(0)
    for num_envs in (1, 8, 64):
        observation = generator.integers(256, size=(num_envs, 4, 2, 2, 1), dtype=np.uint8)
        actions = policy(observation)
        assert (actions.shape, actions.dtype) == ((num_envs,), np.int64)
        np.testing.assert_array_equal(actions, np.argmax(model(observation)["q"], axis=1))
    assert len(set(actions)) > 1
    model.set_weights([-weights for weights in model.get_weights()])  # it follows the learner
    np.testing.assert_array_equal(policy(observation), np.argmax(model(observation)["q"], axis=1))


def test_the_random_policy_takes_every_action_alike():
    act = random_policy(NUM_ACTIONS, np.random.default_rng(0))
    actions = act(np.zeros((6000, 1)))
    assert actions.shape == (6000,) and actions.dtype.kind == "i"
    # sqrt(6000 * 1/6 * 5/6) = 29
    assert (abs(np.bincount(actions, minlength=NUM_ACTIONS) - 1000) < 4 * 29).all()


def test_epsilon_is_the_share_of_actions_drawn_from_all():
    observations = np.zeros((4000, 1), np.uint8)

    def always_three(asked):
        return np.full(len(asked), 3)

    generator = np.random.default_rng(0)
    actions = epsilon_greedy(observations, always_three, NUM_ACTIONS, 0.2, generator)
    # 0.8 + 0.2 / 6 = 0.833 of 4000; the standard deviation is 24.
    assert abs(np.count_nonzero(actions == 3) - 3333) < 4 * 24
    assert set(actions) == set(range(NUM_ACTIONS))


def test_a_policy_that_is_not_needed_is_not_asked():
    observations = np.zeros((8, 1), np.uint8)
    generator = np.random.default_rng(0)

    def never(asked):
        raise AssertionError("asked")

    assert epsilon_greedy(observations, never, NUM_ACTIONS, 1.0, generator).shape == (8,)
