import json

import pytest
import tensorflow as tf

from tfselfsup.serving import saved_models


@pytest.fixture
def model():
    layer = tf.keras.layers.Dense(
        1, kernel_initializer=tf.keras.initializers.Constant(3.0), name="by_three"
    )
    return tf.keras.Sequential([tf.keras.Input([1]), layer])


@pytest.fixture
def save(model, tmp_path):
    """Exports y = 3 x with some files beside it; returns the folder."""

    def save(files=()):
        @tf.function(input_signature=[tf.TensorSpec([None, 1], name="x")])
        def triple(x):
            return {"y": model(x)}

        folder = tmp_path / "triple" / "1"
        saved_models.save(folder, {"serving_default": triple}, model, {"kind": "x"}, files, ())
        return folder

    return save


def test_a_saved_model_answers_as_the_model_does(save):
    loaded = tf.saved_model.load(str(save()))
    (answer,) = loaded.signatures["serving_default"](x=tf.constant([[2.0]]))["y"].numpy()
    assert answer == 6.0


def test_a_damaged_model_is_found_without_being_loaded(save):
    folder = save()
    saved_models.check(folder)
    path = folder / "saved_model.pb"
    for content in (b"", b"no protocol buffer", path.read_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="expected a SavedModel in .*saved_model.pb"):
            saved_models.check(folder)


def test_variables_are_kept_and_no_layers(save, model):
    folder = save()
    assert not (folder / "keras_metadata.pb").exists()
    # An attribute for each variable in one list, and nothing of Keras.
    loaded = tf.saved_model.load(str(folder))
    assert [kept.shape for kept in loaded.kept] == [weight.shape for weight in model.weights]
    names = {name for name, _ in tf.train.list_variables(str(folder / "variables" / "variables"))}
    assert names == {
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        *(f"kept/{index}/.ATTRIBUTES/VARIABLE_VALUE" for index in range(2)),
    }


def test_the_description_and_files_travel_along(save, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("seed: 1\n")
    extras = save([file]) / "assets.extra"
    assert json.loads((extras / "model.json").read_text()) == {"kind": "x"}
    assert (extras / "config.yaml").read_text() == "seed: 1\n"
