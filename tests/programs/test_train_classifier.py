import json
import shutil
import signal

import h5py
import numpy as np
import pytest

from tests.programs.conftest import refused
from tfselfsup import command_line
from tfselfsup.config import ClassifierExperiment, ImageDataConfig
from tfselfsup.datasets import forged_faces, splices
from tfselfsup.datasets.loading import FaceData
from tfselfsup.datasets.splits import PARTS
from tfselfsup.models import trunks, weights
from tfselfsup.programs import classifier_parts as parts
from tfselfsup.programs import evaluate_classifier, trained_classifier
from tfselfsup.programs.classifier_encoders import HUB_ENCODERS, make_encoder
from tfselfsup.vision import probe_files, training_callbacks

pytestmark = pytest.mark.usefixtures("one_tensorflow")

ENDED = {"training.epochs": 1, "training.batch_size": 16, "training.learning_rate": 1e-3}
ROTATION = "[{name: rotation, weight: 0.5}]"


def score(run, *arguments):
    evaluate_classifier.main([str(run.path), *map(str, arguments)])
    return run.evaluation()


def trunk_of(run):
    """The arrays of each layer of the trunk that a run's settings name, and their hash."""
    experiment = run.experiment(ClassifierExperiment)
    encoder = make_encoder(experiment, parts.open_data(experiment.data))
    arrays = {layer.name: layer.get_weights() for layer in encoder.model.layers if layer.weights}
    return arrays, encoder.key.weights_hash


def loaded(run):
    experiment = run.experiment(ClassifierExperiment)
    data = parts.open_data(experiment.data)
    part = parts.make_parts(experiment, data)
    return trained_classifier.load(experiment, run, data), data, part == "test"


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "knn"])
def test_a_probe_is_trained_and_scored(train, capsys, solver):
    run = train(probe__solver=solver, probe__epochs=2, probe__neighbours=5)
    assert "images/s" in capsys.readouterr().out
    evaluation = score(run)
    assert evaluation["kind"] == "classifier" and evaluation["model"] == "two_layer_cnn"
    assert evaluation["weights"] == "random" and evaluation["stand_in"] is False
    assert evaluation["task"] is None and evaluation["protocol"]["checkpoint"] == "only"
    assert evaluation["protocol"].get("probe.solver", "lbfgs") == solver
    assert evaluation["split"] == "hard" and evaluation["part"] == "test"
    assert evaluation["temperature"] == run.temperature("only")
    assert evaluation["auc_low"] <= evaluation["auc"] <= evaluation["auc_high"]
    # The second time the features are there.
    assert "read from the cache" in capsys.readouterr().out
    (row,) = run.metrics()
    assert np.isfinite(float(row["validation_log_loss"]))
    # Asked about the images themselves, it answers the same as from the cached features.
    classifier, data, test = loaded(run)
    images = np.concatenate(
        [b["image"] for b in data.images(test, side=16, batch_size=7).as_numpy_iterator()]
    )
    np.testing.assert_allclose(
        classifier.logits_of(images), classifier.logits(data, test), rtol=1e-4, atol=1e-4
    )


