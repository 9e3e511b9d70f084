import numpy as np
import pytest

from tests.models import alexnet_reference as reference
from tfselfsup.models import alexnet, encoders, torch_layouts, weights

LAYOUTS = ("alexnet", "alexnet_bn")


@pytest.fixture
def encoder(monkeypatch):
    """Makes an AlexNet of the widths asked for."""

    def make(layout, width):
        filters, dense = reference.WIDTHS[width]
        monkeypatch.setattr(alexnet, "WIDTH", dense)
        monkeypatch.setattr(
            alexnet,
            "CONVOLUTIONS",
            [(n, *rest) for n, (_, *rest) in zip(filters, alexnet.CONVOLUTIONS, strict=True)],
        )
        return encoders.encoder((1, 224, 224, 3), layout)

    return make


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("width", ["thin", pytest.param("full", marks=pytest.mark.slow)])
def test_features_are_those_of_pytorch_with_the_same_weights(encoder, layout, width):
    model = encoder(layout, width)
    arrays = torch_layouts.convert(reference.weights(layout, width), layout)
    weights.assign(model, arrays, "the reference")
    features = model(reference.pictures()[:, None])
    for name in reference.FEATURES:
        expected = reference.kept()[layout][width][name]
        got = reference.excerpt(features[name])
        np.testing.assert_allclose(got["norms"], expected["norms"], rtol=1e-5)
        scale = np.abs(expected["values"]).max()
        np.testing.assert_allclose(got["values"], expected["values"], rtol=1e-4, atol=1e-5 * scale)


def test_axes_of_a_convolution_and_of_dense_layers_by_hand():
    rng = np.random.default_rng(0)
    tensors = {name: array for name, array in reference.weights("alexnet", "thin").items()}
    tensors["features.3.weight"] = rng.random((5, 4, 3, 2))
    tensors["classifier.1.weight"] = rng.random((7, 2 * 36))
    tensors["classifier.4.weight"] = rng.random((8, 7))
    arrays = torch_layouts.convert(tensors, "alexnet")
    # Out, in, height and width become height, width, in and out.
    assert arrays["conv2"][0][2, 1, 3, 4] == tensors["features.3.weight"][4, 3, 2, 1]
    # The second channel's place in row 3, column 5: 36 + 3 * 6 + 5; last channel first: 23 * 2 + 1.
    assert arrays["fc6"][0][47, 6] == tensors["classifier.1.weight"][6, 59]
    np.testing.assert_array_equal(arrays["fc7"][0], tensors["classifier.4.weight"].T)


def test_batch_norm_comes_in_keras_order():
    tensors = reference.weights("alexnet_bn", "thin")
    norm = torch_layouts.convert(tensors, "alexnet_bn")["bn3"]
    for array, part in zip(norm, ("weight", "bias", "running_mean", "running_var"), strict=True):
        np.testing.assert_array_equal(array, tensors[f"_feature_blocks.4.1.{part}"])


def refused(call, *words):
    with pytest.raises(ValueError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_checkpoint_of_another_network_is_refused():
    thin, with_norm = (reference.weights(layout, "thin") for layout in LAYOUTS)
    refused(lambda: torch_layouts.convert(with_norm, "alexnet"), "'features.0.weight'", "'alexnet'")
    refused(lambda: torch_layouts.convert(thin, "resnet50"), "alexnet_bn", "'resnet50'")
    thin["classifier.1.weight"] = np.zeros((64, 100))
    refused(lambda: torch_layouts.convert(thin, "alexnet"), "classifier.1.weight", "(64, 100)")


def test_every_layout_is_of_all_layers_of_its_trunk(encoder):
    for layout, sources in torch_layouts.LAYOUTS.items():
        layers = {layer.name for layer in encoder(layout, "thin").layers if layer.weights}
        assert layers == set(sources)
