"""Exported models whose answers are known, for tests of what serves them."""

import tensorflow as tf

from tfselfsup.models.multi_head import FoldTime
from tfselfsup.serving import agent_export, classifier_export, saved_models

SIDE = 8


def colours(folder):
    """Exports a classifier whose features are an image's mean colour."""
    frames = tf.keras.Input((1, SIDE, SIDE, 3), dtype=tf.uint8)
    means = tf.keras.layers.GlobalAveragePooling2D()(FoldTime()(frames))
    network = tf.keras.Model(frames, {"label": means[:, :2]})
    model = classifier_export.joined(network, "label", means)
    described = {"kind": "classifier", "labels": ["real", "fake"], "side": SIDE, "channels": 3}
    signatures = classifier_export.signatures(model, 1.0)
    saved_models.save(folder, signatures, model, described, (), ())


def brightness(folder):
    """Exports an agent whose Q values are the frames' mean brightness."""
    frames = tf.keras.Input((4, SIDE, SIDE, 1), dtype=tf.uint8)
    values = tf.reduce_mean(tf.cast(frames, tf.float32), (2, 3, 4))
    model = agent_export.only(tf.keras.Model(frames, {"q": values}), "q")
    signatures = agent_export.signatures(model)
    saved_models.save(folder, signatures, model, {"kind": "agent"}, (), ())
