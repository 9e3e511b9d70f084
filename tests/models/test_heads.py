import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import heads

both_heads = pytest.mark.parametrize("make_head", [heads.QHead, heads.DuelingHead])


def set_weights(head, values):
    """Sets every weight of a head, by the end of its name."""
    left = dict(values)
    for variable in head.weights:
        name = "/".join(variable.name.removesuffix(":0").split("/")[-2:])
        variable.assign(left.pop(name))
    assert not left


def random_weights(head, generator):
    for variable in head.weights:
        variable.assign(generator.normal(size=variable.shape))


def test_dueling_head_by_hand():
    head = heads.DuelingHead(num_actions=3, hidden_units=2)
    head(tf.zeros((1, 2)))
    set_weights(
        head,
        {
            # Columns: two units of the value stream, then two of the advantage stream.
            "hidden/kernel": [[1, 0, 2, -1], [0, 1, 0, 1]],
            "hidden/bias": [0, -1, 1, 0],
            "value/kernel": [[3], [10]],
            "value/bias": [0.5],
            "advantage/kernel": [[1, 0, -1], [2, 4, 6]],
            "advantage/bias": [0, 1, 2],
        },
    )
    # For (1, 3): hidden = (1, 3 - 1, 2 + 1, -1 + 3) = (1, 2, 3, 2), no rectifier is shut.
    # V = 3*1 + 10*2 + 0.5 = 23.5; A = (3 + 2*2, 4*2 + 1, -3 + 6*2 + 2) = (7, 9, 11), mean 9.
    # Q = 23.5 + (-2, 0, 2).
    #
    # For (2, 0): hidden = (2, -1, 5, -2), rectified (2, 0, 5, 0).
    # V = 3*2 + 0.5 = 6.5; A = (5, 1, -5 + 2) = (5, 1, -3), mean 1. Q = 6.5 + (4, 0, -4).
    q = head(tf.constant([[1.0, 3.0], [2.0, 0.0]]))
    np.testing.assert_allclose(q, [[21.5, 23.5, 25.5], [10.5, 6.5, 2.5]], rtol=1e-6)


def test_q_head_by_hand():
    head = heads.QHead(num_actions=3, hidden_units=2)
    head(tf.zeros((1, 2)))
    set_weights(
        head,
        {
            "hidden/kernel": [[1, -1], [2, 1]],
            "hidden/bias": [1, 0],
            "q/kernel": [[1, 2, 3], [-1, 0, 1]],
            "q/bias": [10, 20, 30],
        },
    )
    # For (1, 3): hidden = (1 + 6 + 1, -1 + 3) = (8, 2); Q = (8 - 2, 16, 24 + 2) + (10, 20, 30).
    # For (2, 0): hidden = (3, -2), rectified (3, 0); Q = (3, 6, 9) + (10, 20, 30).
    q = head(tf.constant([[1.0, 3.0], [2.0, 0.0]]))
    np.testing.assert_allclose(q, [[16, 36, 56], [13, 26, 39]], rtol=1e-6)


def test_dueling_head_equals_the_formula_in_numpy():
    rng = np.random.default_rng(0)
    head = heads.DuelingHead(num_actions=6, hidden_units=16)
    pooled = rng.normal(size=(5, 8))
    head(tf.constant(pooled, tf.float32))
    random_weights(head, rng)
    kernel, bias, value_kernel, value_bias, advantage_kernel, advantage_bias = head.get_weights()
    hidden = np.maximum(pooled @ kernel + bias, 0)
    value = hidden[:, :16] @ value_kernel + value_bias
    advantage = hidden[:, 16:] @ advantage_kernel + advantage_bias
    expected = value + advantage - advantage.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(head(tf.constant(pooled, tf.float32)), expected, rtol=1e-4)


def test_each_stream_owns_half_of_the_shared_hidden_layer():
    rng = np.random.default_rng(1)
    head = heads.DuelingHead(num_actions=4, hidden_units=8)
    pooled = tf.constant(rng.normal(size=(16, 5)), tf.float32)
    head(pooled)
    random_weights(head, rng)
    kernel = head.weights[0]
    assert kernel.shape == (5, 16)
    with tf.GradientTape(persistent=True) as tape:
        q = head(pooled)
        # The mean over actions is V, because the centred advantages cancel.
        value = tf.reduce_mean(q, axis=1)
        centred = (q - value[:, None])[:, 0]
    value_gradient = tape.gradient(value, kernel).numpy()
    advantage_gradient = tape.gradient(centred, kernel).numpy()
    assert np.all(np.abs(value_gradient[:, :8]).max(axis=0) > 0.01)
    np.testing.assert_allclose(value_gradient[:, 8:], 0, atol=1e-4)
    np.testing.assert_allclose(advantage_gradient[:, :8], 0, atol=1e-4)
    assert np.all(np.abs(advantage_gradient[:, 8:]).max(axis=0) > 0.01)


@both_heads
def test_a_head_reads_pooled_and_is_named_as_told(make_head):
    head = make_head(3, 8, name="q")
    assert head.reads == "pooled"
    assert head.name == "q"


@both_heads
def test_values_are_float32_and_weights_too_under_mixed_precision(make_head):
    rng = np.random.default_rng(2)
    pooled = tf.constant(rng.normal(size=(4, 16)), tf.float32)
    single = make_head(6, 32)
    expected = single(pooled)
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = make_head(6, 32)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    mixed(pooled)
    mixed.set_weights(single.get_weights())
    values = mixed(pooled)
    assert values.dtype == tf.float32
    assert {weight.dtype for weight in mixed.weights} == {tf.float32}
    # The hidden layer calculates in bfloat16, with 8 significant bits; so the values are near
    # each other, but not equal.
    np.testing.assert_allclose(values, expected, atol=0.03)
    assert not np.array_equal(values, expected)


@both_heads
def test_first_values_are_small_and_nothing_is_biased(make_head):
    tf.keras.utils.set_random_seed(0)
    head = make_head(16, 512)
    head(tf.zeros((1, 64)))
    by_name = {"/".join(w.name.split("/")[-2:]): w.numpy() for w in head.weights}
    # 2 / fan_in before a rectifier, 1 / fan_in before none, where fan_in is a stream's width.
    np.testing.assert_allclose(by_name.pop("hidden/kernel:0").std(), np.sqrt(2 / 64), rtol=0.03)
    for name, weight in by_name.items():
        if name.endswith("bias:0"):
            assert not weight.any()
        else:
            # The 512 weights of the value's kernel leave 3% of uncertainty.
            np.testing.assert_allclose(weight.std(), np.sqrt(1 / 512), rtol=0.1)
