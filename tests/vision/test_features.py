import dataclasses
import hashlib
import io
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.vision import features
from tfselfsup.vision.features import FeatureCache, FeatureKey, architecture, extract, features_of

ROOT = Path(__file__).resolve().parents[2]
SIDE = 4
IMAGES = np.random.default_rng(0).integers(0, 256, (7, SIDE, SIDE, 3), np.uint8)
# What the encoder below makes of them.
MEANS = IMAGES.mean(axis=(1, 2)) / 255
KEY = FeatureKey("mean", "pooled", "w0", "a0", SIDE, "float32", "d0")


def encoder(side=SIDE, policy="float32", scale=1 / 255):
    """Makes an encoder whose `pooled` is the mean colour; it would differ in training mode."""
    frames = tf.keras.Input((1, side, side, 3), dtype=tf.uint8)
    pixels = tf.keras.layers.Rescaling(scale, dtype=policy)(frames[:, 0])
    pooled = tf.keras.layers.GlobalAveragePooling2D(dtype=policy)(pixels)
    pooled = tf.keras.layers.Dropout(0.5, dtype=policy)(pooled)
    return tf.keras.Model(frames, {"map": pixels, "pooled": pooled})


class Data:
    """A data set in memory that counts how often it is read."""

    channels = 3

    def __init__(self, images=IMAGES):
        self._images = images
        self.reads = 0

    def __len__(self):
        return len(self._images)

    def images(self, chosen, *, side, batch_size):
        assert chosen.dtype == bool and chosen.shape == (len(self),) and chosen.all()
        assert side == SIDE
        self.reads += 1
        return batches(self._images, np.arange(len(self)), batch_size)


def batches(images, rows, batch_size=3):
    return tf.data.Dataset.from_tensor_slices({"image": images, "row": rows}).batch(batch_size)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_features_are_those_of_each_image_in_inference_mode(batch_size):
    found = extract(encoder(), "pooled", batches(IMAGES, np.arange(7), batch_size), 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, MEANS, rtol=1e-5)


def test_some_of_the_images():
    found = extract(encoder(), "pooled", batches(IMAGES[[1, 4]], [1, 4]), 2)
    np.testing.assert_allclose(found, MEANS[[1, 4]], rtol=1e-5)


def test_features_of_bfloat16_are_given_in_float32():
    found = extract(encoder(policy="mixed_bfloat16"), "pooled", batches(IMAGES, np.arange(7)), 7)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, MEANS, rtol=0.02)
    assert np.abs(found - MEANS).max() > 1e-5


def test_features_that_are_not_finite_are_counted():
    made = encoder()
    pooled = tf.math.log(tf.reduce_mean(tf.cast(made.input[:, 0], tf.float32), (1, 2)))
    black = IMAGES.copy()
    black[[2, 5]] = 0
    broken = tf.keras.Model(made.input, {"pooled": pooled})
    with pytest.raises(ValueError, match="infinity for 2 of 7 images, first for row 2; check"):
        extract(broken, "pooled", batches(black, np.arange(7)), 7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fc6", "expected a feature among map, pooled, got 'fc6'"),
        ("map", r"of shape \[B, d\], got 'map' of \(None, 4, 4, 3\)"),
    ],
)
def test_a_feature_that_cannot_be_had(name, message):
    with pytest.raises(ValueError, match=message):
        extract(encoder(), name, batches(IMAGES, np.arange(7)), 7)


@pytest.mark.parametrize(
    ("rows", "count", "message"),
    [
        ([0, 1, 2, 3, 4, 5, 6], 8, "expected 8 images with ascending rows, got 7"),
        ([0, 2, 1, 3, 4, 5, 6], 7, r"got 7 with rows \[0, 2, 1, 3, 4\].*without shuffling"),
        ([0, 1, 2, 3, 4, 5, 5], 7, "expected 7 images with ascending rows"),
    ],
)
def test_rows_in_another_order_or_number(rows, count, message):
    with pytest.raises(ValueError, match=message):
        extract(encoder(), "pooled", batches(IMAGES, rows), count)


def test_no_image_at_all():
    nothing = batches(IMAGES, np.arange(7)).take(0)
    with pytest.raises(ValueError, match="expected 7 images with ascending rows, got 0"):
        extract(encoder(), "pooled", nothing, 7)


def convolution(stride=1, scale=1 / 255, name="net"):
    """Makes a convolution with its preprocessing."""
    frames = tf.keras.Input((1, SIDE, SIDE, 3), dtype=tf.uint8, name=f"{name}_frames")
    pixels = tf.keras.layers.Rescaling(scale, name=f"{name}_scale")(frames[:, 0])
    conv = tf.keras.layers.Conv2D(2, 3, stride, name=f"{name}_conv")(pixels)
    pooled = tf.keras.layers.GlobalAveragePooling2D(name=f"{name}_pool")(conv)
    return tf.keras.Model(frames, {"pooled": pooled}, name=name)


def test_an_architecture_is_its_layers_and_settings_and_not_their_names_or_weights():
    one = architecture(convolution())
    assert one == architecture(convolution(name="other"))  # whose weights are others, too
    others = {architecture(convolution(stride=2)), architecture(convolution(scale=1 / 127.5))}
    assert len({one, *others}) == 3


