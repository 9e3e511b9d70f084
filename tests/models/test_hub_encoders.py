import gc
import hashlib
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub

from tfselfsup.models import hub_encoders, hub_stand_in
from tfselfsup.models.hub_encoders import CentreSquare
from tfselfsup.models.multi_head import multi_head

HANDLE = "https://tfhub.dev/deepmind/bigbigan-resnet50/1"
HALF_PLUS_TWO = Path(__file__).parents[3] / "shared" / "data" / "tfhub_v1" / "half_plus_two"
SHAPE = (1, 40, 48, 3)


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hub") / "stand_in"
    hub_stand_in.write_stand_in(directory)
    return directory


@pytest.fixture(scope="module")
def model(stand_in):
    return hub_encoders.encoder(SHAPE, stand_in)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """TF-Hub's cache, empty, and no network beyond it."""

    def no_network(*args, **kwargs):
        raise urllib.error.URLError("no\nnetwork")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / hashlib.sha1(HANDLE.encode()).hexdigest()


def frames(shape=SHAPE, batch=3):
    return np.random.default_rng(0).integers(0, 256, (batch, *shape), np.uint8)


def pixels_to_features(model):
    """The part of an encoder that can be differentiated."""
    return tf.keras.Model(model.get_layer("pixels").output, model.output)


def copied(directory, to):
    shutil.copytree(directory, to)
    return to


