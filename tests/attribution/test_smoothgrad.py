import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.attribution.networks import bright_square_detector, frames_of, linear
from tfselfsup.attribution import pixels, scores
from tfselfsup.attribution.smoothgrad import SmoothGrad, compiled
from tfselfsup.models import encoders, heads
from tfselfsup.models.multi_head import multi_head

TARGETS = np.array([0, 1, 1])


def of_linear(**settings):
    model, kernels = linear()
    gradient = compiled(pixels.differentiable(model, "label"), scores.chosen)
    return SmoothGrad(gradient, **settings), kernels["label"]


@pytest.fixture(scope="module")
def small_cnn():
    """The gradient of a network with a curved answer, float32 [B, 16, 16, 3]."""
    tf.keras.utils.set_random_seed(0)
    encoder = encoders.encoder((1, 16, 16, 3), "two_layer_cnn")
    model = multi_head(encoder, {"label": lambda: heads.LabelHead(2)})
    return compiled(pixels.differentiable(model, "label"), scores.log_odds)


def square(inputs, targets):
    """The gradient of the sum of x^2."""
    return 2 * inputs


IMAGES = pixels.of_frames(frames_of((1, 16, 16, 3)))


@pytest.mark.parametrize("form, power", [("mean_abs", 1), ("squared", 2)])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_map_of_a_linear_network_is_its_kernel_whatever_the_noise(form, power, noise):
    maps_of, kernel = of_linear(form=form, noise=noise, copies=3)
    maps = maps_of(pixels.of_frames(frames_of()), TARGETS)
    expected = np.moveaxis(np.abs(kernel[..., TARGETS]) ** power, -1, 0)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=1e-6)


def test_the_squared_map_of_a_square_has_a_closed_form():
    # g = 2(x + n), so that the mean of g^2 is 4(x^2 + sigma^2); the range is 4 and sigma 0.4.
    images = np.array([[-1.0, 0.0, 1.0, 3.0]], np.float32)
    maps_of = SmoothGrad(square, copies=20_000, noise=0.1, form="squared", batch_size=1000)
    expected = 4 * (images**2 + 0.4**2)
    np.testing.assert_allclose(maps_of(images, np.zeros(1, int)), expected, rtol=0.03)


def test_gradients_that_change_their_sign_do_not_cancel():
    # |2n| of a Gaussian is on average 2 sigma sqrt(2 / pi).
    images = np.array([[0.0, -0.5, 0.5]], np.float32)
    maps_of = SmoothGrad(square, copies=20_000, noise=0.2, batch_size=1000)
    found = maps_of(images, np.zeros(1, int))[0, 0]
    assert found == pytest.approx(2 * 0.2 * np.sqrt(2 / np.pi), rel=0.03)


def test_noise_is_a_share_of_each_images_own_range():
    seen = []

    def gradient(inputs, targets):
        seen.append(inputs - 5.0)
        return inputs

    images = np.full((2, 1000), 5.0, np.float32)
    images[1, 0] = 9.0  # a range of 4; the other image has none
    SmoothGrad(gradient, copies=8, noise=0.25, batch_size=2)(images, np.zeros(2, int))
    blank, other = np.moveaxis(seen, 1, 0)
    assert (blank == 0).all()
    assert other[:, 1:].std() == pytest.approx(1.0, rel=0.03)


def test_the_same_seed_gives_the_same_maps_and_another_seed_others(small_cnn):
    maps_of = SmoothGrad(small_cnn, copies=5, noise=0.3, seed=1)
    first = maps_of(IMAGES, TARGETS)
    np.testing.assert_array_equal(maps_of(IMAGES, TARGETS), first)
    other = dataclasses.replace(maps_of, seed=2)(IMAGES, TARGETS)
    assert np.abs(other - first).max() > 0.01 * first.max()


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_the_batch_size_changes_nothing(small_cnn, batch_size):
    maps_of = SmoothGrad(small_cnn, copies=5, noise=0.3, batch_size=7)
    other = dataclasses.replace(maps_of, batch_size=batch_size)
    np.testing.assert_allclose(
        other(IMAGES, TARGETS), maps_of(IMAGES, TARGETS), rtol=1e-4, atol=1e-6
    )


