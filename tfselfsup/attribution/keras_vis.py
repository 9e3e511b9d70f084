"""The gradient as tf-keras-vis takes it, for the same maps by another's code."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfselfsup.attribution.scores import Score
from tfselfsup.attribution.smoothgrad import Gradient


def saliency(model: tf.keras.Model, score: Score) -> Gradient:
    """Takes gradients with the `Saliency` of tf-keras-vis.

    Its own SmoothGrad holds all noisy copies in memory at once, in float64, and draws them from
    NumPy's global generator, which no seed of a call reaches. So it is asked for the plain
    gradient, of copies that `SmoothGrad` makes.

    Args:
        model: From float [B, ...] to one output.
        score: From the output and targets to scores [B].

    Raises:
        ValueError: If tf-keras-vis is not installed.
    """
    try:
        from tf_keras_vis.saliency import Saliency
    except ImportError as error:
        raise ValueError(
            f"expected tf-keras-vis, got: {error}; install tf-keras-vis==0.8.7, or do without it"
        ) from error
    visualisation = Saliency(model, clone=False)

    def gradient(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        found = visualisation(
            lambda output: score(tf.cast(output, tf.float32), tf.constant(targets, tf.int64)),
            tf.constant(inputs),
            keepdims=True,
            normalize_map=False,
            gradient_modifier=None,
        )
        return np.asarray(found)

    return gradient
