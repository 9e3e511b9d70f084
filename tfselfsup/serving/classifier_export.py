"""SavedModel signatures of a classifier: from files or arrays of images to probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import tensorflow as tf

from tfselfsup.datasets.labelled_images import decoded, scaled
from tfselfsup.serving.layout import BYTES, DEFAULT, IMAGES
from tfselfsup.serving.warm_up import Request

LOGITS, FEATURES = "logits", "features"  # outputs of the model that is exported


def joined(network: tf.keras.Model, logits: str, features: tf.Tensor) -> tf.keras.Model:
    """Makes a model with the logits and the features of a network, and no other head.

    Args:
        network: From frames, uint8 [B, 1, side, side, C], to a dict of outputs.
        logits: Name of the one with the classes.
        features: The Keras tensor, inside the network, that this head reads.

    Returns:
        A model from the same frames to `logits` [B, K] and `features` [B, d].
    """
    outputs = {LOGITS: network.output[logits], FEATURES: features}
    return tf.keras.Model(network.input, outputs, name="classifier")


def signatures(
    model: tf.keras.Model, temperature: float
) -> dict[str, tf.types.experimental.GenericFunction]:
    """Makes the functions of a classifier's SavedModel.

    `serving_default` takes `image_bytes`, string [B], each a JPEG or PNG file (a GIF's first
    picture or a BMP will do, too); one that cannot be decoded makes the whole request fail with an
    InvalidArgumentError, so that a server should look at each before it joins a batch. `images`
    takes `images`, uint8 [B, H, W, C], of any size. Both scale the images as those that were learnt
    from, to a square, and return float32

    - `probabilities` [B, K], of the classes, calibrated by the temperature, and for two classes
      `probability` [B], of the second one, which is `fake` for faces;
    - `logits` [B, K], before the temperature;
    - `features` [B, d], which the class head reads.

    Args:
        model: As `joined` makes it.
        temperature: By which the logits are divided, above 0.

    Returns:
        A function for each signature.
    """
    side, _, channels = model.input_shape[2:]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, BYTES)], autograph=False)
    def of_files(image_bytes):
        square = tf.TensorSpec((side, side, channels), tf.uint8)
        images = tf.map_fn(
            lambda content: decoded(content, side, channels),
            image_bytes,
            fn_output_signature=square,
        )
        return answer(images)

    anything = tf.TensorSpec([None, None, None, channels], tf.uint8, IMAGES)

    @tf.function(input_signature=[anything], autograph=False)
    def of_images(images):
        return answer(scaled(images, side))

    def answer(images: tf.Tensor) -> Mapping[str, tf.Tensor]:
        outputs = model(images[:, tf.newaxis], training=False)
        answers = {name: tf.cast(output, tf.float32) for name, output in outputs.items()}
        answers["probabilities"] = tf.nn.softmax(answers[LOGITS] / temperature)
        if answers[LOGITS].shape[1] == 2:
            answers["probability"] = answers["probabilities"][:, 1]
        return answers

    return {DEFAULT: of_files, IMAGES: of_images}


def requests(model: tf.keras.Model) -> list[Request]:
    """Returns a request for each signature of a classifier: one grey image."""
    grey = np.full(model.input_shape[2:], 128, np.uint8)
    _, png = cv2.imencode(".png", grey)
    return [
        Request(DEFAULT, {BYTES: np.array([png.tobytes()], object)}),
        Request(IMAGES, {IMAGES: grey[np.newaxis]}),
    ]
