import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import encoders, heads, trunks
from tfselfsup.models.multi_head import FoldTime, multi_head

# The smallest pictures the trunk takes are 36x36: 36 -> 8 -> 3 -> 1.
SHAPE = (4, 44, 36, 1)
HEADS = {
    "q": lambda: heads.DuelingHead(3, 16, name="q"),
    "rotation": lambda: heads.QHead(4, 16),
}


class Reader(tf.keras.layers.Layer):
    """Hands out what it is given."""

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def call(self, feature):
        return feature


def frames(shape=SHAPE, batch=3):
    return np.random.default_rng(0).integers(0, 256, (batch, *shape), np.uint8)


def model_of(made_heads, precision="float32"):
    """The smallest agent's network: a fresh trunk with these heads."""
    encoder = encoders.encoder(SHAPE, "nature_cnn", precision=precision)
    return multi_head(encoder, made_heads, precision)


def variables_of(model):
    return {id(variable) for variable in model.variables}


@pytest.fixture
def policy():
    """The policy in force, which is not the default one, so that restoring it can fail."""
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield lambda: tf.keras.mixed_precision.global_policy().name
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_fold_time_puts_channel_c_of_frame_t_at_t_times_channels_plus_c(channels):
    # 60 or 180 values, all different, so that each can be found in one place only.
    stack = np.random.default_rng(0).permutation(4 * 3 * 5 * channels).astype(np.uint8)
    stack = stack.reshape(1, 4, 3, 5, channels)
    pixels = FoldTime()(stack)
    assert pixels.shape == (1, 3, 5, 4 * channels)
    assert pixels.dtype == tf.float32
    for t in range(4):
        for c in range(channels):
            np.testing.assert_allclose(
                pixels[..., t * channels + c], stack[:, t, :, :, c] / 255, rtol=1e-6
            )


def test_fold_time_of_two_pixels_by_hand():
    # Two frames of one pixel with three channels: 0, 51, 102 and then 153, 204, 255.
    stack = np.array([0, 51, 102, 153, 204, 255], np.uint8).reshape(1, 2, 1, 1, 3)
    np.testing.assert_allclose(FoldTime()(stack)[0, 0, 0], [0, 0.2, 0.4, 0.6, 0.8, 1], rtol=1e-6)


@pytest.mark.parametrize(
    # bfloat16 has 8 significant bits: rounding the factor, and then the product, loses 2**-8 each.
    "precision, tolerance",
    [("float32", 1e-6), ("mixed_bfloat16", 2**-7)],
)
def test_fold_time_maps_all_bytes_into_0_to_1_in_order(precision, tolerance):
    stack = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1)
    pixels = FoldTime(dtype=precision)(stack)
    assert pixels.dtype == ("float32" if precision == "float32" else "bfloat16")
    values = tf.cast(tf.reshape(pixels, [-1]), tf.float32).numpy()
    assert values[0] == 0
    assert values[-1] == 1
    assert np.all(np.diff(values) >= 0)
    np.testing.assert_allclose(values, np.arange(256) / 255, rtol=tolerance)


def test_a_head_is_called_with_the_feature_it_reads():
    model = model_of({"a_map": lambda: Reader("map"), "flat": lambda: Reader("pooled")})
    outputs = model(frames())
    assert set(outputs) == {"a_map", "flat"}
    # 44x36 -> 10x8 -> 4x3 -> 2x1.
    assert outputs["a_map"].shape == (3, 2, 1, 64)
    np.testing.assert_array_equal(outputs["flat"], tf.reshape(outputs["a_map"], (3, -1)))

    pixels = tf.keras.Input((44, 36, 4))
    trunk = tf.keras.Model(pixels, trunks.get("nature_cnn").build(pixels))
    trunk.set_weights(model.get_weights())
    np.testing.assert_allclose(
        outputs["a_map"], trunk(FoldTime()(frames()))["map"], rtol=1e-5, atol=1e-6
    )


def test_all_heads_stand_on_one_trunk_and_their_layers_bear_their_names():
    model = model_of(HEADS)
    assert model.input_shape == (None, *SHAPE)
    assert model.input.dtype == tf.uint8
    outputs = model(frames())
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "q": (3, 3),
        "rotation": (3, 4),
    }
    q, rotation = (variables_of(model.get_layer(name)) for name in ("q", "rotation"))
    # Dueling: hidden, value and advantage, each with a kernel and a bias; plain: hidden and q.
    assert (len(q), len(rotation)) == (6, 4)
    assert not q & rotation
    # The rest is the trunk, once: three convolutions, each with a kernel and a bias.
    assert len(variables_of(model) - q - rotation) == 6


