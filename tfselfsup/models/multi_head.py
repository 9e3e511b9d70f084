"""One functional model: an encoder, and a dict of named heads on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf

from tfselfsup.models.precision import policy


@tf.keras.utils.register_keras_serializable("tfselfsup")
class FoldTime(tf.keras.layers.Layer):
    """Folds time into channels and scales bytes to [0, 1].

    Call with uint8 [B, T, H, W, C]; returns float [B, H, W, T*C] in the layer's compute type, with
    frame t's channel c at index t*C + c.
    """

    def __init__(self, **kwargs):
        """Switches off the casting of the input, which are bytes."""
        super().__init__(autocast=False, **kwargs)

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        """Returns the pixels."""
        _, time, height, width, channels = frames.shape
        # Bytes are moved before they become floats: a quarter of the traffic.
        moved = tf.transpose(frames, (0, 2, 3, 1, 4))
        folded = tf.reshape(moved, (-1, height, width, time * channels))
        return tf.cast(folded, self.compute_dtype) * tf.cast(1.0 / 255.0, self.compute_dtype)


def multi_head(
    encoder: tf.keras.Model,
    heads: Mapping[str, Callable[[], tf.keras.layers.Layer]],
    precision: str = "float32",
) -> tf.keras.Model:
    """Puts heads, out of fresh layers, on an encoder.

    The model has the encoder's own layers, not copies of them: what one learns the other knows.

    Args:
        encoder: Functional model from frames, uint8 [B, T, H, W, C], to a dict of features, named
            as its trunk.
        heads: For each output's name a function that makes a fresh layer, whose attribute `reads`
            names the feature it is called with.
        precision: Keras' mixed-precision policy of the heads, `float32` or `mixed_bfloat16`.

    Returns:
        A functional model from the encoder's input to a dict of float32 outputs.

    Raises:
        ValueError: If a head reads what the encoder does not give.
    """
    features = encoder.output
    outputs = {}
    with policy(precision):
        for name, make_head in heads.items():
            head = make_head()
            if head.reads not in features:
                raise ValueError(
                    f"head '{name}' reads '{head.reads}', but trunk '{encoder.name}' has only "
                    f"{', '.join(features)}; choose another trunk or task"
                )
            # Named as its output, so that its variables can be told from those of other heads.
            outputs[name] = tf.keras.Sequential([head], name)(features[head.reads])
    return tf.keras.Model(encoder.input, outputs)
