import numpy as np
import pytest

from tests.attribution.networks import bright_square_detector, frames_of, linear
from tfselfsup.attribution import position_maps
from tfselfsup.attribution.smoothgrad import SmoothGrad


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_only_the_largest_value_of_a_position_is_kept(batch_size):
    seen, done = [], []
    # The map of an image is the absolute gradient; here the pixels themselves.
    maps_of = SmoothGrad(lambda images, targets: images, noise=0.0, batch_size=batch_size)
    frames = frames_of((2, 4, 5, 3), count=5)

    def targets(images):
        seen.extend(images)
        return np.zeros(len(images), np.int64)

    found = position_maps.by_batch(maps_of, frames, targets, done.append)
    np.testing.assert_allclose(found, frames.max((1, 4)) / 255, rtol=1e-6)
    assert sum(done) == len(seen) == 5 and max(done) <= batch_size


def test_of_no_images_there_are_no_maps():
    maps_of = SmoothGrad(lambda images, targets: images)
    found = position_maps.by_batch(maps_of, frames_of(count=0), lambda images: images)
    assert found.shape == (0, 8, 8)


def test_the_gradient_of_two_classes_is_the_difference_of_their_kernels():
    network, kernels = linear()
    images = frames_of(count=40)[:, 0]  # more than a batch
    maps_of = position_maps.of_classes(network, "label", copies=2)
    # The log odds of one class are minus those of the other: the maps are alike.
    classes = np.arange(40) % 2
    expected = np.abs(kernels["label"][..., 1] - kernels["label"][..., 0]).max(-1)
    for found in (maps_of(images, classes), maps_of(images, 1)):
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-5)


def test_every_image_has_its_own_class():
    network, kernels = linear(num_outputs=3)
    # With one logit far above the others, the log odds of another class are its logit minus that.
    bias = network.get_layer("label_layer").get_weights()[0], np.array([0.0, 0.0, 1e3])
    network.get_layer("label_layer").set_weights(bias)
    classes = np.array([0, 1, 1, 0])
    found = position_maps.of_classes(network, "label", copies=1)(frames_of(count=4)[:, 0], classes)
    kernel = kernels["label"]
    for map_, target in zip(found, classes, strict=True):
        expected = np.abs(kernel[..., target] - kernel[..., 2]).max(-1)
        np.testing.assert_allclose(map_, expected, rtol=1e-4)


def test_new_weights_are_taken_up():
    network = bright_square_detector()
    image = np.full((1, 16, 16, 1), 200, np.uint8)
    maps_of = position_maps.of_classes(network, "label", copies=1)
    before = maps_of(image, 1)
    assert before[0, 4:8, 6:10].min() > 0 and np.count_nonzero(before) == 16
    head = network.get_layer("head")
    head.set_weights([np.zeros_like(weights) for weights in head.get_weights()])
    assert not maps_of(image, 1).any()
