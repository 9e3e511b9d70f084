"""A Keras functional model as a TF-Agents network."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tf_agents.networks import network
from tf_agents.typing import types

from tfselfsup.rl.objectives import Q


class MultiHeadNetwork(network.Network):
    """Gives TF-Agents the Q values of a multi-head model, and our agent all of its outputs.

    Attributes:
        model: The functional model, from uint8 [B, T, H, W, C] to a dict of outputs.
    """

    def __init__(
        self,
        input_tensor_spec: types.NestedTensorSpec,
        build_model: Callable[[], tf.keras.Model],
        name: str = "MultiHeadNetwork",
    ):
        """Builds the model.

        Args:
            input_tensor_spec: Of one observation, uint8 (T, H, W, C).
            build_model: Makes a model out of fresh layers, so that a copy of this network (the
                target network) shares no weight with it.
            name: Name of the network.
        """
        super().__init__(input_tensor_spec=input_tensor_spec, state_spec=(), name=name)
        self.model = build_model()

    def call(self, observation, step_type=None, network_state=(), training=False):
        """Returns the Q values, float32 [B, num_actions], and the state there is none of."""
        del step_type
        return self.model(observation, training=training)[Q], network_state
