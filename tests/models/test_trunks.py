import re

import pytest
import tensorflow as tf

from tfselfsup.models import nature_cnn, trunks


def test_get_finds_a_trunk_by_its_name():
    trunk = trunks.get("nature_cnn")
    assert trunk.build is nature_cnn.build
    assert trunk.side == 84


def test_an_unknown_trunk_is_told_the_valid_ones():
    with pytest.raises(ValueError) as error:
        trunks.get("nature_ccn")
    message = str(error.value)
    assert "\n" not in message
    assert "'nature_ccn'" in message
    for name in trunks.TRUNKS:
        assert name in message


# Height, width and channels of the map, and the width of the pooled features, as published; of the
# Atari trunk (84 - 8) / 4 + 1 = 20, 9, 7; of the digits' 16 - 2 = 14, 7, 5.
SHAPES = {
    "nature_cnn": ((7, 7, 64), 3136),
    "two_layer_cnn": ((5, 5, 64), 128),
    "alexnet": ((6, 6, 256), 4096),
    "alexnet_bn": ((6, 6, 256), 4096),
    "resnet50": ((7, 7, 2048), 2048),
    "mobilenet": ((7, 7, 1024), 1024),
    "squeezenet": ((13, 13, 512), 512),
}
# Of the part up to the features, from the papers or the libraries that publish the weights; with
# the moving means and variances. Atari: 8*8*4*32+32 + 4*4*32*64+64 + 3*3*64*64+64; digits:
# 3*3*32+32 + 3*3*32*64+64 + 2*2*64*128+128.
COUNTED = r"(\w*conv2d|dense|batch_normalization|dropout)(_\d+)?"
CHANNELS = {"nature_cnn": 4, "two_layer_cnn": 1}
PARAMETERS = {
    "nature_cnn": 77_984,
    "two_layer_cnn": 51_712,
    # torchvision's 61,100,840 less the classifier's 4096 * 1000 + 1000.
    "alexnet": 57_003_840,
    # 2 * 4096 biases less, 4 * (64 + 192 + 384 + 256 + 256 + 4096 + 4096) of normalisation more.
    "alexnet_bn": 57_033_024,
    "resnet50": 23_587_712,
    "mobilenet": 3_228_864,
    "squeezenet": 722_496,
}


@pytest.fixture(scope="module", autouse=True)
def empty_weights():
    """Zeros instead of random numbers: 57 million of those take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        zeros = tf.keras.initializers.Zeros()
        for kind in (tf.keras.layers.Conv2D, tf.keras.layers.Dense):
            made = kind.build

            def build(layer, shape, made=made):
                layer.kernel_initializer = zeros
                made(layer, shape)

            patch.setattr(kind, "build", build)
        yield


@pytest.mark.parametrize("name", trunks.TRUNKS)
def test_features_and_size_are_those_published(name):
    trunk = trunks.get(name)
    pixels = tf.keras.Input((trunk.side, trunk.side, trunk.channels or CHANNELS[name]))
    features = trunk.build(pixels)
    shapes = {feature: tuple(value.shape[1:]) for feature, value in features.items()}
    of_map, pooled = SHAPES[name]
    assert shapes["map"] == of_map
    assert shapes["pooled"] == (pooled,)
    model = tf.keras.Model(pixels, features)
    assert model.count_params() == PARAMETERS[name]
    # Weights are found by layer name in one flat model: none may be named by a counter of Keras'.
    names = [layer.name for layer in model.layers]
    assert len(names) == len(set(names))
    assert not [name for name in names if re.fullmatch(COUNTED, name)]
    assert not any(isinstance(layer, tf.keras.Model) for layer in model.layers)
