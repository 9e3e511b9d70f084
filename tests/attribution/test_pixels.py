import numpy as np
import pytest
import tensorflow as tf

from tests.attribution.networks import frames_of, linear
from tfselfsup.attribution import pixels
from tfselfsup.models import encoders, heads, hub_encoders, hub_stand_in
from tfselfsup.models.multi_head import multi_head


@pytest.mark.parametrize("shape", [(4, 12, 10, 1), (1, 8, 8, 3), (2, 6, 6, 3)])
def test_pixels_are_those_of_the_network(shape):
    model, _ = linear(shape=shape)
    frames = frames_of(shape)
    layer = tf.keras.Model(model.input, model.get_layer("pixels").output)
    np.testing.assert_array_equal(pixels.of_frames(frames), layer(frames).numpy())


def test_the_part_answers_as_the_network_does():
    model, _ = linear()
    frames = frames_of()
    part = pixels.differentiable(model, "other")
    np.testing.assert_allclose(
        part(pixels.of_frames(frames)), model(frames)["other"], rtol=1e-5, atol=1e-5
    )


def test_a_part_follows_the_weights_of_its_network():
    model, _ = linear()
    part = pixels.differentiable(model, "label")
    model.get_layer("label_layer").set_weights([np.zeros((192, 2)), np.array([3.0, 4.0])])
    np.testing.assert_array_equal(part(pixels.of_frames(frames_of(count=1))), [[3.0, 4.0]])


def test_networks_with_bfloat16_take_float32_pixels():
    encoder = encoders.encoder((1, 16, 16, 3), "two_layer_cnn", precision="mixed_bfloat16")
    model = multi_head(encoder, {"label": lambda: heads.LabelHead(2)}, "mixed_bfloat16")
    part = pixels.differentiable(model, "label")
    inputs = tf.constant(pixels.of_frames(frames_of((1, 16, 16, 3))))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = part(inputs)
    gradient = tape.gradient(output, inputs)
    assert gradient.dtype == tf.float32 and np.abs(gradient).max() > 0


def test_gradients_pass_through_a_hub_encoder(tmp_path):
    hub_stand_in.write_stand_in(tmp_path / "module")
    encoder = hub_encoders.encoder((1, 20, 20, 3), tmp_path / "module")
    model = multi_head(encoder, {"label": lambda: heads.LabelHead(2)})
    part = pixels.differentiable(model, "label")
    inputs = tf.constant(pixels.of_frames(frames_of((1, 20, 20, 3))))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = part(inputs)[:, 0]
    assert np.abs(tape.gradient(output, inputs)).min((1, 2, 3)).max() > 0


def test_maps_get_the_axes_of_their_frames():
    frames = frames_of((4, 5, 6, 3), count=2)
    folded = pixels.of_frames(frames)
    np.testing.assert_allclose(pixels.by_frame(folded, 4), frames / 255, rtol=1e-6)


def test_an_unknown_output_gives_the_known_ones():
    with pytest.raises(ValueError, match="expected an output among label, other, got 'rotation'"):
        pixels.differentiable(linear()[0], "rotation")
