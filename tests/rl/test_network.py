import numpy as np
import pytest
import tensorflow as tf
from tf_agents.networks import network
from tf_agents.policies import greedy_policy, q_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.network import MultiHeadNetwork

FRAME_SHAPE = (4, 6, 6, 1)
NUM_ACTIONS = 3
OBSERVATION_SPEC = tensor_spec.BoundedTensorSpec(FRAME_SHAPE, tf.uint8, 0, 255)


def build_model() -> tf.keras.Model:
    """A trunk whose dropout tells training from acting, with a Q head and a task's head on it."""
    frames = tf.keras.Input(FRAME_SHAPE, dtype=tf.uint8)
    pixels = tf.keras.layers.Flatten()(tf.cast(frames, tf.float32) / 255)
    features = tf.keras.layers.Dropout(0.5)(tf.keras.layers.Dense(8, name="trunk")(pixels))
    outputs = {
        "q": tf.keras.layers.Dense(NUM_ACTIONS, name="q")(features),
        "rotation": tf.keras.layers.Dense(4, name="rotation")(features),
    }
    return tf.keras.Model(frames, outputs)


@pytest.fixture
def q_network() -> MultiHeadNetwork:
    built = MultiHeadNetwork(OBSERVATION_SPEC, build_model)
    built.create_variables()
    return built


def observations(batch_size=5) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(batch_size, *FRAME_SHAPE), dtype=np.uint8)


def test_it_returns_q_values_only(q_network):
    q_values, state = q_network(observations(), step_type=np.ones(5, np.int32))
    assert state == ()
    assert (q_values.shape, q_values.dtype) == ((5, NUM_ACTIONS), tf.float32)
    np.testing.assert_array_equal(q_values, q_network.model(observations())["q"])


def test_training_reaches_the_model(q_network):
    acting = [q_network(observations())[0] for _ in range(2)]
    np.testing.assert_array_equal(*acting)
    training = [q_network(observations(), training=True)[0] for _ in range(2)]
    assert np.abs(training[0] - training[1]).max() > 1e-3  # another half of the features is dropped


def test_specs(q_network):
    assert isinstance(q_network, network.Network)
    assert q_network.input_tensor_spec == OBSERVATION_SPEC
    assert q_network.state_spec == ()
    # TF-Agents' DQN accepts a network with one output of this shape, and no other.
    assert q_network.create_variables() == tf.TensorSpec((NUM_ACTIONS,), tf.float32)


def test_the_variables_are_those_of_the_model_with_all_its_heads(q_network):
    # Dense layers of the trunk and of two heads, with a kernel and a bias each.
    assert len(q_network.variables) == 6
    for mine, of_the_model in zip(q_network.variables, q_network.model.variables, strict=True):
        assert mine is of_the_model


def test_a_copy_shares_no_weight(q_network):
    copy = q_network.copy(name="TargetQNetwork")
    copy.create_variables()
    assert copy.name == "TargetQNetwork"
    assert [v.shape for v in copy.variables] == [v.shape for v in q_network.variables]
    assert {id(v) for v in copy.variables}.isdisjoint(id(v) for v in q_network.variables)
    before = copy(observations())[0]
    for variable in q_network.variables:
        variable.assign_add(tf.ones_like(variable))
    np.testing.assert_array_equal(copy(observations())[0], before)


def test_tf_agents_policy_takes_the_action_with_the_largest_q_value(q_network):
    policy = greedy_policy.GreedyPolicy(
        q_policy.QPolicy(
            ts.time_step_spec(OBSERVATION_SPEC),
            tensor_spec.BoundedTensorSpec((), tf.int32, 0, NUM_ACTIONS - 1),
            q_network,
        )
    )
    actions = policy.action(ts.restart(tf.constant(observations(20)), batch_size=20)).action
    best = np.argmax(q_network.model(observations(20))["q"], axis=-1)
    np.testing.assert_array_equal(actions, best)
    assert len(set(best)) > 1
