import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from skimage import data as photographs

from tests.programs import conftest
from tfselfsup.programs import attribute, train_agent, train_classifier
from tfselfsup.runs import RunDirectory

pytestmark = pytest.mark.usefixtures("one_tensorflow")

SMALL = {
    "encoder.trunk": "two_layer_cnn",
    "encoder.side": 16,
    "probe.strengths": "[0.01, 1]",
    "scoring.resamples": 50,
}
FEW = ("--copies", "2", "--count", "3")
GAME = (
    *("--environment.game", "breakout", "--environment.num_envs", "2", "--seed", "5"),
    *("--environment.max_episode_steps", "60", "--network.hidden_units", "16"),
    *("--replay.capacity", "1000", "--total_steps", "100", "--agent.learning_starts", "500"),
    *("--logging.checkpoint_period", "100", "--evaluation.curve_period", "0"),
)


@pytest.fixture(autouse=True)
def _threads_as_they_are(monkeypatch):
    # The threads of a process can be set once only.
    monkeypatch.setattr(attribute, "start_tensorflow", lambda runtime: None)


@pytest.fixture(scope="module")
def probe(faces, one_tensorflow, tmp_path_factory):
    """The run of a probe, which is not to be written to."""
    folder = tmp_path_factory.mktemp("runs")
    given = {"data.path": faces, "cache": folder / "cache", **SMALL}
    options = [text for key, value in given.items() for text in (f"--{key}", str(value))]
    train_classifier.main([*options, "--run_dir", str(folder / "probe")])
    return RunDirectory(folder / "probe")


@pytest.fixture
def run(probe, tmp_path):
    """A copy of it, to be written to."""
    return RunDirectory(shutil.copytree(probe.path, tmp_path / "probe"))


@pytest.fixture(scope="module")
def agent(one_tensorflow, tmp_path_factory):
    """The run of an agent with a task, which has hardly learnt."""
    run_dir = tmp_path_factory.mktemp("runs") / "agent"
    tasks = ("--agent.tasks", "[{name: rotation}]", "--agent.mode", "joint")
    train_agent.main([*GAME, *tasks, "--run_dir", str(run_dir)])
    return run_dir


def explain(run_dir, *arguments, few=FEW) -> Path:
    attribute.main([str(run_dir), *few, *map(str, arguments)])
    name = dict(zip(arguments, arguments[1:], strict=False))
    folder = Path(name.get("--out", Path(run_dir) / "figures"))
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


def arrays(folder):
    with np.load(folder / "maps.npz", allow_pickle=False) as file:
        return dict(file)


def refused(capsys, *arguments) -> str:
    return conftest.refused(lambda: attribute.main([*map(str, arguments)]), capsys)


def test_a_probe_is_explained_on_examples_of_its_test_part(run, capsys):
    folder = explain(run.path)
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)
    assert folder == run.path / "figures" / "smoothgrad_label_mean_abs"
    found = arrays(folder)
    assert found["frames"].shape == found["maps"].shape == (3, 1, 16, 16, 3)
    assert found["frames"].dtype == np.uint8 and found["maps"].dtype == np.float32
    # Of both classes, one of which has no logits of its own in such a probe.
    assert (found["maps"].max((1, 2, 3, 4)) > 0).all()
    pictures = sorted(folder.glob("*.png"))
    assert len(pictures) == 3
    assert cv2.imread(str(pictures[0])).shape == (224, 3 * 224 + 8, 3)
    settings = json.loads((folder / "settings.json").read_text())
    assert (settings["output"], settings["form"]) == ("label", "mean_abs")
    assert settings["target_names"] == ["real", "fake"]


