import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import alexnet


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    """The same layers, an eighth as wide; `test_torch_layouts` compares with PyTorch."""
    monkeypatch.setattr(alexnet, "WIDTH", 32)
    monkeypatch.setattr(
        alexnet, "CONVOLUTIONS", [(filters // 8, *rest) for filters, *rest in alexnet.CONVOLUTIONS]
    )


def model(build=alexnet.build, height=224, width=224):
    pixels = tf.keras.Input((height, width, 3))
    return tf.keras.Model(pixels, build(pixels))


# (s + 4 - 11) / 4 + 1 places, rounded down, and then max pooling from 55..62 to 27..30, 13..14, 6.
@pytest.mark.parametrize("side, fits", [(222, False), (223, True), (254, True), (255, False)])
def test_sides_that_give_a_pool5_of_6x6_are_taken(side, fits):
    if fits:
        assert model(height=side).output["map"].shape[1:3] == (6, 6)
        return
    with pytest.raises(ValueError) as error:
        model(width=side)
    message = str(error.value)
    assert "\n" not in message
    for word in ("223 to 254", f"224x{side}"):
        assert word in message


@pytest.mark.parametrize("build", [alexnet.build, alexnet.build_batch_norm])
def test_features_are_rectified_and_pool5_is_the_map(build):
    features = model(build)(np.random.default_rng(0).random((1, 224, 224, 3)))
    np.testing.assert_array_equal(features["pool5"], tf.reshape(features["map"], (1, -1)))
    for name in ("fc6", "pooled"):
        assert features[name].shape == (1, 32)
        assert 0.05 < np.mean(features[name] == 0) < 0.95
        assert np.min(features[name]) == 0


def test_dropout_is_of_the_first_layout_and_of_training_only():
    pixels = np.random.default_rng(0).random((1, 224, 224, 3))
    network = model()
    at_rest = network(pixels)
    np.testing.assert_array_equal(network(pixels)["fc6"], at_rest["fc6"])
    training = network(pixels, training=True)
    np.testing.assert_array_equal(training["pool5"], at_rest["pool5"])
    assert np.any(training["fc6"] != at_rest["fc6"])
    kinds = {type(layer) for layer in model(alexnet.build_batch_norm).layers}
    assert tf.keras.layers.Dropout not in kinds


def test_batch_normalisation_has_the_constants_of_pytorch():
    layer = model(alexnet.build_batch_norm).get_layer("bn6")
    assert layer.epsilon == 1e-5
    assert layer.momentum == pytest.approx(1 - 0.1)
