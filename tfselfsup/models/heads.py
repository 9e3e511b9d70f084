"""Heads for actions and for classes. A head is a layer that says which feature it `reads`."""

from __future__ import annotations

import tensorflow as tf

from tfselfsup.models.initializers import rectifier_initializer


class QHead(tf.keras.layers.Layer):
    """One hidden layer, then a value for every action.

    Call with `pooled` float [B, d]; returns Q values, float32 [B, num_actions].
    """

    reads = "pooled"

    def __init__(self, num_actions: int, hidden_units: int, **kwargs):
        """Makes the layers.

        Args:
            num_actions: Number of actions.
            hidden_units: Width of the hidden layer.
            **kwargs: Keras' own, such as `name`.
        """
        super().__init__(**kwargs)
        self._hidden = _hidden_layer(hidden_units)
        self._q = _linear_layer(num_actions, "q")

    def call(self, pooled: tf.Tensor) -> tf.Tensor:
        """Returns the Q values."""
        return self._q(self._hidden(pooled))


class DuelingHead(tf.keras.layers.Layer):
    """Value and advantage streams, Wang et al. (2016), arXiv:1511.06581, equation 9.

    Call with `pooled` float [B, d]; returns Q = V + A - mean(A), float32 [B, num_actions].
    """

    reads = "pooled"

    def __init__(self, num_actions: int, hidden_units: int, **kwargs):
        """Makes the layers.

        Args:
            num_actions: Number of actions.
            hidden_units: Width of the hidden layer of each stream.
            **kwargs: Keras' own, such as `name`.
        """
        super().__init__(**kwargs)
        # Both streams read the same features, so that one product serves both hidden layers.
        self._hidden = _hidden_layer(2 * hidden_units)
        self._value = _linear_layer(1, "value")
        self._advantage = _linear_layer(num_actions, "advantage")

    def call(self, pooled: tf.Tensor) -> tf.Tensor:
        """Returns the Q values."""
        value_stream, advantage_stream = tf.split(self._hidden(pooled), 2, axis=-1)
        advantage = self._advantage(advantage_stream)
        centred = advantage - tf.reduce_mean(advantage, axis=-1, keepdims=True)
        return self._value(value_stream) + centred


class LabelHead(tf.keras.layers.Layer):
    """One logit for every class, straight from a feature: a linear classifier.

    Call with float [B, d]; returns logits, float32 [B, num_classes]. Its weights are one kernel
    [d, num_classes] and one bias [num_classes], as a probe has them.
    """

    def __init__(self, num_classes: int, reads: str = "pooled", **kwargs):
        """Makes the layer.

        Args:
            num_classes: Width of the output.
            reads: The feature of the trunk it is called with.
            **kwargs: Keras' own, such as `name`.
        """
        super().__init__(**kwargs)
        self.reads = reads
        self._logits = _linear_layer(num_classes, "logits")

    def call(self, feature: tf.Tensor) -> tf.Tensor:
        """Returns the logits."""
        return self._logits(feature)


def _hidden_layer(units: int) -> tf.keras.layers.Layer:
    return tf.keras.layers.Dense(
        units, "relu", kernel_initializer=rectifier_initializer(), name="hidden"
    )


def _linear_layer(units: int, name: str) -> tf.keras.layers.Layer:
    # Small first outputs: values and logits start near zero. Always float32.
    return tf.keras.layers.Dense(
        units,
        kernel_initializer=tf.keras.initializers.VarianceScaling(1.0, "fan_in"),
        name=name,
        dtype="float32",
    )
