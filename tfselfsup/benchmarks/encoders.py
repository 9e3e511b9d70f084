"""Speed of encoders, and what the cache of their features saves."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfselfsup.vision.compiled_outputs import compiled_output
from tfselfsup.vision.features import FeatureCache, FeatureKey

BATCH_SIZE = 32


class EncoderCase:
    """An encoder that is measured interval by interval, in turn with others.

    Attributes:
        name: Of the trunk or the module.
        side: Height and width of the images, pixels.
        precision: Of its layers.
        images_per_second: One for each interval.
    """

    def __init__(self, name: str, precision: str, model: tf.keras.Model):
        """Runs the encoder once, which compiles it.

        Args:
            name: What it is called in the table.
            precision: What it was made with.
            model: From uint8 [B, 1, side, side, 3] to a dict with `pooled`.
        """
        self.name, self.precision, self.side = name, precision, model.input_shape[2]
        self.images_per_second: list[float] = []
        # Made-up images: how long a network takes does not depend on what they show.
        generator = np.random.default_rng(0)
        shape = (BATCH_SIZE, self.side, self.side, 3)
        self._images = tf.constant(generator.integers(0, 256, shape, np.uint8))
        self._encode = compiled_output(model, "pooled")  # what computes features for the cache
        self.width = int(self._encode(self._images).shape[1])

    def run(self, batches: int) -> None:
        """Encodes so many batches and notes the speed."""
        started = time.perf_counter()
        for _ in range(batches):
            features = self._encode(self._images)
        features.numpy()  # waits for the last
        elapsed = time.perf_counter() - started
        self.images_per_second.append(batches * BATCH_SIZE / elapsed)


def cached_images_per_second(folder: Path, images: int, width: int) -> float:
    """Measures how fast features are read from the cache.

    Args:
        folder: For the cache, on the disk that is measured.
        images: How many.
        width: Of their features.
    """
    cache = FeatureCache(folder)
    key = FeatureKey("made up", "pooled", str(width), "", 1, "float32", str(images))
    cache.store(key, np.random.default_rng(0).random((images, width), np.float32))
    started = time.perf_counter()
    cache.load(key)
    return images / (time.perf_counter() - started)
