import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.serving import agent_export

TIME, SIDE, CHANNELS = 4, 6, 2


@pytest.fixture
def model():
    """Values action a at the mean of frame a's second channel; has another head beside it."""
    frames = tf.keras.Input((TIME, SIDE, SIDE, CHANNELS), dtype=tf.uint8)
    values = tf.reduce_mean(tf.cast(frames[..., 1], tf.float32), (2, 3))
    head = tf.keras.layers.Dense(7)(values)
    return agent_export.only(tf.keras.Model(frames, {"q": values, "task": head}), "q")


def test_the_other_heads_do_not_go_along(model):
    assert model.weights == []


def test_the_channels_are_taken_apart_into_frames(model):
    frames = np.random.default_rng(0).integers(
        0, 256, (5, SIDE, SIDE, TIME * CHANNELS), dtype=np.uint8
    )
    answers = agent_export.signatures(model)["serving_default"](frames)
    # Frame t's channel c stands at index t * C + c.
    expected = frames[..., 1::2].mean((1, 2))
    np.testing.assert_allclose(answers["q_values"], expected, rtol=1e-6)
    assert answers["q_values"].dtype == tf.float32 and answers["action"].dtype == tf.int64
    np.testing.assert_array_equal(answers["action"], expected.argmax(1))


def test_the_brightest_frame_is_chosen(model):
    frames = np.zeros((TIME, SIDE, SIDE, TIME * CHANNELS), np.uint8)
    for action in range(TIME):
        frames[action, ..., CHANNELS * action + 1] = 9
    answers = agent_export.signatures(model)["serving_default"](frames)
    np.testing.assert_array_equal(answers["action"], range(TIME))


def test_frames_of_another_size_are_refused(model):
    with pytest.raises(TypeError):
        agent_export.signatures(model)["serving_default"](
            np.zeros((1, SIDE + 1, SIDE, TIME * CHANNELS), np.uint8)
        )


def test_the_warm_up_request_is_answered(model):
    (request,) = agent_export.requests(model)
    function = agent_export.signatures(model)[request.signature]
    answers = function(**{name: tf.constant(value) for name, value in request.inputs.items()})
    np.testing.assert_array_equal(answers["q_values"], np.zeros((1, TIME)))
