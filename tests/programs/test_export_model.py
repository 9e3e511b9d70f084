import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.programs import conftest
from tfselfsup.config import AgentExperiment
from tfselfsup.datasets.labelled_images import scaled
from tfselfsup.datasets.loading import FaceData
from tfselfsup.programs import (
    agent_parts,
    evaluate_classifier,
    export_model,
    train_agent,
    trained_classifier,
)
from tfselfsup.rl import checkpointing
from tfselfsup.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("one_tensorflow", "own_tensorflow")

# Run in a process of its own, isolated from everything but installed packages, of which some are
# kept out as well: asks each model whatever stands in the file of inputs.
WITH_TENSORFLOW_ALONE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import numpy as np
import tensorflow as tf

for folder in sys.argv[3:]:
    with np.load(sys.argv[2]) as inputs:
        tensors = {name: tf.constant(inputs[name].tolist()) if inputs[name].dtype.kind == "S"
                   else tf.constant(inputs[name]) for name in inputs}
    serve = tf.saved_model.load(folder).signatures["serving_default"]
    np.savez(folder + "/answers.npz", **serve(**tensors))
    if "image_bytes" in tensors:
        try:
            serve(image_bytes=tf.constant([b"no image"]))
        except tf.errors.InvalidArgumentError as error:
            print("refused:", error.message.splitlines()[0])
        assert len(serve(**tensors)["logits"]) == len(tensors["image_bytes"])
