import pytest

from tests.programs.conftest import refused
from tfselfsup.config import ClassifierExperiment, EncoderConfig
from tfselfsup.datasets.loading import FaceData
from tfselfsup.models import weights
from tfselfsup.programs.classifier_encoders import make_encoder
from tfselfsup.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("one_tensorflow")

# Only the number of channels matters to a trunk, so that no images are needed.
IMAGES = FaceData


@pytest.mark.parametrize(
    ("mode", "trunk"), [("probe", "two_layer_cnn"), ("pretrain", "squeezenet")]
)
def test_a_run_that_pretrained_no_such_trunk_is_refused(train, tmp_path, capsys, mode, trunk):
    before = RunDirectory(tmp_path / "before")
    before.start(ClassifierExperiment(mode=mode, encoder=EncoderConfig(trunk)))
    message = refused(lambda: train(encoder__weights=before.path), capsys)
    assert message.endswith(
        "expected the run of a pre-training of 'two_layer_cnn' as encoder.weights, got "
        f"{before.path}, a {mode} of '{trunk}'"
    )
    assert not (tmp_path / "run").exists()


def test_a_pretraining_is_named_after_what_it_began_with_too(train, tmp_path, capsys):
    file = tmp_path / "earlier.h5"
    other = ClassifierExperiment(encoder=EncoderConfig("two_layer_cnn", side=16), seed=7)
    begun = make_encoder(other, IMAGES)
    weights.save(begun.model.layers, file)
    before = train(
        "before",
        mode="pretrain",
        encoder__weights=file,
        training__tasks="[{name: rotation}]",
        training__epochs=1,
    )
    assert before.inputs()["weights"] == "earlier"
    # It is these weights that it began with.
    assert before.inputs()["encoder"] == begun.key.weights_hash
    capsys.readouterr()
    after = train("after", encoder__weights=before.path)
    name = "earlier, then rotation"
    assert after.inputs()["weights"] == name
    described = make_encoder(after.experiment(ClassifierExperiment), IMAGES).described
    assert described == f"two_layer_cnn, weights {name}"
    assert described in capsys.readouterr().out.splitlines()