def test_what_a_head_gives_is_its_layer_on_the_trunk():
    model = model_of({**HEADS, "flat": lambda: Reader("pooled")})
    outputs = model(frames())
    for name in HEADS:
        alone = model.get_layer(name)(outputs["flat"])
        np.testing.assert_allclose(outputs[name], alone, rtol=1e-5, atol=1e-6)


def test_a_head_that_reads_what_the_trunk_lacks_is_one_line_with_both_names():
    with pytest.raises(ValueError) as error:
        model_of({"q": HEADS["q"], "jigsaw": lambda: Reader("tiles")})
    message = str(error.value)
    assert "\n" not in message
    for word in ("'jigsaw'", "'tiles'", "'nature_cnn'", "map", "pooled"):
        assert word in message


def test_heads_stand_on_the_encoder_itself():
    encoder = encoders.encoder(SHAPE, "nature_cnn")
    one, other = (multi_head(encoder, HEADS) for _ in range(2))
    trunk = variables_of(encoder)
    # Three convolutions are shared, the heads are each model's own.
    assert variables_of(one) & variables_of(other) == trunk
    assert len(trunk) == 6


def test_heads_may_be_more_precise_than_their_encoder():
    encoder = encoders.encoder(SHAPE, "nature_cnn", precision="mixed_bfloat16")
    model = multi_head(encoder, {"rotation": HEADS["rotation"]}, "float32")
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert model.get_layer("rotation").layers[0].compute_dtype == "float32"


def test_mixed_precision_gives_float32_outputs_near_those_of_float32():
    tf.keras.utils.set_random_seed(0)
    single = model_of(HEADS, "float32")
    mixed = model_of(HEADS, "mixed_bfloat16")
    mixed.set_weights(single.get_weights())
    assert {weight.dtype for weight in mixed.weights} == {tf.float32}
    expected, got = single(frames()), mixed(frames())
    for name in HEADS:
        assert got[name].dtype == tf.float32
        # Four layers that each round to 8 significant bits, relative to the largest output.
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(got[name], expected[name], atol=0.03 * scale)
        # It did calculate with fewer bits.
        assert np.abs(got[name] - expected[name]).max() > 1e-4 * scale
    assert mixed.get_layer("conv2").compute_dtype == "bfloat16"
    assert single.get_layer("conv2").compute_dtype == "float32"


def test_the_policy_in_force_is_neither_used_nor_changed(policy):
    model = model_of(HEADS, "float32")
    assert {layer.compute_dtype for layer in model.layers if layer.weights} == {"float32"}
    assert policy() == "mixed_bfloat16"


def no_head():
    raise RuntimeError("no head")


@pytest.mark.parametrize(
    "make_head, precision, error",
    [
        (lambda: Reader("tiles"), "float32", ValueError),
        (no_head, "float32", RuntimeError),
        (HEADS["q"], "float17", ValueError),
    ],
)
def test_the_policy_in_force_is_restored_after_an_error(policy, make_head, precision, error):
    encoder = encoders.encoder(SHAPE, "nature_cnn")
    with pytest.raises(error):
        multi_head(encoder, {"q": make_head}, precision)
    assert policy() == "mixed_bfloat16"


def test_two_models_of_the_same_functions_share_no_weights():
    one, other = (model_of(HEADS) for _ in range(2))
    assert not variables_of(one) & variables_of(other)
    before = other(frames())
    one.set_weights([np.zeros_like(weight) for weight in one.get_weights()])
    assert not np.any(one(frames())["q"])
    for name, value in other(frames()).items():
        np.testing.assert_array_equal(value, before[name])


# Weights are float32 under every precision, so that each model reads the other's.
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("file", ["model.weights.h5", "tensors"])
def test_weights_come_back_from_a_file(tmp_path, file, precision):
    saved = model_of(HEADS, precision)
    saved.save_weights(tmp_path / file)
    loaded = model_of(HEADS, "float32")
    assert not np.array_equal(loaded.get_weights()[0], saved.get_weights()[0])
    status = loaded.load_weights(tmp_path / file)
    if status is not None:
        status.assert_consumed()
    for one, other in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
