"""The layers give the values and gradients of Keras' own."""

import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models.fast_gradients import Conv2D, Dense

BATCH_SIZE = 3


def twins(fast, keras, shape):
    """Builds a layer of each class with the same weights, and draws inputs for them."""
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=(BATCH_SIZE, *shape)), tf.float32)
    ours, theirs = fast(), keras()
    theirs(inputs)
    ours(inputs)
    weights = [generator.normal(size=weight.shape) for weight in theirs.get_weights()]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs, inputs


def outcome(layer, inputs):
    """Returns the outputs and the gradients of the inputs, the kernel and the bias."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        # A weight for every output, so that no two of them can be exchanged.
        weights = tf.reshape(tf.cos(tf.range(tf.size(outputs), dtype=tf.float32)), outputs.shape)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    return outputs, *tape.gradient(loss, [inputs, *layer.trainable_weights])


def assert_alike(ours, theirs, inputs, rtol):
    for got, expected in zip(outcome(ours, inputs), outcome(theirs, inputs), strict=True):
        assert got.dtype == expected.dtype
        got, expected = tf.cast(got, tf.float32).numpy(), tf.cast(expected, tf.float32).numpy()
        largest = np.abs(expected).max()
        assert largest > 0
        np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * largest)


@pytest.mark.parametrize(
    ("shape", "kernel", "strides"),
    [
        ((9, 9, 2), 3, 1),
        ((84, 84, 4), 8, 4),
        ((11, 14, 3), (4, 2), (2, 3)),  # neither fits: rows and columns are left over
        ((5, 6, 1), (5, 6), 1),  # one position
        ((7, 7, 2), 1, 2),
    ],
)
def test_a_convolution_agrees_with_keras(shape, kernel, strides):
    settings = {"strides": strides, "activation": "relu"}
    assert_alike(
        *twins(
            lambda: Conv2D(5, kernel, **settings),
            lambda: tf.keras.layers.Conv2D(5, kernel, **settings),
            shape,
        ),
        rtol=2e-6,
    )


@pytest.mark.parametrize(
    "settings", [{"padding": "same"}, {"dilation_rate": 2}, {"groups": 2}, {"dtype": "bfloat16"}]
)
def test_what_is_not_plain_is_keras_own(settings):
    settings = {"dtype": "float32"} | settings
    assert_alike(
        *twins(
            lambda: Conv2D(4, 3, **settings),
            lambda: tf.keras.layers.Conv2D(4, 3, **settings),
            (8, 8, 2),
        ),
        rtol=2e-6,
    )


@pytest.mark.parametrize("units", [1, 7, 64])
def test_a_dense_layer_agrees_with_keras(units):
    assert_alike(
        *twins(lambda: Dense(units, "relu"), lambda: tf.keras.layers.Dense(units, "relu"), (10,)),
        rtol=2e-6,
    )


def test_a_dense_layer_in_mixed_precision_is_keras_own():
    assert_alike(
        *twins(
            lambda: Dense(7, dtype="mixed_bfloat16"),
            lambda: tf.keras.layers.Dense(7, dtype="mixed_bfloat16"),
            (10,),
        ),
        rtol=1e-6,
    )


def test_the_gradients_by_hand():
    convolution = Conv2D(1, (1, 2), use_bias=False)
    row = tf.constant([1.0, 2.0, 4.0], shape=(1, 1, 3, 1))
    convolution(row)
    convolution.set_weights([np.reshape([10.0, 1.0], (1, 2, 1, 1))])
    with tf.GradientTape() as tape:
        tape.watch(row)
        loss = tf.reduce_sum(convolution(row) * [[[[1.0], [3.0]]]])  # 1 (10 + 2) + 3 (20 + 4)
    of_row, of_kernel = tape.gradient(loss, [row, convolution.kernel])
    assert float(loss) == 84
    np.testing.assert_array_equal(np.ravel(of_row), [10, 31, 3])
    np.testing.assert_array_equal(np.ravel(of_kernel), [1 + 2 * 3, 2 + 4 * 3])


@pytest.mark.parametrize(
    ("layer", "shape"), [(lambda: Conv2D(3, 2), (4, 4, 2)), (lambda: Dense(3), (5,))]
)
def test_a_batch_of_unknown_size_in_a_compiled_function(layer, shape):
    built = layer()
    inputs = tf.random.stateless_normal((BATCH_SIZE, *shape), (1, 2))
    expected = outcome_of_sum(built, inputs)
    signature = tf.TensorSpec((None, *shape))
    compiled = tf.function(lambda x: outcome_of_sum(built, x), input_signature=[signature])
    for got, wanted in zip(compiled(inputs), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5)


def outcome_of_sum(layer, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs) ** 2)
    return tape.gradient(loss, [inputs, *layer.trainable_weights])


@pytest.mark.parametrize(
    ("layer", "shape"), [(lambda: Conv2D(3, 2), (4, 4, 2)), (lambda: Dense(3), (5,))]
)
def test_a_gradient_has_a_gradient(layer, shape):
    """Checked against differences, as a penalty on a gradient would need it."""
    built = layer()
    built.activation = tf.math.sin
    inputs = tf.random.stateless_normal((BATCH_SIZE, *shape), (1, 2))
    theoretical, numerical = tf.test.compute_gradient(
        lambda x: outcome_of_sum(built, x)[0], [inputs], delta=1e-2
    )
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=0.05)
