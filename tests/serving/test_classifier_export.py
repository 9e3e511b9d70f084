import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.datasets.labelled_images import scaled
from tfselfsup.models.multi_head import FoldTime
from tfselfsup.serving import classifier_export

SIDE, TEMPERATURE = 8, 2.0
# With the mean red r of an image in [0, 1] the two logits are 0 and 2 r ln 3: divided by the
# temperature r ln 3, so that a red image has the odds 3 to 1.
KERNEL = np.array([[0, TEMPERATURE * np.log(3)], [0, 0], [0, 0]], np.float32)


def make_model(kernel=KERNEL, channels=3):
    frames = tf.keras.Input((1, SIDE, SIDE, channels), dtype=tf.uint8)
    means = tf.keras.layers.GlobalAveragePooling2D()(FoldTime()(frames))
    layer = tf.keras.layers.Dense(kernel.shape[1], use_bias=False)
    logits = layer(means)
    layer.set_weights([kernel])
    network = tf.keras.Model(frames, {"label": logits, "rotation": 2.0 * logits})
    return classifier_export.joined(network, "label", means)


@pytest.fixture(scope="module")
def functions():
    return classifier_export.signatures(make_model(), TEMPERATURE)


def png(image):
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()  # OpenCV has blue first


def filled(colour, height=SIDE, width=SIDE):
    return np.full((height, width, len(colour)), colour, np.uint8)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_red_has_the_odds_that_were_worked_out(functions):
    answers = functions["images"](np.stack([filled((255, 0, 0)), filled((0, 255, 255))]))
    assert set(answers) == {"logits", "features", "probabilities", "probability"}
    assert {answer.dtype for answer in answers.values()} == {tf.float32}
    np.testing.assert_allclose(answers["features"], [[1, 0, 0], [0, 1, 1]], atol=1e-6)
    np.testing.assert_allclose(answers["logits"], [[0, 2 * np.log(3)], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(answers["probabilities"], [[0.25, 0.75], [0.5, 0.5]], atol=1e-6)
    np.testing.assert_allclose(answers["probability"], [0.75, 0.5], atol=1e-6)


def test_files_of_several_sizes_are_answered_one_by_one_in_their_order(functions):
    images = [noise(8, 8, 3), noise(31, 17, 3), filled((255, 0, 0), 1, 1), noise(5, 64, 3)]
    together = functions["serving_default"](tf.constant([png(image) for image in images]))
    for row, image in enumerate(images):
        alone = functions["images"](image[np.newaxis])
        for name in alone:
            np.testing.assert_allclose(together[name][row], alone[name][0], atol=1e-6)


def test_images_are_scaled_as_those_that_were_learnt_from(functions):
    image = noise(1, 40, 24, 3)
    expected = scaled(image, SIDE).numpy().mean((1, 2)) / 255
    np.testing.assert_allclose(functions["images"](image)["features"], expected, atol=1e-6)


def test_a_jpeg_and_pictures_of_other_colours_will_do(functions):
    red = filled((255, 0, 0), 16, 16)
    files = [
        cv2.imencode(".jpg", red[..., ::-1])[1].tobytes(),
        cv2.imencode(".png", filled((51,)))[1].tobytes(),  # grey
        cv2.imencode(".png", filled((0, 0, 255, 0)))[1].tobytes(),  # with transparency
    ]
    found = functions["serving_default"](tf.constant(files))["features"]
    np.testing.assert_allclose(found, [[1, 0, 0], [0.2, 0.2, 0.2], [1, 0, 0]], atol=0.01)


def damaged():
    jpeg = cv2.imencode(".jpg", noise(64, 64, 3))[1].tobytes()
    return {"no image": b"no image", "empty": b"", "cut off": jpeg[: len(jpeg) // 2]}


@pytest.mark.parametrize("kind", damaged())
def test_a_file_that_cannot_be_decoded_fails_its_own_request_only(functions, kind):
    answer, good = functions["serving_default"], png(filled((255, 0, 0)))
    with pytest.raises(tf.errors.InvalidArgumentError):
        answer(tf.constant([good, damaged()[kind]]))
    np.testing.assert_allclose(answer(tf.constant([good]))["probability"], [0.75], atol=1e-6)


def test_no_images_have_no_answers(functions):
    for answers in (
        functions["serving_default"](tf.zeros([0], tf.string)),
        functions["images"](np.zeros((0, 20, 20, 3), np.uint8)),
    ):
        assert answers["probability"].shape == (0,) and answers["logits"].shape == (0, 2)


def test_more_than_two_classes_have_no_single_probability():
    functions = classifier_export.signatures(make_model(np.eye(1, 10, dtype=np.float32), 1), 1.0)
    answers = functions["images"](np.full((1, 20, 20, 1), 255, np.uint8))
    assert set(answers) == {"logits", "features", "probabilities"}
    expected = np.exp([1] + 9 * [0]) / (np.e + 9)
    np.testing.assert_allclose(answers["probabilities"], [expected], atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_signature_answers_its_warm_up_request(channels):
    model = make_model(np.eye(channels, 2, dtype=np.float32), channels)
    functions = classifier_export.signatures(model, 1.0)
    requests = {request.signature: request.inputs for request in classifier_export.requests(model)}
    assert requests.keys() == functions.keys()
    for name, inputs in requests.items():
        tensors = {key: tf.convert_to_tensor(value) for key, value in inputs.items()}
        features = functions[name](**tensors)["features"]
        np.testing.assert_allclose(features, np.full((1, channels), 128 / 255), atol=1e-6)