def test_two_processes_name_an_architecture_alike():
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.vision.test_features import convolution
from tfselfsup.vision.features import architecture
print(architecture(convolution()))
"""
    # Python orders the members of sets anew in every process, unless it is told how.
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[-1] == architecture(convolution())


def test_a_second_time_the_images_are_not_read(tmp_path):
    data = Data()
    first, rate = features_of(encoder(), KEY, data, 3, FeatureCache(tmp_path / "new" / "cache"))
    assert rate > 0
    np.testing.assert_allclose(first, MEANS, rtol=1e-5)
    again, rate = features_of(encoder(), KEY, data, 3, FeatureCache(tmp_path / "new" / "cache"))
    assert rate is None and data.reads == 1
    np.testing.assert_array_equal(again, first)
    assert again.dtype == np.float32


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(FeatureKey)])
def test_all_of_a_key_counts(tmp_path, name):
    cache = FeatureCache(tmp_path)
    cache.store(KEY, np.ones((7, 3), np.float32))
    other = dataclasses.replace(KEY, **{name: 5 if name == "side" else "other"})
    assert cache.load(other) is None
    cache.store(other, np.zeros((7, 3), np.float32))
    assert cache.load(KEY).min() == 1 and cache.load(other).max() == 0


def test_features_of_another_version_are_computed_again(tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path)
    cache.store(KEY, np.ones((7, 3), np.float32))
    monkeypatch.setattr(features, "__version__", "0.0.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.load(KEY) is None


def test_features_of_another_number_of_images_are_computed_again(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.store(KEY, np.ones((6, 3), np.float32))
    found, rate = features_of(encoder(), KEY, Data(), 3, cache)
    assert rate > 0
    np.testing.assert_array_equal(cache.load(KEY), found)


def _cut(table, description):
    table.write_bytes(table.read_bytes()[:-1])


def _flip(table, description):
    content = bytearray(table.read_bytes())
    content[-1] ^= 1
    table.write_bytes(content)


def _of_another_key(table, description):
    description.write_text(description.read_text().replace('"w0"', '"w1"'))


def _no_json(table, description):
    description.write_text("{")


def _no_table(table, description):
    table.unlink()


def _replaced_before_a_kill(table, description):
    np.save(table, np.zeros((7, 3), np.float32))


@pytest.mark.parametrize(
    "damage", [_cut, _flip, _of_another_key, _no_json, _no_table, _replaced_before_a_kill]
)
def test_what_is_damaged_is_computed_again_with_a_warning(tmp_path, damage):
    cache, data = FeatureCache(tmp_path), Data()
    first, _ = features_of(encoder(), KEY, data, 3, cache)
    (table,), (description,) = tmp_path.glob("*.npy"), tmp_path.glob("*.json")
    damage(table, description)
    with pytest.warns(
        UserWarning, match=f"{table.name} is damaged and computed again: ."
    ) as caught:
        again, _ = features_of(encoder(), KEY, data, 3, cache)
    assert len(caught) == 1 and "\n" not in str(caught[0].message)
    np.testing.assert_array_equal(again, first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(cache.load(KEY), first)
    assert data.reads == 2


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def _saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.dumps(_Trap()),
        _saved(np.array([[_Trap()]], object)),
        _saved(np.ones((7, 3))),
        _saved(np.ones(7, np.float32)),
    ],
    ids=["nothing", "pickle", "pickle in an array", "float64", "one axis"],
)
def test_what_is_no_table_of_float32_is_not_taken_and_a_pickle_not_executed(tmp_path, content):
    cache = FeatureCache(tmp_path)
    cache.store(KEY, np.ones((7, 3), np.float32))
    (table,), (description,) = tmp_path.glob("*.npy"), tmp_path.glob("*.json")
    # Whoever put it there gave it the right hash.
    old, new = (hashlib.sha256(one).hexdigest() for one in (table.read_bytes(), content))
    table.write_bytes(content)
    description.write_text(description.read_text().replace(old, new))
    with pytest.warns(UserWarning, match="again: (?!the array is not)"):
        assert cache.load(KEY) is None


def test_a_table_whose_description_was_not_written_does_not_count(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.store(KEY, np.ones((7, 3), np.float32))
    next(tmp_path.glob("*.json")).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.load(KEY) is None


def test_a_failure_leaves_nothing(tmp_path):
    broken = encoder(scale=float("nan"))
    with pytest.raises(ValueError, match="infinity for 7 of 7 images"):
        features_of(broken, KEY, Data(), 3, FeatureCache(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_runs_side_by_side_may_store_the_same(tmp_path):
    made = np.random.default_rng(0).normal(size=(500, 300)).astype(np.float32)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(FeatureCache(tmp_path).store, KEY, made) for _ in range(16)]:
            done.result()
    np.testing.assert_array_equal(FeatureCache(tmp_path).load(KEY), made)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".npy"]


def test_an_encoder_of_another_side(tmp_path):
    message = r"an encoder of frames \(1, 4, 4, 3\).*got one of frames \(1, 8, 8, 3\); build"
    with pytest.raises(ValueError, match=message):
        features_of(encoder(side=8), KEY, Data(), 3, FeatureCache(tmp_path))


@pytest.mark.parametrize("made", [np.ones((7, 3)), np.ones(7, np.float32)])
def test_only_tables_of_float32_are_stored(tmp_path, made):
    with pytest.raises(ValueError, match=rf"float32 \[N, d\], got {made.dtype}"):
        FeatureCache(tmp_path).store(KEY, made)
