import pytest

from tfselfsup.datasets import forged_faces, splices
from tfselfsup.programs import (
    evaluate_agent,
    evaluate_classifier,
    train_agent,
    train_classifier,
)
from tfselfsup.runs import RunDirectory

# A network of seconds, on images that were made on the spot.
SMALL = {
    "encoder.trunk": "two_layer_cnn",
    "encoder.side": 16,
    "probe.strengths": "[0.01, 1]",
    "scoring.resamples": 50,
}


def refused(call, capsys) -> str:
    """Calls a program that refuses what it is given; returns the line it ends with.

    Nothing but warnings may come before that line: no traceback, for instance.
    """
    capsys.readouterr()  # of the calls before
    with pytest.raises(SystemExit) as ended:
        call()
    assert ended.value.code == 2
    *before, message = capsys.readouterr().err.splitlines()
    assert ": error: " in message
    assert [line for line in before if not line.startswith("warning: ")] == []
    return message


@pytest.fixture(scope="module")
def one_tensorflow():
    # The threads of a process can be set once only, and are already in use in this one.
    with pytest.MonkeyPatch.context() as patch:
        for program in (train_agent, evaluate_agent, train_classifier, evaluate_classifier):
            patch.setattr(program, "start_tensorflow", lambda runtime: None)
        yield


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A data set of 160 forged images, from all of scikit-image's photographs."""
    folder = tmp_path_factory.mktemp("faces")
    splices.write(folder, count=160, side=32, seed=0)
    forged_faces.build(folder)
    return folder


@pytest.fixture
def train(faces, tmp_path):
    """Trains a classifier in this process with small settings; returns the run."""

    def train(name="run", **settings):
        run_dir = tmp_path / name
        given = {"data.path": faces, "cache": tmp_path / "cache", **SMALL}
        given |= {key.replace("__", "."): value for key, value in settings.items()}
        options = [text for key, value in given.items() for text in (f"--{key}", str(value))]
        train_classifier.main([*options, "--run_dir", str(run_dir)])
        return RunDirectory(run_dir)

    return train
