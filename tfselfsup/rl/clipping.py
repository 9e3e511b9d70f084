"""Limits on the norm of a step's gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

# From gradients to the clipped ones and to the norm of all of them together, before.
ClipGradients = Callable[[list[tf.Tensor]], tuple[list[tf.Tensor], tf.Tensor]]


def keep_gradients(gradients: list[tf.Tensor]) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Leaves the gradients as they are."""
    return gradients, tf.linalg.global_norm(gradients)


def per_variable(gradients: list[tf.Tensor], limit: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clips the norm of each variable's gradient, as the study does."""
    norms = [_norm(gradient) for gradient in gradients]
    clipped = [
        _shortened(gradient, norm, limit) for gradient, norm in zip(gradients, norms, strict=True)
    ]
    return clipped, _norm(tf.stack(norms))


def over_all(gradients: list[tf.Tensor], limit: float) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clips the norm of all gradients together: Pascanu et al. (2013), arXiv:1211.5063."""
    norm = tf.linalg.global_norm(gradients)
    return [_shortened(gradient, norm, limit) for gradient in gradients], norm


METHODS = {"per_variable": per_variable, "global": over_all}


def get(method: str, limit: float) -> ClipGradients:
    """Finds a way to clip.

    Args:
        method: `per_variable` or `global`.
        limit: Largest norm; 0 for none.

    Raises:
        ValueError: If there is no such method.
    """
    if method not in METHODS:
        raise ValueError(f"expected clipping among {', '.join(METHODS)}, got '{method}'")
    return functools.partial(METHODS[method], limit=limit) if limit else keep_gradients


def _norm(gradient: tf.Tensor) -> tf.Tensor:
    # L2Loss reads the gradient once; tf.norm would write its squares to memory and read them again.
    return tf.sqrt(2.0 * tf.nn.l2_loss(gradient))


def _shortened(gradient: tf.Tensor, norm: tf.Tensor, limit: float) -> tf.Tensor:
    # Most gradients are short enough: a condition costs less than a multiplication of all by 1.
    return tf.cond(norm > limit, lambda: gradient * (limit / norm), lambda: gradient)
