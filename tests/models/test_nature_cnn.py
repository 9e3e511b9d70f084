import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import nature_cnn

# Filters, kernel and stride of Mnih et al. (2015), once more and by hand.
NATURE = ((32, 8, 4), (64, 4, 2), (64, 3, 1))


def nature_model(height, width, channels) -> tf.keras.Model:
    pixels = tf.keras.Input((height, width, channels))
    return tf.keras.Model(pixels, nature_cnn.build(pixels))


def convolve(x, kernel, bias, stride):
    """Convolves without padding, one output position after the other, and rectifies."""
    size = kernel.shape[0]
    rows = (x.shape[1] - size) // stride + 1
    columns = (x.shape[2] - size) // stride + 1
    out = np.empty((len(x), rows, columns, kernel.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            patch = x[:, i * stride : i * stride + size, j * stride : j * stride + size]
            out[:, i, j] = np.tensordot(patch, kernel, 3) + bias
    return np.maximum(out, 0)


# Higher than wide, so that a swap of the two shows: 44x40 -> 10x9 -> 4x3 -> 2x1.
@pytest.mark.parametrize("channels", [4, 12])
def test_nature_cnn_is_three_convolutions_with_rectifiers(channels):
    rng = np.random.default_rng(0)
    model = nature_model(44, 40, channels)
    # Biases are zero at first; random ones show whether they are added before the rectifier.
    model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
    pixels = rng.random((2, 44, 40, channels))
    features = model(tf.constant(pixels, tf.float32))

    expected = pixels
    weights = model.get_weights()
    for layer, (filters, kernel, stride) in enumerate(NATURE):
        assert weights[2 * layer].shape[0:2] == (kernel, kernel)
        assert weights[2 * layer].shape[-1] == filters
        expected = convolve(expected, weights[2 * layer], weights[2 * layer + 1], stride)
    assert expected.shape == (2, 2, 1, 64)
    # Some rectifiers are shut and some open, or their place could not be told.
    assert 0.2 < np.mean(expected == 0) < 0.8
    np.testing.assert_allclose(features["map"], expected, rtol=1e-4, atol=1e-5)
    # Flattened in row-major order: row, column, filter.
    np.testing.assert_allclose(features["pooled"], expected.reshape(2, -1), rtol=1e-4, atol=1e-5)


def test_nature_cnn_of_an_atari_frame():
    # (84 - 8) / 4 + 1 = 20, (20 - 4) / 2 + 1 = 9, (9 - 3) / 1 + 1 = 7; 7 * 7 * 64 = 3136.
    features = nature_model(84, 84, 4).output
    assert {name: tuple(value.shape[1:]) for name, value in features.items()} == {
        "map": (7, 7, 64),
        "pooled": (3136,),
    }


def test_layers_with_rectifiers_begin_with_he_initialisation_and_no_bias():
    tf.keras.utils.set_random_seed(0)
    weights = nature_model(36, 36, 4).get_weights()
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        fan_in = np.prod(kernel.shape[:3])
        # At least 8192 draws: their deviation is within 1/sqrt(2 * 8192) = 0.8% of the true one.
        np.testing.assert_allclose(kernel.std(), np.sqrt(2 / fan_in), rtol=0.03)
        # Cut off at two deviations of a normal, whose deviation the cut makes 0.8796 of its own.
        assert np.abs(kernel).max() <= 2 / 0.8796 * np.sqrt(2 / fan_in)
        assert not bias.any()
