import h5py
import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models import encoders, trunks, weights


def network(filters=4, names=("block/conv", "bn", "fc"), top=None) -> tf.keras.Model:
    """A convolution, a normalisation, a dense layer, and with `top` a classifier on it."""
    pixels = tf.keras.Input((4, 4, 3))
    x = tf.keras.layers.Conv2D(filters, 3, name=names[0])(pixels)
    x = tf.keras.layers.BatchNormalization(name=names[1])(x)
    x = tf.keras.layers.Flatten()(x)
    x = tf.keras.layers.Dense(5, name=names[2])(x)
    if top:
        x = tf.keras.layers.Dense(top, name="top")(x)
    return tf.keras.Model(pixels, x, name="network")


def shaken(model, seed=0):
    """Gives all weights other values, the moving averages too."""
    rng = np.random.default_rng(seed)
    model.set_weights([rng.random(array.shape, np.float32) for array in model.get_weights()])
    return model


def assert_same(one, other):
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_what_was_saved_comes_back(tmp_path):
    saved, loaded = shaken(network()), network()
    weights.save(saved.layers, tmp_path / "a.h5")
    weights.load(loaded, tmp_path / "a.h5")
    assert_same(saved, loaded)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_keras_reads_what_was_saved(tmp_path):
    saved, by_order, by_name = shaken(network()), network(), network(top=2)
    weights.save(saved.layers, tmp_path / "a.h5")
    by_order.load_weights(tmp_path / "a.h5")
    assert_same(saved, by_order)
    by_name.load_weights(tmp_path / "a.h5", by_name=True)
    np.testing.assert_array_equal(by_name.get_layer("fc").kernel, saved.get_layer("fc").kernel)


@pytest.mark.parametrize("write", ["save_weights", "save"])
def test_what_keras_wrote_is_read_and_a_top_is_left_alone(tmp_path, write):
    saved, loaded = shaken(network(top=2)), network()
    getattr(saved, write)(tmp_path / "a.h5")
    weights.load(loaded, tmp_path / "a.h5")
    for layer in filter(lambda layer: layer.weights, loaded.layers):
        assert_same(layer, saved.get_layer(layer.name))
    assert "top" in weights.read(tmp_path / "a.h5")


