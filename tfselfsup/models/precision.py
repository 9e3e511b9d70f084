"""The number format that layers compute in while a model is built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Sets Keras' policy inside the block, and the one before again after it, come what may.

    Args:
        name: `float32` or `mixed_bfloat16`; weights are float32 under both.
    """
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
