import numpy as np
import pytest
import tensorflow as tf
import tensorflow_hub as hub

from tfselfsup.models import hub_encoders, hub_stand_in

# What the published BigBiGAN says of itself, with N for the batch; 64 stands for its 2048.
PUBLISHED = {
    "default": ({"x": (None, 256, 256, 3)}, {"default": (None, 120)}),
    "encode": (
        {"x": (None, 256, 256, 3)},
        {
            "avepool_feat": (None, 64),
            "bn_crelu_feat": (None, 128),
            "default": (None, 120),
            "z_mean": (None, 120),
            "z_sample": (None, 120),
            "z_stdev": (None, 120),
        },
    ),
    "generate": (
        {"z": (None, 120)},
        {"default": (None, 128, 128, 3), "upsampled": (None, 256, 256, 3)},
    ),
    "discriminate": (
        {"x": (None, 128, 128, 3), "z": (None, 120)},
        {"score_x": (None,), "score_xz": (None,), "score_z": (None,)},
    ),
}


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hub") / "stand_in"
    hub_stand_in.write_stand_in(directory)
    return directory


@pytest.fixture(scope="module")
def signatures(stand_in):
    module = hub.load(str(stand_in))
    # The signatures alone would not keep the variables alive.
    yield module.signatures
    del module


def pictures(batch=3, side=256):
    x = np.random.default_rng(0).uniform(-1, 1, (batch, side, side, 3))
    return tf.constant(x, tf.float32)


def size_of(directory):
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_signatures_are_those_of_the_published_module(signatures):
    found = {}
    for name, signature in signatures.items():
        takes, gives = signature.structured_input_signature[1], signature.structured_outputs
        assert {spec.dtype for spec in (*takes.values(), *gives.values())} == {tf.float32}
        found[name] = tuple(
            {key: tuple(spec.shape) for key, spec in specs.items()} for specs in (takes, gives)
        )
    assert found == PUBLISHED


def test_what_the_signatures_give_has_the_shapes_they_promise(signatures):
    z = tf.constant(np.random.default_rng(1).normal(size=(3, 120)), tf.float32)
    inputs = {
        "default": {"x": pictures()},
        "encode": {"x": pictures()},
        "generate": {"z": z},
        "discriminate": {"x": pictures(side=128), "z": z},
    }
    for name, (_, promised) in PUBLISHED.items():
        outputs = signatures[name](**inputs[name])
        shapes = {key: tuple(value.shape) for key, value in outputs.items()}
        assert shapes == {key: (3, *shape[1:]) for key, shape in promised.items()}
        for value in outputs.values():
            # Examples differ, and nothing has died or exploded on the way.
            assert np.isfinite(value).all()
            assert np.ptp(value.numpy(), axis=0).max() > 1e-3


def test_features_keep_the_relations_of_bigbigan(signatures):
    encoded = {name: value.numpy() for name, value in signatures["encode"](x=pictures()).items()}
    assert encoded["avepool_feat"].min() >= 0
    positive, negative = np.split(encoded["bn_crelu_feat"], 2, axis=1)
    # The rectified halves of one signed feature.
    assert (positive * negative == 0).all()
    assert (positive.max() > 0) and (negative.max() > 0)
    assert encoded["z_stdev"].min() > 0
    again = signatures["encode"](x=pictures())
    np.testing.assert_allclose(again["z_mean"], encoded["z_mean"], rtol=1e-5)
    # z_sample is normal, of that mean and deviation; 1,080 values, so within 0.1 and 0.08.
    draws = [signatures["encode"](x=pictures())["z_sample"] for _ in range(3)]
    standard = (np.stack(draws) - encoded["z_mean"]) / encoded["z_stdev"]
    assert abs(standard.mean()) < 0.1
    assert abs(standard.std() - 1) < 0.08
    assert not np.array_equal(draws[0], draws[1])


def test_a_seed_gives_the_same_module_and_another_seed_another(stand_in, tmp_path):
    hub_stand_in.write_stand_in(tmp_path / "same")
    hub_stand_in.write_stand_in(tmp_path / "other", seed=1)
    assert hub_encoders.content_hash(tmp_path / "same") == hub_encoders.content_hash(stand_in)
    assert hub_encoders.content_hash(tmp_path / "other") != hub_encoders.content_hash(stand_in)


def test_it_is_small_and_as_wide_as_told(stand_in, tmp_path):
    assert size_of(stand_in) < 1e6
    hub_stand_in.write_stand_in(tmp_path / "narrow", feature_width=7)
    outputs = hub.load(str(tmp_path / "narrow")).signatures["encode"].structured_outputs
    assert outputs["avepool_feat"].shape[1] == 7
    assert outputs["bn_crelu_feat"].shape[1] == 14


def test_it_is_known_by_its_marker(stand_in, tmp_path):
    assert hub_stand_in.is_stand_in(stand_in)
    assert hub_stand_in.is_stand_in(str(stand_in))
    assert not hub_stand_in.is_stand_in(tmp_path)
    assert not hub_stand_in.is_stand_in(tmp_path / "nothing")


def test_it_replaces_a_stand_in_but_nothing_else(tmp_path):
    directory = tmp_path / "deep" / "module"
    hub_stand_in.write_stand_in(directory, seed=0)
    first = hub_encoders.content_hash(directory)
    hub_stand_in.write_stand_in(directory, seed=1)
    assert hub_encoders.content_hash(directory) != first
    assert [path.name for path in directory.parent.iterdir()] == ["module"]

    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"precious")
    with pytest.raises(ValueError, match="expected no directory or a stand-in at .*photos"):
        hub_stand_in.write_stand_in(tmp_path / "photos")
    assert (tmp_path / "photos" / "one.jpg").read_bytes() == b"precious"


def test_a_width_that_is_not_positive_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a positive feature_width, got 0"):
        hub_stand_in.write_stand_in(tmp_path / "module", feature_width=0)
    assert not (tmp_path / "module").exists()
