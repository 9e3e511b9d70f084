import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.rl import clipping

GRADIENTS = [[3.0, 4.0], [0.3, 0.4]]  # norms 5 and 0.5, of both together sqrt(25.25)


@pytest.mark.parametrize(
    ("method", "limit", "expected"),
    [
        ("per_variable", 1.0, [[0.6, 0.8], [0.3, 0.4]]),
        ("global", 1.0, np.array(GRADIENTS) / 25.25**0.5),
        ("per_variable", 10.0, GRADIENTS),
        ("global", 10.0, GRADIENTS),
        ("per_variable", 0.0, GRADIENTS),  # no limit
        ("global", 0.0, GRADIENTS),
    ],
)
def test_gradients_are_shortened_to_the_limit_and_their_norm_is_reported(method, limit, expected):
    clipped, norm = clipping.get(method, limit)([tf.constant(one) for one in GRADIENTS])
    np.testing.assert_allclose(clipped, expected, rtol=1e-6)
    assert norm.numpy() == pytest.approx(25.25**0.5)


@pytest.mark.parametrize("limit", [0.05, 1.0, 100.0])
def test_clipping_is_that_of_tensorflow(limit):
    generator = np.random.default_rng(0)
    gradients = [
        tf.constant(generator.normal(size=size), tf.float32) for size in ((7,), (3, 5), (2, 2, 4))
    ]
    ours, norm = tf.function(clipping.get("per_variable", limit))(gradients)
    for one, gradient in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(one, tf.clip_by_norm(gradient, limit), rtol=1e-5)
    ours, norm_again = tf.function(clipping.get("global", limit))(gradients)
    theirs, their_norm = tf.clip_by_global_norm(gradients, limit)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    np.testing.assert_allclose([norm, norm_again], their_norm, rtol=1e-6)


@pytest.mark.parametrize("method", ["per_variable", "global"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_norm_that_is_not_finite_is_reported(method, bad):
    _, norm = clipping.get(method, 1.0)([tf.constant([1.0, bad]), tf.constant([1.0])])
    assert not np.isfinite(norm)


def test_an_unknown_method_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="per_variable, global, got 'by_value'"):
        clipping.get("by_value", 1.0)