def refused(call, *words):
    with pytest.raises(ValueError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_layer_that_is_not_in_the_file_is_named_and_nothing_is_loaded(tmp_path):
    weights.save(shaken(network()).layers, tmp_path / "a.h5")
    other = network(names=("block/conv", "bn", "fc8"))
    before = other.get_weights()
    refused(lambda: weights.load(other, tmp_path / "a.h5"), "'fc8'", "'network'", "a.h5", "'bn'")
    for array, kept in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_other_shapes_are_named_and_nothing_is_loaded(tmp_path):
    weights.save(shaken(network(filters=6)).layers, tmp_path / "a.h5")
    # The first layer fits, the second does not.
    model = network(filters=4)
    before = model.get_weights()
    refused(
        lambda: weights.load(model, tmp_path / "a.h5"),
        "'block/conv'",
        "3x3x3x4, 4",
        "3x3x3x6, 6",
    )
    arrays = weights.read(tmp_path / "a.h5")
    arrays["block/conv"] = [np.zeros((3, 3, 3, 4)), np.zeros(4)]
    refused(lambda: weights.assign(model, arrays, "a file"), "'bn'", "a file")
    # One array too few.
    arrays["bn"] = [np.zeros(4)] * 3
    refused(lambda: weights.assign(model, arrays, "a file"), "4, 4, 4, 4", "got 4, 4, 4 ")
    for array, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    refused(lambda: weights.load(network(), path), "does not exist", str(path))
    path.write_bytes(b"PK\x03\x04 a checkpoint of PyTorch")
    refused(lambda: weights.load(network(), path), "HDF5", "import_torch_weights", str(path))
    with h5py.File(path, "w") as file:
        file["x"] = [1.0]
    refused(lambda: weights.load(network(), path), "layer_names", str(path))
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
    refused(lambda: weights.load(network(), path), "damaged", str(path))
    network().save_weights(tmp_path / "a.weights.h5")
    refused(lambda: weights.load(network(), tmp_path / "a.weights.h5"), ".weights.h5", "Keras 2")
    # Cut off in the middle.
    weights.save(network().layers, path)
    path.write_bytes(path.read_bytes()[:3000])
    refused(lambda: weights.load(network(), path), "damaged", str(path))


def test_the_hash_is_of_content_alone():
    model = shaken(network())
    same = shaken(network())
    assert weights.content_hash(model) == weights.content_hash(same)
    assert len(weights.content_hash(model)) == 64
    assert weights.content_hash(shaken(network(), seed=1)) != weights.content_hash(model)
    # A moving average counts as well, and one bit of it.
    moving = same.get_layer("bn").moving_variance
    moving.assign(np.nextafter(moving.numpy(), np.float32(2), dtype=np.float32))
    assert weights.content_hash(same) != weights.content_hash(model)


def test_the_hash_does_not_depend_on_the_order_of_making():
    pixels = tf.keras.Input((2,))

    def sides(names):
        outputs = [tf.keras.layers.Dense(2, kernel_initializer=n, name=n)(pixels) for n in names]
        return weights.content_hash(tf.keras.Model(pixels, outputs))

    assert sides(["ones", "zeros"]) == sides(["zeros", "ones"])


def test_the_hash_tells_which_layer_has_which_weights():
    pixels = tf.keras.Input((2,))

    def chain(first, second):
        x = tf.keras.layers.Dense(2, kernel_initializer=first, name="a")(pixels)
        x = tf.keras.layers.Dense(2, kernel_initializer=second, name="b")(x)
        return weights.content_hash(tf.keras.Model(pixels, x))

    assert chain("ones", "zeros") != chain("zeros", "ones")


def test_the_hash_does_not_depend_on_precision():
    hashes = set()
    for precision in ("float32", "mixed_bfloat16"):
        tf.keras.utils.set_random_seed(0)
        encoder = encoders.encoder((1, 16, 16, 1), "two_layer_cnn", precision=precision)
        hashes.add(weights.content_hash(encoder))
    assert len(hashes) == 1


def test_random_weights_have_no_file_and_a_path_is_itself(tmp_path):
    path = tmp_path / "a.h5"
    path.touch()
    assert weights.resolve("mobilenet", "random") is None
    assert weights.resolve("mobilenet", str(path)) == path
    refused(lambda: weights.resolve("mobilenet", tmp_path / "b.h5"), "b.h5", "'imagenet'")
    refused(lambda: weights.resolve("vgg", "random"), "'vgg'")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_imagenet_is_taken_from_the_cache_of_keras(home):
    cached = home / ".keras" / "models" / "mobilenet_1_0_224_tf_no_top.h5"
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert weights.resolve("mobilenet", "imagenet") == cached


@pytest.mark.parametrize("name", ["resnet50", "mobilenet", "squeezenet"])
def test_imagenet_without_a_network_says_where_to_put_the_file(home, monkeypatch, name):
    published = trunks.get(name).imagenet

    def unreachable(file, origin, **_):
        raise Exception(f"URL fetch failure on {origin}:\nNone -- no network")

    monkeypatch.setattr(tf.keras.utils, "get_file", unreachable)
    cached = home / ".keras" / "models" / published.file
    refused(
        lambda: weights.resolve(name, "imagenet"), published.url, str(cached), "no network", "path"
    )


def test_what_keras_asks_for_is_what_its_applications_ask_for(home, monkeypatch):
    asked = []

    def get_file(file, origin, cache_subdir, file_hash=None):
        asked.append((file, origin, cache_subdir, file_hash))
        raise Exception("no network")

    monkeypatch.setattr(tf.keras.utils, "get_file", get_file)
    makers = {
        "resnet50": (tf.keras.applications.ResNet50, "keras.src.applications.resnet"),
        "mobilenet": (tf.keras.applications.MobileNet, "keras.src.applications.mobilenet"),
    }
    for name, (make, module) in makers.items():
        monkeypatch.setattr(f"{module}.data_utils.get_file", get_file)
        with pytest.raises(Exception, match="no network"):
            make(include_top=False, input_shape=(224, 224, 3))
        refused(lambda name=name: weights.resolve(name, "imagenet"), "no network")
        by_keras, by_us = asked[-2:]
        assert by_us == by_keras


@pytest.mark.parametrize(
    ("trunk", "checkpoint"),
    [
        ("alexnet", "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"),
        ("alexnet_bn", "model_net_epoch50, which https://github.com/gidariss"),
    ],
)
@pytest.mark.parametrize(
    ("given", "file"), [("imagenet", "FILE.h5"), ("a b.h5", "'a b.h5'"), ("a/run", "FILE.h5")]
)
def test_what_is_for_pytorch_only_has_to_be_imported(trunk, checkpoint, given, file):
    command = f"--trunk {trunk} --out {file}"
    refused(lambda: weights.resolve(trunk, given), checkpoint, "bin/import_torch_weights", command)


def test_for_want_of_a_file_there_are_the_published_weights_if_there_are_any():
    keras = "or give 'imagenet' for those of https://storage"
    refused(lambda: weights.resolve("resnet50", "no.h5"), "'no.h5'", "check the path", keras)
    with pytest.raises(ValueError, match="check the path$"):
        weights.resolve("nature_cnn", "no.h5")
