"""A network, images and tasks that are small enough to be learnt in seconds."""

import numpy as np
import tensorflow as tf

from tfselfsup import tasks
from tfselfsup.vision.training_model import MultiTaskModel

SIDE = 8
COLOURS = ((220, 60, 60), (60, 60, 220))


class LinearHead(tf.keras.layers.Layer):
    """A dense layer with logits in float32."""

    reads = "pooled"

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.logits = tf.keras.layers.Dense(units, dtype="float32", name="logits")

    def call(self, features):
        return self.logits(features)


def network(heads=(("label", 2), ("rotation", 4)), momentum=None, precision="float32"):
    """Builds a convolutional network with linear heads, the same at every call.

    With a momentum it has batch normalisation.
    """
    tf.keras.utils.set_random_seed(7)
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(precision)
    try:
        frames = tf.keras.Input((1, SIDE, SIDE, 3), dtype=tf.uint8)
        pixels = tf.keras.layers.Rescaling(1 / 255)(tf.squeeze(frames, 1))
        hidden = tf.keras.layers.Conv2D(8, 3, name="trunk")(pixels)
        if momentum is not None:
            hidden = tf.keras.layers.BatchNormalization(momentum=momentum, name="norm")(hidden)
        pooled = tf.keras.layers.Flatten()(tf.keras.layers.ReLU()(hidden))
        outputs = {
            name: tf.keras.Sequential([LinearHead(units, name=f"{name}_head")], name)(pooled)
            for name, units in heads
        }
        return tf.keras.Model(frames, outputs)
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def model(weight=1.0, *, seed=3, pretrain=False, **options):
    """Puts rotation beside the class; with weight None, nothing."""
    beside = {} if weight is None else {"rotation": tasks.get("rotation")}
    weights = {} if weight is None else {"rotation": weight}
    return MultiTaskModel(network(**options), beside, weights, seed=seed, pretrain=pretrain)


def images(count, seed=0):
    """Makes noisy images, brighter at the top, whose colour is the class: frames, labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=count)
    frames = generator.integers(0, 30, (count, 1, SIDE, SIDE, 3), dtype=np.uint8)
    frames[:, :, : SIDE // 2] += np.array(COLOURS, np.uint8)[labels][:, None, None, None]
    return frames, labels


def batches(frames, labels, batch_size=16, shuffle_seed=None):
    """Makes batches out of arrays."""
    data = tf.data.Dataset.from_tensor_slices((frames, labels))
    if shuffle_seed is not None:
        data = data.shuffle(len(labels), seed=shuffle_seed)
    return data.batch(batch_size)


def values(model):
    """Copies all weights of the network by name."""
    return {variable.name: variable.numpy() for variable in model.network.weights}
