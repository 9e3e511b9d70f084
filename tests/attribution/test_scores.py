import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax

from tfselfsup.attribution import scores
from tfselfsup.models.heads import DuelingHead

LOGITS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
TARGETS = np.array([0, 1, 2, 3, 1])


def test_log_odds_follow_from_the_probability():
    p = softmax(LOGITS.astype(float), axis=1)[np.arange(5), TARGETS]
    found = scores.log_odds(tf.constant(LOGITS), TARGETS)
    np.testing.assert_allclose(found, np.log(p / (1 - p)), rtol=1e-5)
    np.testing.assert_allclose(tf.sigmoid(found), p, rtol=1e-5)


def test_log_odds_of_two_classes_are_the_difference_of_the_logits():
    found = scores.log_odds(tf.constant([[1.0, 4.0], [1.0, 4.0]]), [1, 0])
    np.testing.assert_allclose(found, [3.0, -3.0])


def test_a_constant_in_all_logits_changes_no_gradient():
    # As of a probe whose first class has the logit 0 throughout: there is evidence for both.
    x = tf.Variable([[2.0, 3.0]])
    found = []
    for shift in (0.0, 5.0):
        with tf.GradientTape() as tape:
            logits = tf.stack([shift * x[:, 0], shift * x[:, 0] + x[:, 1]], 1)
            score = scores.log_odds(logits, [0])
        found.append(tape.gradient(score, x).numpy())
    np.testing.assert_array_equal(found[0], [[0.0, -1.0]])
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


def test_outputs_with_positions_count_with_their_mean():
    logits = np.random.default_rng(1).normal(size=(2, 3, 3, 4)).astype(np.float32)
    log_p = log_softmax(logits.astype(float), -1)[..., 2]
    expected = (log_p - np.log1p(-np.exp(log_p))).mean((1, 2))
    np.testing.assert_allclose(scores.log_odds(tf.constant(logits), [2, 2]), expected, rtol=1e-5)
    chosen = scores.chosen(tf.constant(logits), [2, 0])
    expected = [logits[0, ..., 2].mean(), logits[1, ..., 0].mean()]
    np.testing.assert_allclose(chosen, expected, rtol=1e-5)


def test_the_chosen_value_is_picked():
    found = scores.chosen(tf.constant(LOGITS), TARGETS)
    np.testing.assert_array_equal(found, LOGITS[np.arange(5), TARGETS])


def test_the_mean_of_dueling_q_values_is_the_value():
    head = DuelingHead(6, 8)
    pooled = tf.constant(np.random.default_rng(0).normal(size=(7, 5)), tf.float32)
    q = head(pooled)
    value = head._value(tf.split(head._hidden(pooled), 2, axis=-1)[0])[:, 0]
    np.testing.assert_allclose(scores.mean(q, None), value, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(scores.largest(q, None), q.numpy().max(1))


def test_one_class_has_no_odds():
    with pytest.raises(ValueError, match="expected logits of two classes or more, got 1"):
        scores.log_odds(tf.constant([[1.0]]), [0])