def refusal(function, *args):
    """The message of the ValueError, which is one line."""
    with pytest.raises(ValueError) as error:
        function(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


class EncodesOther(tf.Module):
    """A SavedModel of TensorFlow 2 that encodes, but not pictures of 256x256."""

    @tf.function(input_signature=[tf.TensorSpec((None, 224, 224, 3), tf.float32)])
    def encode(self, x):
        return {"avepool_feat": tf.reduce_mean(x, (1, 2))}


class EncodesLoosely(tf.Module):
    """A SavedModel whose input has no fixed side, and of which two outputs are no vectors."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.float32)])
    def encode(self, x):
        return {"mean": tf.reduce_mean(x, (1, 2)), "map": x, "rows": x[:, :, 0, 0]}


class Linear(tf.keras.layers.Dense):
    """A head of two outputs."""

    def __init__(self, reads):
        super().__init__(2)
        self.reads = reads


def saved(module, directory):
    tf.saved_model.save(module, str(directory), {"encode": module.encode})
    return directory


def bicubic(image, side):
    """TensorFlow 1's interpolation: pixel i of the result lies at i * scale of the source."""

    def matrix(size):
        weights = np.zeros((side, size))
        for i in range(side):
            position = i * size / side
            for neighbour in range(int(position) - 1, int(position) + 3):
                d = abs(position - neighbour)
                # Keys' kernel (1981) with a = -0.75.
                near = 1.25 * d**3 - 2.25 * d**2 + 1
                far = -0.75 * d**3 + 3.75 * d**2 - 6 * d + 3
                weights[i, np.clip(neighbour, 0, size - 1)] += near if d <= 1 else far
        return weights

    rows, columns = (matrix(size) for size in image.shape[:2])
    return np.stack([rows @ image[..., c] @ columns.T for c in range(image.shape[2])], axis=-1)


@pytest.mark.parametrize("shape, square", [((6, 9), np.s_[:, 1:7]), ((300, 280), np.s_[10:290])])
def test_preprocessing_equals_that_of_the_published_example(shape, square):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    # The example works on bytes, and only then changes the range. TensorFlow looks the kernel up
    # in a table of 1,024 steps a pixel; positions are multiples of 1/256, so that it is exact.
    expected = bicubic(image[square].astype(float), 256) / 127.5 - 1
    got = CentreSquare()(image[None].astype(np.float32) / 255)[0]
    assert got.shape == (256, 256, 3)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_square_of_256_keeps_its_pixels():
    image = frames((256, 256, 3), batch=1).astype(np.float32)
    np.testing.assert_allclose(CentreSquare()(image / 255), image / 127.5 - 1, atol=1e-6)


def test_what_is_beside_the_square_in_the_middle_does_not_count(model):
    stacks = frames()
    framed = stacks.copy()
    framed[:, :, :, :4] = 0
    framed[:, :, :, 44:] = 255
    assert not np.array_equal(stacks, framed)
    np.testing.assert_allclose(model(stacks)["pooled"], model(framed)["pooled"], rtol=1e-6)


@pytest.mark.parametrize("feature, width", [("avepool_feat", 64), ("z_mean", 120)])
def test_pooled_is_the_feature_that_the_module_itself_gives(stand_in, feature, width):
    stacks = frames((1, 256, 256, 3))
    model = hub_encoders.encoder((1, 256, 256, 3), stand_in, feature)
    module = hub.load(str(stand_in))
    x = tf.constant(stacks[:, 0] / 127.5 - 1, tf.float32)
    expected = module.signatures["encode"](x=x)[feature]
    outputs = model(stacks)
    assert set(outputs) == {"pooled"}
    assert model.output["pooled"].shape == (None, width)
    assert outputs["pooled"].dtype == tf.float32
    np.testing.assert_allclose(outputs["pooled"], expected, rtol=1e-4, atol=1e-5)


def test_it_takes_frames_and_has_nothing_to_train(model):
    assert model.input_shape == (None, *SHAPE)
    assert model.input.dtype == tf.uint8
    assert [layer.name for layer in model.layers] == [
        "frames",
        "pixels",
        "centre_square",
        "hub_feature",
    ]
    assert model.trainable_weights == []


def test_a_head_on_it_learns_and_one_that_reads_a_map_is_refused(model):
    network = multi_head(model, {"label": lambda: Linear("pooled")})
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(network(frames())["label"])
    kernel, bias = tape.gradient(loss, network.trainable_weights)
    # The sum of all outputs: each weight's gradient is its feature's sum, each bias' the batch.
    features = tf.reduce_sum(model(frames())["pooled"], axis=0)
    np.testing.assert_allclose(kernel, np.stack([features, features], axis=1), rtol=1e-5)
    np.testing.assert_allclose(bias, [3, 3])
    message = refusal(multi_head, model, {"jigsaw": lambda: Linear("map")})
    assert "'hub_encoder' has only pooled" in message


def test_gradient_reaches_the_pixels(model):
    part = pixels_to_features(model)
    rng = np.random.default_rng(1)
    pixels = tf.constant(rng.uniform(size=(2, *SHAPE[1:])), tf.float32)
    direction = tf.constant(rng.normal(size=(2, 64)), tf.float32)

    def score(at):
        return tf.reduce_sum(part(at)["pooled"] * direction)

    with tf.GradientTape() as tape:
        tape.watch(pixels)
        value = score(pixels)
    gradient = tape.gradient(value, pixels)
    assert gradient.shape == pixels.shape
    # 40x48: four columns on either side are cut off.
    assert np.abs(gradient[:, :, :4]).max() == np.abs(gradient[:, :, 44:]).max() == 0
    assert (np.abs(gradient[:, :, 5:43]).max(axis=-1) > 0).mean() > 0.99
    # Along itself, against the difference quotient.
    step = 1e-3 * gradient / tf.norm(gradient)
    quotient = (score(pixels + step) - score(pixels - step)) / 2e-3
    np.testing.assert_allclose(quotient, tf.norm(gradient), rtol=0.02)


def test_the_module_lives_as_long_as_the_model(stand_in):
    model = hub_encoders.encoder(SHAPE, stand_in)
    before = model(frames())["pooled"]
    gc.collect()
    np.testing.assert_array_equal(model.predict(frames(), verbose=0)["pooled"], before)


def test_it_calculates_in_float32_whatever_the_policy(stand_in, model):
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        other = hub_encoders.encoder(SHAPE, stand_in)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    assert {layer.compute_dtype for layer in other.layers[1:]} == {"float32"}
    np.testing.assert_allclose(other(frames())["pooled"], model(frames())["pooled"], rtol=1e-5)


def test_it_survives_cloning_and_export(model, tmp_path):
    expected = model(frames())["pooled"]
    clone = tf.keras.models.clone_model(model)
    np.testing.assert_allclose(clone(frames())["pooled"], expected, rtol=1e-5)
    tf.saved_model.save(model, str(tmp_path / "exported"))
    exported = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(exported(frames())["pooled"], expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 84, 84, 3), (1, 84, 84, 1)])
def test_other_frames_than_single_rgb_pictures_are_refused(stand_in, shape):
    message = refusal(hub_encoders.encoder, shape, stand_in)
    assert "expected frames of shape (1, H, W, 3)" in message
    assert str(shape) in message


def test_a_module_that_does_not_encode_is_told_with_its_signatures():
    if not HALF_PLUS_TWO.is_dir():
        pytest.skip("the shared data are not here")
    message = refusal(hub_encoders.encoder, SHAPE, HALF_PLUS_TWO)
    assert "expected a TF-Hub module with the signature 'encode'" in message
    assert "half_plus_two' with default;" in message


