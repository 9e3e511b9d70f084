import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tests.attribution.networks import SHAPE, frames_of, linear
from tfselfsup.attribution import pixels, questions
from tfselfsup.attribution.questions import Answers

IMAGES = pixels.of_frames(frames_of(SHAPE, count=5))


@pytest.fixture(scope="module")
def logits_and_answers():
    model, _ = linear(num_outputs=3)
    part = pixels.differentiable(model, "label")
    question = questions.of_class("label", ("a", "b", "c"))
    return part(IMAGES).numpy(), Answers(part, question, batch_size=2)


def test_the_class_with_the_largest_logit_is_predicted(logits_and_answers):
    logits, answers = logits_and_answers
    np.testing.assert_array_equal(answers.predicted(IMAGES), logits.argmax(1))
    np.testing.assert_array_equal(answers.targets("predicted", IMAGES), logits.argmax(1))


def test_probabilities_of_the_target_are_measured(logits_and_answers):
    logits, answers = logits_and_answers
    targets = np.array([0, 1, 2, 1, 0])
    expected = softmax(logits.astype(float), 1)[np.arange(5), targets]
    np.testing.assert_allclose(answers.measured(IMAGES, targets), expected, rtol=1e-3)


@pytest.mark.parametrize("wanted, number", [("a", 0), ("c", 2), ("1", 1)])
def test_targets_go_by_name_or_number(logits_and_answers, wanted, number):
    np.testing.assert_array_equal(logits_and_answers[1].targets(wanted, IMAGES), [number] * 5)


@pytest.mark.parametrize("wanted", ["d", "3", "-1", ""])
def test_an_unknown_target_gives_the_known_ones(logits_and_answers, wanted):
    with pytest.raises(ValueError, match="among predicted, 0, 1, 2, a, b, c, got") as error:
        logits_and_answers[1].targets(wanted, IMAGES)
    assert f"got '{wanted}'" in str(error.value)


@pytest.mark.parametrize("is_dueling", [True, False])
def test_actions_and_states_of_an_agent(is_dueling):
    inputs = tf.keras.Input((2, 2, 3))
    part = tf.keras.Model(inputs, tf.keras.layers.GlobalAveragePooling2D()(inputs))
    asked = questions.of_actions("q", is_dueling)
    assert list(asked) == ["q", "value"]
    images = np.random.default_rng(0).random((4, 2, 2, 3)).astype(np.float32)
    q, best = images.mean((1, 2)), images.mean((1, 2)).argmax(1)
    answers = Answers(part, asked["q"], 3)
    np.testing.assert_array_equal(answers.predicted(images), best)
    np.testing.assert_allclose(answers.measured(images, best), q.max(1), rtol=1e-5)
    expected = q.mean(1) if is_dueling else q.max(1)
    value = Answers(part, asked["value"], 3).measured(images, best)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_a_picture_with_an_answer_at_every_position_has_one_prediction():
    inputs = tf.keras.Input((2, 2, 3))
    answers = Answers(tf.keras.Model(inputs, 1.0 * inputs), questions.of_class("colours"), 8)
    images = np.random.default_rng(0).random((6, 2, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(answers.predicted(images), images.mean((1, 2)).argmax(1))
