import numpy as np
import pytest
import tensorflow as tf

from tests.vision.training_cases import images, network
from tfselfsup.vision.compiled_outputs import compiled_output


@pytest.mark.parametrize("output", ["label", "rotation"])
def test_an_output_is_that_of_the_network(output):
    made = network(momentum=0.9)  # which normalises otherwise while it learns
    frames, _ = images(6)
    answer = compiled_output(made, output)
    expected = made(frames, training=False)[output]
    np.testing.assert_allclose(answer(frames[:, 0]), expected, rtol=1e-5)
    np.testing.assert_allclose(answer(tf.constant(frames[:4, 0])), expected[:4], rtol=1e-5)
    # Batches of every size share one graph.
    assert answer.experimental_get_tracing_count() == 1


def test_new_weights_are_taken_up_and_the_answer_is_float32():
    made = network(precision="mixed_bfloat16")
    frames, _ = images(2)
    answer = compiled_output(made, "label")
    before = answer(frames[:, 0])
    made.set_weights([2 * weights for weights in made.get_weights()])
    assert before.dtype == tf.float32 and np.abs(answer(frames[:, 0]) - before).max() > 1e-3