"""
KEPT_OUT = "tfselfsup,tf_agents,tensorflow_probability,tensorflow_hub,tensorflow_datasets,cv2"


@pytest.fixture(scope="module")
def own_tensorflow():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_model, "start_tensorflow", lambda runtime: None)
        yield


def export(run, out, *arguments):
    export_model.main([str(run.path), "--out", str(out), *arguments])
    return json.loads((out / "assets.extra" / "model.json").read_text())


def refused(run, out, capsys, *arguments):
    given = [str(run.path), "--out", str(out), *arguments]
    message = conftest.refused(lambda: export_model.main(given), capsys)
    assert not out.with_name(out.name + ".writing").joinpath("saved_model.pb").exists()
    return message


def asked_elsewhere(tmp_path, inputs, *folders):
    """Returns the answers of each model, and what was printed."""
    np.savez(tmp_path / "inputs.npz", **inputs)
    command = [sys.executable, "-I", "-c", WITH_TENSORFLOW_ALONE, KEPT_OUT]
    done = subprocess.run(
        [*command, str(tmp_path / "inputs.npz"), *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = []
    for folder in folders:
        with np.load(folder / "answers.npz") as file:
            answers.append(dict(file))
    return answers, done.stdout


def pictures(count):
    """Makes images of several sizes, and the PNG file of each."""
    generator = np.random.default_rng(0)
    sizes = generator.integers(10, 70, (count, 2))
    images = [generator.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    files = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in images]
    return images, files


def assert_same_as_trained(answers, run, data, images):
    experiment = run.experiment()
    trained = trained_classifier.load(experiment, run, data)
    squares = np.concatenate([scaled(image[np.newaxis], trained.encoder.side) for image in images])
    logits = trained.logits_of(squares)
    np.testing.assert_allclose(answers["logits"], logits, rtol=1e-5, atol=1e-5)
    tempered = np.exp(logits / run.temperature(trained.checkpoint))
    probabilities = tempered / tempered.sum(1, keepdims=True)
    np.testing.assert_allclose(answers["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_allclose(answers["probability"], probabilities[:, 1], atol=1e-5)
    assert np.ptp(answers["probability"]) > 1e-3  # not one answer for all


def test_classifiers_answer_alike_where_only_tensorflow_is(train, faces, tmp_path):
    # Enough to tell images apart, and not so much that rounding is blown up by large weights.
    bold = {"probe.strengths": [0.1], "training.learning_rate": 0.01}
    runs = {
        "probe": train("probe", **bold),
        "network": train(
            "network",
            mode="fine_tune",
            training__epochs=1,
            training__tasks="[{name: rotation}]",
            **bold,
        ),
        "module": train(
            "module", encoder__trunk="bigbigan_resnet50", encoder__weights="stand_in", **bold
        ),
    }
    for run in runs.values():
        # What they learnt in a second calls for 100, which makes all answers the same.
        run.write_temperatures(dict.fromkeys(("only", "best"), 0.5))
    folders = [tmp_path / "models" / name / "1" for name in runs]
    described = [export(run, folder) for run, folder in zip(runs.values(), folders, strict=True)]
    assert [one["checkpoint"] for one in described] == ["only", "best", "only"]
    assert [one["stand_in"] for one in described] == [False, False, True]
    images, files = pictures(100)
    answers, printed = asked_elsewhere(tmp_path, {"image_bytes": np.array(files)}, *folders)
    assert printed.count("refused:") == 3
    data = FaceData(faces)
    for found, run in zip(answers, runs.values(), strict=True):
        assert_same_as_trained(found, run, data, images)
    assert answers[0]["features"].shape == (100, 128) and answers[2]["features"].shape == (100, 64)


def test_settings_scores_and_labels_travel_along_without_the_images(train, tmp_path):
    run = train()
    evaluate_classifier.main([str(run.path)])
    settings = yaml.safe_load((run.path / "config.yaml").read_text())
    settings["data"]["path"] = "gone"
    (run.path / "config.yaml").write_text(yaml.safe_dump(settings))
    described = export(run, tmp_path / "model" / "3")
    extras = tmp_path / "model" / "3" / "assets.extra"
    assert described["kind"] == "classifier" and described["labels"] == ["real", "fake"]
    assert described["temperature"] == run.temperature("only")
    assert (described["side"], described["channels"]) == (16, 3)
    assert yaml.safe_load((extras / "config.yaml").read_text()) == settings
    assert json.loads((extras / "evaluation.json").read_text()) == run.evaluation()
    card = (tmp_path / "model" / "3" / "MODEL_CARD.md").read_text()
    assert card.startswith("# Model card: model, version 3\n")
    for scores in (run.evaluation(), run.evaluation()["videos"]):
        low, high = (scores[f"accuracy_{bound}"] for bound in ("low", "high"))
        assert f"{scores['accuracy']:.3f} [{low:.3f}, {high:.3f}]" in card
    # One request for each signature.
    records = tf.data.TFRecordDataset(str(extras / "tf_serving_warmup_requests"))
    assert sum(1 for _ in records) == 2


def test_a_model_without_a_score_is_warned_of(train, tmp_path, capsys):
    def warnings_of(version):
        capsys.readouterr()
        export(run, tmp_path / "model" / version)
        errors = capsys.readouterr().err.splitlines()
        return [line for line in errors if line.startswith("warning: ")]

    run = train()
    assert warnings_of("1") == [f"warning: {run.path} has no evaluation to go with the model"]
    assert "Not scored" in (tmp_path / "model" / "1" / "MODEL_CARD.md").read_text()
    evaluate_classifier.main([str(run.path)])
    assert warnings_of("2") == []


def test_the_checkpoint_can_be_chosen(train, tmp_path):
    run = train(mode="fine_tune", training__epochs=2, training__learning_rate=0.1)
    for version, choice in enumerate(("last", "best"), 1):
        out = tmp_path / "model" / str(version)
        described = export(run, out, "--checkpoint", choice)
        assert described["checkpoint"] == choice
        assert described["temperature"] == run.temperature(choice)
        weights = tf.train.load_checkpoint(str(out / "variables" / "variables"))
        trained = tf.train.load_checkpoint(str(run.chosen_checkpoint(choice) / "tensors"))
        sums = [
            sorted(
                float(np.abs(file.get_tensor(name)).sum())
                for name in file.get_variable_to_shape_map()
                if name.startswith(start) and "OPTIMIZER" not in name and "OBJECT" not in name
            )
            for file, start in ((weights, "kept"), (trained, "network"))
        ]
        assert sums[0] == sums[1] and len(sums[0]) > 3


def test_what_cannot_be_exported_is_one_line(train, tmp_path, capsys):
    neighbours, pretrained = (
        train("knn", probe__solver="knn"),
        train("bare", mode="pretrain", training__epochs=1, training__tasks="[{name: rotation}]"),
    )
    out = tmp_path / "model" / "1"
    assert "--probe.solver lbfgs" in refused(neighbours, out, capsys)
    assert "no class head" in refused(pretrained, out, capsys)
    assert not out.exists()


def test_a_mistake_is_one_line(train, tmp_path, capsys):
    run = train()
    assert "such as" in refused(run, tmp_path / "model", capsys)
    (tmp_path / "model" / "1").mkdir(parents=True)
    assert "model/2, or delete it" in refused(run, tmp_path / "model" / "1", capsys)
    nowhere = RunDirectory(tmp_path / "nowhere")
    assert "config.yaml" in refused(nowhere, tmp_path / "model" / "2", capsys)
    (run.path / "calibration.json").unlink()
    assert "to its end" in refused(run, tmp_path / "model" / "2", capsys)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", "{}"),
        ("evaluation_on_x.json", "[]"),
        ("environment.json", ""),
        ("environment.json", '{"versions": null}'),
    ],
)
def test_a_damaged_file_of_the_run_is_one_line_and_leaves_nothing(
    train, tmp_path, name, content, capsys
):
    run = train()
    (run.path / name).write_text(content)
    message = refused(run, tmp_path / "model" / "1", capsys)
    assert name in message and "again" in message
    assert list(tmp_path.glob("model/*")) == []


@pytest.fixture(scope="module")
def agent_run(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "agent"
    train_agent.main(
        [
            *("--environment.game", "breakout", "--environment.num_envs", "2", "--seed", "5"),
            *("--network.hidden_units", "16", "--replay.capacity", "1000", "--total_steps", "100"),
            *("--agent.learning_starts", "500", "--evaluation.curve_period", "0"),
            *("--logging.checkpoint_period", "100", "--agent.tasks", "[{name: rotation}]"),
            *("--agent.mode", "joint", "--run_dir", str(run_dir)),
        ]
    )
    return RunDirectory(run_dir)


def model_of(run):
    experiment = run.experiment(AgentExperiment)
    environment = agent_parts.make_environment(experiment.environment, 0, 1)
    agent = agent_parts.make_agent(experiment, environment)
    environment.close()
    checkpointing.load_weights(agent.model, run.chosen_checkpoint("last"))
    return agent.model


def test_an_agent_answers_alike_where_only_tensorflow_is(agent_run, tmp_path, caplog, recwarn):
    out = tmp_path / "breakout" / "1"
    described = export(agent_run, out)
    assert not caplog.messages  # nothing about names or types, which nobody can change
    assert not [one for one in recwarn if "StructuredValue" in str(one.message)]
    assert (described["kind"], described["model"]) == ("agent", "rotation")
    assert described["labels"] == ["NOOP", "FIRE", "RIGHT", "LEFT"]
    assert described["agent_steps"] >= 100
    assert "Not scored" in (out / "MODEL_CARD.md").read_text()
    # A few bright patches, not noise all over: a network that has learnt nothing answers that
    # with the same action each time.
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (100, 4, 4, 4), np.uint8)
    patches[generator.random(patches.shape) < 0.95] = 0
    frames = patches.repeat(21, 1).repeat(21, 2)
    ((answers,), _) = asked_elsewhere(tmp_path, {"frames": frames}, out)
    stacks = np.moveaxis(frames, -1, 1)[..., np.newaxis]
    q_values = model_of(agent_run)(stacks)["q"].numpy()
    np.testing.assert_allclose(answers["q_values"], q_values, atol=1e-5)
    # Of two actions whose values are nearly equal another processor may choose the other.
    second, best = np.sort(q_values, 1)[:, -2:].T
    is_clear = best - second > 1e-4
    assert is_clear.mean() > 0.9
    np.testing.assert_array_equal(answers["action"][is_clear], q_values.argmax(1)[is_clear])
    assert answers["action"].dtype == np.int64 and len(set(answers["action"])) > 1
    # TF-Agents' own form chooses the same actions; it needs TF-Agents' packages.
    policy = tf.saved_model.load(str(out / "policy"))
    assert int(policy.get_train_step()) == described["agent_steps"]
    batch = tf.constant([100])
    chosen = policy.signatures["action"](
        **{
            "0/discount": tf.ones(batch),
            "0/observation": tf.constant(stacks),
            "0/reward": tf.zeros(batch),
            "0/step_type": tf.ones(batch, tf.int32),
        }
    )
    chosen = chosen["action"].numpy()
    np.testing.assert_array_equal(chosen[is_clear], answers["action"][is_clear])


def test_the_random_agent_is_refused(tmp_path, capsys):
    run = RunDirectory(tmp_path / "random")
    train_agent.main(["--agent.kind", "random", "--run_dir", str(run.path)])
    assert "the Random agent" in refused(run, tmp_path / "model" / "1", capsys)
