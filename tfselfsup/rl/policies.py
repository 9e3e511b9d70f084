"""How actions are chosen: greedily, at random, or one or the other by chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

# From uint8 [n, T, H, W, C] to integers [n], for any n of 1 or more.
Policy = Callable[[np.ndarray], np.ndarray]


def greedy_policy(model: tf.keras.Model) -> Policy:
    """Compiles the choice of the action with the largest Q value.

    Args:
        model: Has the output `q`.
    """
    observation = tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8)
    best = tf.function(
        lambda frames: tf.argmax(model(frames)["q"], -1), [observation], autograph=False
    )
    return lambda frames: best(frames).numpy()


def random_policy(num_actions: int, generator: np.random.Generator) -> Policy:
    """Makes the Random agent: every action with the same probability."""
    return lambda observations: generator.integers(num_actions, size=len(observations))


def epsilon_greedy(
    observations: np.ndarray,
    policy: Policy,
    num_actions: int,
    epsilon: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """Follows a policy, but for a random action now and then.

    Args:
        observations: uint8 [n, T, H, W, C].
        policy: The greedy one; it is not asked where no action of it is needed.
        num_actions: Number of actions.
        epsilon: Probability of an action drawn uniformly from all, in [0, 1].
        generator: Draws both.

    Returns:
        Integers [n].
    """
    explores = generator.random(len(observations)) < epsilon
    actions = generator.integers(num_actions, size=len(observations))
    return actions if explores.all() else np.where(explores, actions, policy(observations))
