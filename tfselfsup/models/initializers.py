"""Weight initialisers."""

from __future__ import annotations

import tensorflow as tf


def rectifier_initializer() -> tf.keras.initializers.Initializer:
    """Returns the initialiser for layers with a rectifier: He et al. (2015), arXiv:1502.01852."""
    return tf.keras.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal")
