"""What of a network's output is explained: functions from (output, targets) to scores [B]."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

# From the output [B, ..., K] and targets int [B] to one score for each example, float [B].
Score = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def log_odds(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Computes log(p / (1 - p)) for the probability p of the target class.

    Not the logit alone: to add a number to all logits changes nothing that a classifier says, but
    it changes the gradient of one of them. A probe may even have nothing but zeros for one of its
    classes, which would then have no evidence.

    Args:
        logits: float [B, ..., K], K at least 2; where every position has logits, the mean over
            positions is taken.
        targets: int [B].

    Returns:
        float [B]. For two classes the difference of their logits.

    Raises:
        ValueError: If there are fewer than two classes.
    """
    if logits.shape[-1] < 2:
        raise ValueError(f"expected logits of two classes or more, got {logits.shape[-1]}")
    is_target = _is_target(logits, targets)
    others = tf.reduce_logsumexp(tf.where(is_target, logits.dtype.min, logits), -1)
    return _mean_over_positions(chosen(logits, targets, keep_positions=True) - others)


def chosen(values: tf.Tensor, targets: tf.Tensor, keep_positions: bool = False) -> tf.Tensor:
    """Picks a value of each example, such as the Q value of an action.

    Args:
        values: float [B, ..., K].
        targets: int [B].
        keep_positions: Return [B, ...] instead of the mean over the axes in between.

    Returns:
        float [B].
    """
    picked = tf.reduce_sum(tf.where(_is_target(values, targets), values, 0.0), -1)
    return picked if keep_positions else _mean_over_positions(picked)


def mean(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Computes the mean of all values: of a dueling head's Q values exactly the value V.

    Its Q is V + A - mean(A) (Wang et al. 2016, arXiv:1511.06581, equation 9).

    Args:
        values: float [B, K].
        targets: Ignored.

    Returns:
        float [B].
    """
    del targets
    return tf.reduce_mean(values, -1)


def largest(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Computes the largest value: the worth of a state to an agent that acts greedily.

    Args:
        values: float [B, K].
        targets: Ignored.

    Returns:
        float [B].
    """
    del targets
    return tf.reduce_max(values, -1)


def _is_target(values: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    one_hot = tf.one_hot(targets, values.shape[-1], on_value=True, off_value=False)
    positions = [1] * (values.shape.rank - 2)
    return tf.reshape(one_hot, [-1, *positions, values.shape[-1]])


def _mean_over_positions(scores: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(scores, range(1, scores.shape.rank)) if scores.shape.rank > 1 else scores