def test_a_linear_probe_is_a_layer_on_the_trunk(train):
    classifier, data, test = loaded(run := train())
    experiment = run.experiment(ClassifierExperiment)
    network = parts.make_network(experiment, make_encoder(experiment, data), 2, {})
    probe = probe_files.load(run.chosen_checkpoint("last"))
    network.get_layer("label").set_weights([probe.kernel, probe.bias])
    (batch,) = data.images(test, side=16, batch_size=1000).as_numpy_iterator()
    answers = network(batch["image"][:, None])["label"]
    np.testing.assert_allclose(answers, classifier.logits(data, test), rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(train):
    first, again = score(train("a")), score(train("b"))
    assert first == again
    other = score(train("c", seed=1))
    assert {**first, "seed": 1} != other


def test_a_network_is_trained_end_to_end_with_a_task(train, capsys):
    run = train(mode="fine_tune", training__tasks=ROTATION, **_double(ENDED))
    (row,) = run.metrics()
    assert {"loss/label", "loss/rotation", "accuracy/rotation", "learning_rate"} <= row.keys()
    evaluation = score(run)
    assert evaluation["task"] == "rotation" and evaluation["protocol"]["mode"] == "fine_tune"
    assert evaluation["protocol"]["checkpoint"] == "best"
    assert score(run, "--checkpoint", "last")["protocol"]["checkpoint"] == "last"
    # The same command finds nothing left to do, and keeps what is there.
    train(mode="fine_tune", training__tasks=ROTATION, **_double(ENDED))
    assert len(run.metrics()) == 1


def test_a_scheduler_s_order_to_end_says_how_to_go_on(train, monkeypatch, capsys):
    monkeypatch.setattr(
        training_callbacks.ProgressBar,
        "on_train_batch_end",
        lambda bar, batch, logs: signal.raise_signal(signal.SIGTERM),
    )
    with pytest.raises(SystemExit) as ended:
        train(mode="fine_tune", **_double(ENDED))
    assert ended.value.code == 143
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line.endswith(
        "interrupted in epoch 1 of 1; the same command goes on from the beginning"
    )


def test_an_order_to_end_a_probe_has_its_own_status(train, monkeypatch, capsys):
    def ordered(*_):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(trained_classifier, "features_of_all", ordered)
    with pytest.raises(SystemExit) as ended:
        train()
    assert ended.value.code == 143
    assert capsys.readouterr().err.endswith("interrupted; the same command begins anew\n")


def test_a_trunk_is_pretrained_and_probed(train, capsys):
    before = train("before", mode="pretrain", training__tasks=ROTATION, **_double(ENDED))
    assert before.trunk_weights.is_file()
    assert "loss/label" not in before.metrics()[0]
    assert "pre-training" in refused(lambda: score(before), capsys)
    run = train("probe", encoder__weights=before.path)
    assert capsys.readouterr().err == ""
    evaluation = score(run)
    assert evaluation["weights"] == "rotation"
    # Named after the task, and really its trunk, which is no longer as it began.
    arrays, random = weights.read(before.trunk_weights), train("random")
    (used, hash_used), (begun, _) = map(trunk_of, (run, random))
    assert run.inputs()["encoder"] == hash_used != random.inputs()["encoder"]
    assert used.keys() == arrays.keys() == begun.keys()
    for layer, written in arrays.items():
        for own, other, first in zip(used[layer], written, begun[layer], strict=True):
            np.testing.assert_array_equal(own, other)
            assert not np.array_equal(own, first)
    assert evaluation["log_loss"] != score(random)["log_loss"]
    # Another split would have shown the trunk what it is tested on.
    train("other", encoder__weights=before.path, seed=1)
    assert "another split" in capsys.readouterr().err


def test_a_stand_in_is_marked(train, capsys):
    settings = {"encoder__trunk": "bigbigan_resnet50", "encoder__weights": "stand_in"}
    run = train(**settings, encoder__side=32)
    evaluation = score(run)
    assert evaluation["stand_in"] is True and evaluation["weights"] == "stand_in"
    assert "(stand-in)" in capsys.readouterr().out
    message = refused(lambda: train("end_to_end", **settings, mode="fine_tune"), capsys)
    assert "mode probe" in message and "fine_tune" in message


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"data__path": "nowhere"}, "bin/prepare_faces"),
        ({"data__fractions": "[0.8, 0.0, 0.2]"}, "validation part"),
        ({"data__split": "official"}, "split"),
        ({"encoder__trunk": "vgg"}, "encoder.trunk among"),
        ({"encoder__weights": "gone.h5"}, "gone.h5"),
        ({"encoder__weights": "imagenet"}, "imagenet"),
        ({"encoder__feature": "map"}, "pooled"),
        ({"mode": "pretrain"}, "at least one task"),
        ({"mode": "fine_tune", "training__tasks": "[{name: frame_order}]"}, "frames"),
        (
            {"encoder__trunk": "tfhub", "encoder__weights": "x", "encoder__precision": "float32"},
            "module",
        ),
        (
            {"encoder__trunk": "tfhub", "encoder__precision": "mixed_bfloat16"},
            "precision float32",
        ),
        ({"encoder__trunk": "bigbigan_resnet50", "encoder__weights": "random"}, "handle"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line_and_leaves_nothing_behind(
    train, tmp_path, capsys, settings, expected
):
    message = refused(lambda: train(**settings), capsys)
    assert expected in message
    assert not (tmp_path / "run").exists()


def test_a_part_of_one_class_is_an_error(train, tmp_path, capsys):
    folder = tmp_path / "real_only"
    splices.write(folder, count=40, side=32, seed=0)
    manifests = list((folder / "manifests").glob("*"))
    for path in manifests:
        path.write_text(
            "".join(line for line in path.read_text().splitlines(True) if _is_real(line))
        )
    forged_faces.build(folder)
    message = refused(lambda: train(data__path=folder, data__balance="false"), capsys)
    assert "expected two classes or more in the train part, got " in message
    assert not (tmp_path / "run").exists()


def test_a_part_of_one_class_is_an_error_before_anything_is_trained(
    train, tmp_path, capsys, monkeypatch
):
    # A source has one class only, and the validation part has one source.
    read = FaceData.__init__

    def of_one_class_a_source(self, path):
        read(self, path)
        sources = sorted(self.index["source_id"].unique())
        by_source = {source: number % 2 for number, source in enumerate(sources)}
        self.index = self.index.assign(label=self.index["source_id"].map(by_source))

    monkeypatch.setattr(FaceData, "__init__", of_one_class_a_source)
    settings = {"mode": "fine_tune", "data__balance": "false", **_double(ENDED)}
    message = refused(lambda: train(**settings), capsys)
    assert "expected two classes or more in the validation part, got " in message
    assert not (tmp_path / "run").exists()


def test_a_label_without_a_name_is_an_error_before_anything_is_trained(train, capsys, monkeypatch):
    monkeypatch.setattr(FaceData, "label_names", ("fake",))
    settings = {"mode": "fine_tune", "data__balance": "false", **_double(ENDED)}
    message = refused(lambda: train(**settings), capsys)
    assert "expected labels from 0 to 0 (fake), got 1; correct the data set" in message


def test_tasks_beside_a_probe_are_refused(train, capsys):
    assert "fine_tune" in refused(lambda: train(training__tasks=ROTATION), capsys)


def test_data_that_changed_are_refused(train, faces, tmp_path, capsys):
    folder = tmp_path / "faces"
    shutil.copytree(faces, folder)
    run = train(data__path=folder)
    score(run)
    shutil.rmtree(folder)
    splices.write(folder, count=120, side=32, seed=0)
    forged_faces.build(folder)
    assert "other data" in refused(lambda: score(run), capsys)
    assert "other data" in refused(lambda: train(data__path=folder), capsys)


def test_weights_that_changed_are_refused(train, tmp_path, capsys):
    before = train("before", mode="pretrain", training__tasks=ROTATION, **_double(ENDED))
    run = train("probe", encoder__weights=before.path)
    score(run)
    other = train("other", mode="pretrain", training__tasks=ROTATION, seed=1, **_double(ENDED))
    shutil.copy(other.trunk_weights, before.trunk_weights)
    assert "other encoder" in refused(lambda: score(run), capsys)


def test_a_trained_network_needs_the_weights_it_began_with_no_longer(train, tmp_path):
    before = train("before", mode="pretrain", training__tasks=ROTATION, **_double(ENDED))
    run = train(mode="fine_tune", encoder__weights=before.path, **_double(ENDED))
    shutil.rmtree(before.path)
    evaluation = score(run)
    assert evaluation["weights"] == "rotation"
    assert evaluation["protocol"]["pretraining_epochs"] == 1
    assert evaluation["protocol"]["pretrained_on_other_data"] is False


def test_the_validation_part_shares_no_source_with_the_training_part(faces):
    experiment = ClassifierExperiment(data=ImageDataConfig(path=str(faces), split="random"))
    data = parts.open_data(experiment.data)
    part = parts.make_parts(experiment, data)
    learnt, validation = (set(data.index["source_id"][part == name]) for name in PARTS[:2])
    assert learnt and validation and not learnt & validation
    # What is for the test is as the split says.
    plain = data.parts("random", experiment.data.fractions, experiment.seed, True)
    np.testing.assert_array_equal(part == "test", plain == "test")


def test_other_settings_need_another_folder(train, capsys):
    train()
    message = refused(lambda: train(encoder__side=20), capsys)
    assert "encoder.side=16" in message and "--run_dir" in message


def test_digits_are_trained_class_by_class(train, tmp_path):
    file = tmp_path / "digits.h5"
    _write_digits(file)
    run = train(
        data__kind="digits", data__path=file, data__split="official", data__balance="false",
        mode="fine_tune", training__augmentation__flip="false", training__augmentation__crop=1.0,
        training__augmentation__colour=0.0, **_double({**ENDED, "training.epochs": 3}),
    )  # fmt: skip
    evaluation = score(run)
    assert evaluation["data_set"] == "usps" and evaluation["split"] == "official"
    assert set(evaluation["classes"]) == set("0123456789") and "auc" not in evaluation
    # Learnable: every class has a row of its own that is bright.
    assert evaluation["accuracy"] > 0.5


def test_named_experiments_are_those_of_the_study():
    named = {
        name: command_line.load_experiment(name)
        for name in command_line.experiment_names()
        if name.startswith(("forged_faces/", "digits/"))
    }
    assert {"resnet50_random", "resnet50_imagenet", "alexnet_imagenet"} | {
        "alexnet_imagenet_rotation", "bigbigan_resnet50", "bigbigan_revnet50x4"
    } <= {name.partition("/")[2] for name in named}  # fmt: skip
    for experiment in named.values():
        assert isinstance(experiment, ClassifierExperiment)
        trunk = experiment.encoder.trunk
        assert trunk in HUB_ENCODERS or trunk in trunks.TRUNKS


def _double(settings):
    return {key.replace(".", "__"): value for key, value in settings.items()}


def _is_real(line):
    return json.loads(line)["video"]["label"] == 0


def _write_digits(path):
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for part, count in (("train", 200), ("test", 60)):
            labels = np.arange(count) % 10
            images = random.uniform(0, 0.2, (count, 16, 16)).astype(np.float32)
            images[np.arange(count), labels + 3] = 1.0
            file[f"{part}/data"] = images.reshape(count, 256)
            file[f"{part}/target"] = labels