def test_the_same_seed_gives_the_same_maps(probe, tmp_path):
    one, same, other = (
        arrays(explain(probe.path, "--out", tmp_path / name, "--seed", seed, "--part", "train"))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    for name, values in one.items():
        np.testing.assert_array_equal(same[name], values)
    assert not np.array_equal(one["maps"], other["maps"])


def test_image_files_are_explained_without_the_data_set(run, tmp_path):
    files = []
    for name in ("astronaut", "chelsea"):
        files.append(tmp_path / f"{name}.png")
        cv2.imwrite(str(files[-1]), getattr(photographs, name)()[..., ::-1])
    config = run.path / "config.yaml"
    lines = config.read_text().splitlines(keepends=True)
    gone = ["  path: gone\n" if line.startswith("  path:") else line for line in lines]
    config.write_text("".join(gone))
    folder = explain(run.path, "--images", *files, "--target", "fake", few=("--copies", "2"))
    found = arrays(folder)
    assert found["names"].tolist() == ["astronaut", "chelsea"]
    assert found["targets"].tolist() == [1, 1]
    assert (folder / "001_chelsea.png").is_file()
    # RGB, not BGR: the astronaut's suit is orange.
    red, _, blue = found["frames"][0].mean((0, 1, 2))
    assert red > blue + 10


def test_a_tasks_head_is_explained_and_the_network_is_left_as_it_was(train):
    run = train(
        mode="fine_tune", training__epochs=1, training__tasks="[{name: rotation}]"
    )  # with two heads
    before = {
        path: path.read_bytes() for path in run.path.rglob("checkpoints/**/*") if path.is_file()
    }
    folder = explain(run.path, "--output", "rotation", "--target", 2, "--form", "squared")
    assert folder.name == "smoothgrad_rotation_squared"
    assert arrays(folder)["targets"].tolist() == [2, 2, 2]
    assert {path: path.read_bytes() for path in before} == before


def test_both_checks_are_drawn(run, capsys):
    folder = explain(run.path, "--sanity")
    layers = pd.read_csv(folder / "randomised_layers.csv")
    assert layers["layer"][:2].tolist() == ["original", "label"]
    curves = pd.read_csv(folder / "deletion_insertion.csv")
    assert curves["score"].between(0, 1).all()  # probabilities
    for name in ("randomised_layers", "deletion_insertion"):
        assert cv2.imread(str(folder / f"{name}.png")) is not None
    assert "| deletion" in capsys.readouterr().out


def test_an_agent_is_explained_on_a_game_it_plays(agent):
    folder = explain(agent, "--steps", 30)
    assert folder.name == "smoothgrad_q_mean_abs"
    found = arrays(folder)
    assert found["maps"].shape == (3, 4, 84, 84, 1)
    assert found["names"].tolist() == ["step_0", "step_14", "step_29"]
    (picture,) = folder.glob("002_*.png")
    # Four frames, 84x84 enlarged 3 times.
    assert cv2.imread(str(picture)).shape == (4 * 252 + 3 * 4, 3 * 252 + 2 * 4, 3)


@pytest.mark.parametrize("output", ["value", "rotation"])
def test_other_outputs_of_an_agent(agent, output):
    folder = explain(agent, "--steps", 5, "--output", output)
    assert folder.name == f"smoothgrad_{output}_mean_abs"
    assert arrays(folder)["maps"][-1].max() > 0


def test_a_game_is_filmed_with_its_maps(agent):
    folder = explain(agent, "--steps", 12, "--video", few=("--copies", "1", "--batch_size", "5"))
    capture = cv2.VideoCapture(str(folder / "game.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 3 * 252 + 2 * 4
    capture.release()


def test_a_failure_leaves_the_older_maps(run, monkeypatch):
    folder = explain(run.path)
    before = arrays(folder)["maps"]

    def failing(*arguments):
        raise KeyboardInterrupt

    from tfselfsup.attribution import files

    monkeypatch.setattr(files, "write_settings", failing)
    with pytest.raises(KeyboardInterrupt):
        explain(run.path, "--seed", 3)
    np.testing.assert_array_equal(arrays(folder)["maps"], before)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (("--output", "rotation"), "expected an output among label, got 'rotation'"),
        (("--target", "forged"), "expected a target among predicted, 0, 1, real, fake, got"),
        (("--steps", 5), "expected no --steps for a run of ClassifierExperiment"),
        (("--video",), "expected no --video"),
        (("--images", "nowhere.png"), "nowhere.png"),
        (("--images", __file__), "expected an image file, got"),
        (("--images", "a.png", "--part", "test"), "expected --images or --part, got both"),
        (("--form", "mean"), "mean_abs"),
        (("--copies", "0"), "copies"),
        (("--noise", "-1"), "noise"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(probe, capsys, arguments, expected):
    assert expected in refused(capsys, probe.path, *arguments)
    assert list(probe.path.glob("figures/*")) == []


def test_runs_without_a_network_are_refused(train, tmp_path, capsys):
    assert "--probe.solver lbfgs" in refused(capsys, train(probe__solver="knn").path)
    random = tmp_path / "random"
    train_agent.main([*GAME, "--agent.kind", "random", "--run_dir", str(random)])
    assert "the Random agent" in refused(capsys, random)
    assert "config.yaml" in refused(capsys, tmp_path)


def test_options_of_classifiers_are_refused_for_agents(agent, tmp_path, capsys):
    run_dir = shutil.copytree(agent, tmp_path / "agent")
    assert "expected no --part" in refused(capsys, run_dir, "--part", "test")
    message = refused(capsys, run_dir, "--steps", 2, "--output", "label")
    assert "expected an output among q, value, rotation, got 'label'" in message