def test_a_feature_that_is_not_there_is_told_with_those_that_are(stand_in):
    message = refusal(hub_encoders.encoder, SHAPE, stand_in, "avgpool")
    assert "got 'avgpool'" in message
    assert "avepool_feat (64 wide), bn_crelu_feat (128 wide), default (120 wide)" in message


def test_a_module_for_other_pictures_is_refused(tmp_path):
    directory = saved(EncodesOther(), tmp_path / "module")
    message = refusal(hub_encoders.encoder, SHAPE, directory)
    assert "expected 'encode' to take x float32 (None, 256, 256, 3)" in message
    assert "got x float32 (None, 224, 224, 3)" in message


def test_only_vectors_of_known_width_are_features(tmp_path):
    directory = saved(EncodesLoosely(), tmp_path / "module")
    outputs = hub_encoders.encoder((1, 256, 256, 3), directory, "mean")(frames((1, 256, 256, 3)))
    expected = frames((1, 256, 256, 3))[:, 0].mean(axis=(1, 2)) / 127.5 - 1
    np.testing.assert_allclose(outputs["pooled"], expected, atol=1e-5)
    for feature in ("map", "rows"):
        message = refusal(hub_encoders.encoder, SHAPE, directory, feature)
        assert "expected a feature among mean (3 wide) of" in message


@pytest.mark.parametrize("kept", [100, 0])
def test_a_graph_that_was_cut_off_is_one_line(stand_in, tmp_path, kept):
    broken = copied(stand_in, tmp_path / "broken")
    graph = broken / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:kept])
    message = refusal(hub_encoders.encoder, SHAPE, broken)
    assert "broken" in message


@pytest.mark.parametrize("name", ["variables.index", "variables.data-00000-of-00001"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_weights_that_are_missing_or_damaged_are_one_line(stand_in, tmp_path, name, damage):
    broken = copied(stand_in, tmp_path / "broken")
    damage(broken / "variables" / name)
    message = refusal(hub_encoders.encoder, SHAPE, broken)
    assert "broken', got files that cannot be read" in message


def test_a_directory_is_its_own_handle(stand_in, tmp_path):
    assert hub_encoders.resolve(stand_in) == stand_in
    assert hub_encoders.resolve(str(stand_in)) == stand_in
    message = refusal(hub_encoders.resolve, tmp_path / "nowhere")
    assert f"got '{tmp_path / 'nowhere'}'" in message
    assert "expected saved_model" not in message
    (tmp_path / "empty").mkdir()
    assert "without one" in refusal(hub_encoders.resolve, tmp_path / "empty")


def test_a_handle_is_found_in_the_cache_without_a_network(stand_in, offline):
    copied(stand_in, offline)
    assert hub_encoders.resolve(HANDLE) == offline
    assert hub_encoders.content_hash(HANDLE) == hub_encoders.content_hash(stand_in)
    assert hub_encoders.encoder(SHAPE, HANDLE)(frames())["pooled"].shape == (3, 64)


def test_a_half_downloaded_module_is_told_to_be_deleted(offline):
    offline.mkdir(parents=True)
    (offline / "tfhub_module.pb").write_bytes(b"\x08\x03")
    message = refusal(hub_encoders.resolve, HANDLE)
    assert "expected a TF-Hub module with a saved_model.pb" in message
    assert str(offline) in message
    assert "delete the directory" in message


def test_without_a_network_the_handle_and_the_way_out_are_told(offline):
    message = refusal(hub_encoders.encoder, SHAPE, HANDLE)
    assert f"'{HANDLE}'" in message
    assert "no network" in message
    assert "unpack it, and give its directory" in message


def test_content_hash_is_of_names_and_bytes_and_nothing_else(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "variables").mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").write_bytes(b"graph")
        (tmp_path / name / "variables" / "data").write_bytes(b"weights")
    first = hub_encoders.content_hash(tmp_path / "one")
    assert len(first) == 64
    assert hub_encoders.content_hash(tmp_path / "two") == first

    data = tmp_path / "two" / "variables" / "data"
    data.write_bytes(b"Weights")
    assert hub_encoders.content_hash(tmp_path / "two") != first
    data.write_bytes(b"weights")
    data.rename(data.with_name("other"))
    assert hub_encoders.content_hash(tmp_path / "two") != first

    # By hand: names in order, each with the hash of its contents.
    parts = (("saved_model.pb", b"graph"), ("variables/data", b"weights"))
    text = "".join(f"{name}\0{hashlib.sha256(data).hexdigest()}\0" for name, data in parts)
    assert first == hashlib.sha256(text.encode()).hexdigest()
