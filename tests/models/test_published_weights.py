"""Networks with published weights, if those are here: what they see says if all is in its place."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import encoders

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "weights"
FILES = {
    "mobilenet": "mobilenet_v1_imagenet_notop.h5",
    "squeezenet": "squeezenet_v1.1_imagenet_notop.h5",
}


def file_of(name):
    path = FOLDER / FILES[name]
    if not path.exists():
        pytest.skip(f"{FILES[name]} is not here")
    return path


def photos(side):
    noise = np.random.default_rng(0).integers(0, 256, (2, 1, side // 8, side // 8, 3), np.uint8)
    return noise.repeat(8, axis=2).repeat(8, axis=3)


def test_mobilenet_is_that_of_keras():
    path = file_of("mobilenet")
    images = photos(128)
    keras = tf.keras.applications.MobileNet(
        (128, 128, 3), include_top=False, weights=str(path), pooling="avg"
    )
    pixels = tf.keras.applications.mobilenet.preprocess_input(images[:, 0].astype(np.float32))
    features = encoders.encoder((1, 128, 128, 3), "mobilenet", path)(images)
    np.testing.assert_allclose(features["pooled"], keras(pixels), rtol=1e-3, atol=1e-4)


def squeezenet(pixels, weights):
    """Computes SqueezeNet 1.1 with TensorFlow's plain functions."""

    def convolve(x, name, strides=1, padding="SAME"):
        kernel, bias = weights[name]
        return tf.nn.relu(tf.nn.conv2d(x, kernel, strides, padding) + bias)

    x = convolve(pixels, "conv1", 2, "VALID")
    for number in range(2, 10):
        if number in (2, 4, 6):
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = convolve(x, f"fire{number}/squeeze1x1")
        sides = [convolve(x, f"fire{number}/expand{size}") for size in ("1x1", "3x3")]
        x = tf.concat(sides, axis=-1)
    return x


def test_squeezenet_is_the_published_one():
    path = file_of("squeezenet")
    images = photos(96)
    with h5py.File(path) as file:
        weights = {
            name.decode(): [file[name][weight][()] for weight in file[name].attrs["weight_names"]]
            for name in file.attrs["layer_names"]
        }
    blue_green_red = images[:, 0, ..., ::-1].astype(np.float32) - [103.939, 116.779, 123.68]
    expected = squeezenet(tf.constant(blue_green_red, tf.float32), weights)
    features = encoders.encoder((1, 96, 96, 3), "squeezenet", path)(images)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(features["map"], expected, rtol=1e-3, atol=1e-5 * scale)
    np.testing.assert_allclose(
        features["pooled"], np.mean(expected, axis=(1, 2)), rtol=1e-3, atol=1e-5 * scale
    )


@pytest.mark.parametrize("name", FILES)
def test_another_trunk_refuses_the_file(name):
    path = file_of(name)
    other = {"mobilenet": "squeezenet", "squeezenet": "mobilenet"}[name]
    with pytest.raises(ValueError) as error:
        encoders.encoder((1, 64, 64, 3), other, path)
    message = str(error.value)
    assert "\n" not in message
    for word in (f"'{other}'", str(path), "choose the trunk"):
        assert word in message