def test_an_image_has_the_same_map_alone(small_cnn):
    maps_of = SmoothGrad(small_cnn, copies=5, noise=0.3)
    alone = maps_of(IMAGES[2:], TARGETS[2:])
    np.testing.assert_allclose(alone, maps_of(IMAGES, TARGETS)[2:], rtol=1e-4, atol=1e-6)


def test_never_more_than_a_batch_is_in_flight_and_nothing_is_computed_twice():
    sizes, shares = [], []

    def gradient(inputs, targets):
        assert len(inputs) == len(targets)
        sizes.append(len(inputs))
        return inputs

    images = np.ones((3, 4), np.float32)
    SmoothGrad(gradient, copies=1000, batch_size=16)(images, TARGETS, shares.append)
    assert max(sizes) == 16 and sum(sizes) == 3000
    assert sum(shares) == pytest.approx(3)


def test_without_noise_one_copy_is_enough():
    sizes = []

    def gradient(inputs, targets):
        sizes.append(len(inputs))
        return 2 * inputs

    images = np.array([[-1.0, 2.0]], np.float32)
    maps = SmoothGrad(gradient, copies=50, noise=0)(images, np.zeros(1, int))
    assert sizes == [1]
    np.testing.assert_array_equal(maps, [[2.0, 4.0]])


def test_gradients_are_compiled_once(small_cnn):
    model, _ = linear()
    traces = []

    def score(output, targets):
        traces.append(output.shape)
        return scores.chosen(output, targets)

    gradient = compiled(pixels.differentiable(model, "label"), score)
    for batch_size in (1, 2, 5):
        SmoothGrad(gradient, copies=3, batch_size=batch_size)(
            pixels.of_frames(frames_of()), TARGETS
        )
    assert len(traces) == 1


def test_the_evidence_is_found_in_its_place():
    model = bright_square_detector(top=4, left=6)
    frames = frames_of((1, 16, 16, 1), count=4)
    gradient = compiled(pixels.differentiable(model, "label"), scores.log_odds)
    maps = SmoothGrad(gradient, noise=0.2)(pixels.of_frames(frames), np.ones(4, int))
    inside = np.zeros((16, 16), bool)
    inside[4:8, 6:10] = True
    assert (maps[:, ~inside] == 0).all()
    # The kernel's 8 over the 16 pixels of the square.
    np.testing.assert_allclose(maps[:, inside], 0.5, rtol=1e-5)


def test_what_an_answer_does_not_depend_on_has_no_evidence():
    inputs = tf.keras.Input((4, 4, 1))
    constant = tf.keras.layers.Lambda(lambda x: tf.ones((tf.shape(x)[0], 2)))
    gradient = compiled(tf.keras.Model(inputs, constant(inputs)), scores.chosen)
    maps = SmoothGrad(gradient)(np.random.default_rng(0).random((2, 4, 4, 1)), np.zeros(2, int))
    assert (maps == 0).all()


def test_layers_answer_as_after_training():
    inputs = tf.keras.Input((4,))
    dropped = tf.keras.layers.Dropout(0.9)(tf.keras.layers.BatchNormalization(epsilon=0)(inputs))
    gradient = compiled(tf.keras.Model(inputs, dropped), scores.chosen)
    maps = SmoothGrad(gradient, noise=0)(np.random.default_rng(0).random((3, 4)), np.zeros(3, int))
    np.testing.assert_array_equal(maps, np.eye(4)[[0, 0, 0]])


def test_images_are_not_written_to():
    images = np.random.default_rng(0).random((2, 4)).astype(np.float32)
    before = images.copy()
    SmoothGrad(square, copies=3)(images, np.zeros(2, int))
    np.testing.assert_array_equal(images, before)


def test_gradients_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="expected finite gradients, got NaN or infinity"):
        SmoothGrad(lambda inputs, _: inputs * np.nan)(np.ones((1, 2)), np.zeros(1, int))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"copies": 0}, "expected copies of at least 1, got 0"),
        ({"noise": -0.1}, "expected noise of at least 0, got -0.1"),
        ({"noise": float("nan")}, "expected noise of at least 0, got nan"),
        ({"batch_size": 0}, "expected batch_size of at least 1, got 0"),
        ({"seed": -1}, "expected seed of at least 0, got -1"),
        ({"form": "mean"}, "expected a form among mean_abs, squared, got 'mean'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SmoothGrad(square, **settings)
