import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import preprocessing

MODES = {
    "caffe": preprocessing.caffe,
    "tf": preprocessing.symmetric,
    "torch": preprocessing.standardised,
}


@pytest.mark.parametrize("mode", MODES)
def test_it_does_what_keras_applications_do(mode):
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3)).astype(np.float32)
    expected = tf.keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)
    np.testing.assert_allclose(MODES[mode]()(images / 255), expected, rtol=1e-4, atol=1e-4)


def test_one_pixel_by_hand():
    # RGB (0.2, 0.4, 0.6) turned to BGR and times 10: (6, 4, 2); less (1, 2, 3): (5, 2, -1).
    layer = preprocessing.Preprocessing(10, mean=(1, 2, 3), std=(5, 1, 0.5), to_bgr=True)
    np.testing.assert_allclose(layer(np.array([[[[0.2, 0.4, 0.6]]]]))[0, 0, 0], [1, 2, -2], 1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_a_saved_model_comes_back_with_its_constants(tmp_path, mode):
    pixels = tf.keras.Input((4, 4, 3))
    model = tf.keras.Model(pixels, MODES[mode]()(pixels))
    model.save(tmp_path / "model.keras")
    loaded = tf.keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((1, 4, 4, 3))
    np.testing.assert_array_equal(loaded(images), model(images))


def test_it_has_no_weights_and_keeps_the_type_it_computes_in():
    layer = preprocessing.Preprocessing(255.0, dtype="mixed_bfloat16")
    assert layer(np.ones((1, 2, 2, 3), np.float32)).dtype == tf.bfloat16
    assert not layer.weights
