"""Encoders: from frames to the features of a trunk."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from tfselfsup.models import trunks
from tfselfsup.models import weights as weights_files
from tfselfsup.models.multi_head import FoldTime
from tfselfsup.models.precision import policy


def encoder(
    frame_shape: tuple[int, int, int, int],
    trunk: str,
    weights: str | Path | None = None,
    precision: str = "float32",
) -> tf.keras.Model:
    """Builds a trunk on frames, out of fresh layers.

    Args:
        frame_shape: (T, H, W, C) of the input.
        trunk: Name of the trunk.
        weights: A file that `weights.load` reads; random ones without it.
        precision: Keras' mixed-precision policy of the layers, `float32` or `mixed_bfloat16`.

    Returns:
        A functional model, named as its trunk, from frames, uint8 [B, T, H, W, C], to a dict of
        features in the type that the layers compute in.

    Raises:
        ValueError: If there is no such trunk, if it needs other frames, or if the file of weights
            is not this trunk's.
    """
    found = trunks.get(trunk)
    time, height, width, channels = frame_shape
    if found.channels not in (None, time * channels):
        raise ValueError(
            f"expected frames with T*C = {found.channels} channels for trunk '{trunk}', got "
            f"T={time} and C={channels}; choose another trunk, or colour pictures"
        )
    with policy(precision):
        frames = tf.keras.Input((time, height, width, channels), dtype=tf.uint8, name="frames")
        features = found.build(FoldTime(name="pixels")(frames))
    model = tf.keras.Model(frames, features, name=trunk)
    if weights is not None:
        weights_files.load(model, weights)
    return model
