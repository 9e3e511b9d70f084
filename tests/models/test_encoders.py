import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import encoders, weights

DIGITS = (1, 16, 16, 1)


def frames(shape, batch=2):
    return np.random.default_rng(0).integers(0, 256, (batch, *shape), np.uint8)


def test_frames_become_the_features_of_the_trunk():
    encoder = encoders.encoder((4, 44, 36, 1), "nature_cnn")
    assert encoder.input_shape == (None, 4, 44, 36, 1)
    assert encoder.input.dtype == tf.uint8
    assert encoder.name == "nature_cnn"
    features = encoder(frames((4, 44, 36, 1)))
    # 44x36 -> 10x8 -> 4x3 -> 2x1.
    assert {name: tuple(value.shape) for name, value in features.items()} == {
        "map": (2, 2, 1, 64),
        "pooled": (2, 128),
    }
    np.testing.assert_array_equal(features["pooled"], tf.reshape(features["map"], (2, -1)))


def test_time_is_folded_and_bytes_become_pixels_before_the_trunk():
    encoder = encoders.encoder((3, 16, 16, 1), "two_layer_cnn")
    colours = encoders.encoder((1, 16, 16, 3), "two_layer_cnn")
    colours.set_weights(encoder.get_weights())
    moments = frames((3, 16, 16, 1))
    as_colours = moments.transpose(0, 4, 2, 3, 1)
    np.testing.assert_array_equal(encoder(moments)["pooled"], colours(as_colours)["pooled"])


def test_digits_by_hand():
    encoder = encoders.encoder(DIGITS, "two_layer_cnn")
    first, second, hidden = (encoder.get_layer(name) for name in ("conv1", "conv2", "hidden"))
    x = frames(DIGITS)[:, 0] / 255.0
    for layer in (first, second):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        kernel, bias = layer.get_weights()
        a_map = np.maximum(np.einsum("bhwcij,ijcf->bhwf", windows, kernel) + bias, 0)
        height, width = (size // 2 * 2 for size in a_map.shape[1:3])
        cut = a_map[:, :height, :width]
        x = cut.reshape(2, height // 2, 2, width // 2, 2, -1).max(axis=(2, 4))
    kernel, bias = hidden.get_weights()
    features = encoder(frames(DIGITS))
    np.testing.assert_allclose(features["map"], a_map, rtol=1e-4, atol=1e-5)
    expected = np.maximum(x.reshape(2, -1) @ kernel + bias, 0)
    np.testing.assert_allclose(features["pooled"], expected, rtol=1e-4, atol=1e-5)


def test_weights_come_from_a_file(tmp_path):
    saved = encoders.encoder(DIGITS, "two_layer_cnn")
    weights.save(saved.layers, tmp_path / "digits.h5")
    loaded = encoders.encoder(DIGITS, "two_layer_cnn", tmp_path / "digits.h5")
    for name, value in saved(frames(DIGITS)).items():
        np.testing.assert_array_equal(loaded(frames(DIGITS))[name], value)


def test_precision_is_of_the_layers_and_the_policy_in_force_stays():
    encoder = encoders.encoder(DIGITS, "two_layer_cnn", precision="mixed_bfloat16")
    assert {value.dtype for value in encoder.output.values()} == {tf.bfloat16}
    assert {weight.dtype for weight in encoder.weights} == {tf.float32}
    assert tf.keras.mixed_precision.global_policy().name == "float32"


@pytest.mark.parametrize(
    "shape, trunk, words",
    [
        (DIGITS, "vgg", ("'vgg'", "nature_cnn")),
        ((4, 224, 224, 1), "mobilenet", ("'mobilenet'", "= 3", "T=4", "C=1")),
        ((1, 224, 224, 1), "alexnet", ("'alexnet'", "= 3", "T=1", "C=1")),
        ((1, 64, 64, 3), "alexnet", ("223 to 254", "64x64", "224")),
    ],
)
def test_what_does_not_fit_is_one_line(shape, trunk, words):
    with pytest.raises(ValueError) as error:
        encoders.encoder(shape, trunk)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    assert tf.keras.mixed_precision.global_policy().name == "float32"
