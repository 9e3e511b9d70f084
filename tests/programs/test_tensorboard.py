import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request

import cv2
import numpy as np
import pytest

from tfselfsup.programs import train_agent

pytestmark = pytest.mark.usefixtures("one_tensorflow")

AGENT = {
    "total_steps": 60,
    "environment.num_envs": 2,
    "environment.max_episode_steps": 12,
    "network.hidden_units": 8,
    "agent.batch_size": 4,
    "agent.learning_starts": 20,
    "replay.capacity": 200,
    "logging.period": 30,
    "logging.checkpoint_period": 0,
    "logging.replay_period": 0,
    "evaluation.curve_period": 30,
    "evaluation.curve_episodes": 1,
}


class Board:
    """TensorBoard's own server, asked through its HTTP interface as its page does."""

    def __init__(self, folder):
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
        command += ["--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
        # It answers only when everything is read, and need not be asked again and again.
        command += ["--reload_task", "blocking", "--reload_interval", "0"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self._process.stderr:
            if found := re.search(r"at (http://\S+?)/? \(", line):
                self._address = found[1]
                return
        raise AssertionError("TensorBoard ended without an address")

    def get(self, path, **query):
        with self._open(f"{path}?{urllib.parse.urlencode(query)}") as answer:
            return json.load(answer)

    def post(self, path, content):
        with self._open(path, json.dumps(content).encode()) as answer:
            return json.load(answer)

    def images(self, run, tag):
        """The pictures of a tag: for each number of a picture those of the steps."""
        count = self.get("images/tags")[run][tag]["samples"]
        return [
            [
                self._picture(found["query"])
                for found in self.get("images/images", run=run, tag=tag, sample=number)
            ]
            for number in range(count)
        ]

    def _picture(self, query):
        with self._open(f"images/individualImage?{query}") as answer:
            content = np.frombuffer(answer.read(), np.uint8)
        return cv2.imdecode(content, cv2.IMREAD_UNCHANGED)

    def _open(self, path, content=None):
        request = urllib.request.Request(
            f"{self._address}/data/plugin/{path}", content, {"Content-Type": "application/json"}
        )
        return urllib.request.urlopen(request, timeout=60)

    def stop(self):
        self._process.terminate()
        self._process.communicate(timeout=30)


@pytest.fixture
def show(tmp_path):
    """Starts TensorBoard on the runs of this test."""
    boards = []

    def show():
        boards.append(Board(tmp_path))
        return boards[-1]

    yield show
    for board in boards:
        board.stop()


def sessions(board, metric):
    """The settings and a metric of every run, as the HParams page lists them."""
    name = {"group": "", "tag": metric}
    wanted = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [{"metric": name, "order": "ORDER_DESC"}],
        "startIndex": 0,
        "sliceSize": 10,
    }
    groups = board.post("hparams/session_groups", wanted)["sessionGroups"]
    return [
        (
            group["hparams"],
            {value["name"]["tag"]: value["value"] for value in group["metricValues"]},
        )
        for group in groups
    ]


def test_classifiers_can_be_watched_and_sorted_by_their_settings(train, show):
    settings = {"mode": "fine_tune", "training__batch_size": 32}
    runs = {
        rate: train(f"rate_{rate}", training__learning_rate=rate, **settings, **more)
        for rate, more in {
            1e-3: {"training__epochs": 2, "training__tasks": "[{name: rotation, weight: 0.5}]"},
            2e-3: {"training__epochs": 1},
        }.items()
    }
    train("probe")
    board = show()
    tags = board.get("scalars/tags")
    assert set(tags) == {"rate_0.001", "rate_0.002", "probe"}
    for run in runs.values():
        assert set(tags[run.path.name]) == run.metrics()[0].keys()
    rows = runs[1e-3].metrics()
    for name in ("loss/label", "accuracy/rotation", "learning_rate", "val_auc/label"):
        shown = board.get("scalars/scalars", run="rate_0.001", tag=name)
        assert [step for _, step, _ in shown] == [1, 2]
        written = [float(row[name]) for row in rows]
        assert [value for *_, value in shown] == pytest.approx(written, rel=1e-5)
    assert set(tags["probe"]) == {"val_accuracy", "val_auc", "val_log_loss"}

    listed = sessions(board, "val_loss/label")
    assert all(settings["encoder.trunk"] == "two_layer_cnn" for settings, _ in listed)
    # By falling loss; those that have none come last.
    assert [settings["mode"] for settings, _ in listed] == ["fine_tune", "fine_tune", "probe"]
    assert listed[0][1]["val_loss/label"] >= listed[1][1]["val_loss/label"]
    for settings, found in listed[:2]:
        run = runs[settings["training.learning_rate"]]
        last = float(run.metrics()[-1]["val_loss/label"])
        assert found["val_loss/label"] == pytest.approx(last, rel=1e-5)
    assert [settings.get("training.tasks.rotation") for settings, _ in listed].count(0.5) == 1

    for name in tags:
        mistakes, explained = (
            board.images(name, tag) for tag in ("misclassified", "misclassified_explained")
        )
        assert len(mistakes) == len(explained) > 0
        for (picture, *_), (beside, *_) in zip(mistakes, explained, strict=True):
            assert picture.shape == (248, 224, 3) and beside.shape[0] == 248
            # The same image stands to the left, and its map over a grey copy of it to the right.
            middle = beside.shape[1] // 2
            left = cv2.resize(beside[:224, : middle - 1], (224, 224)).astype(int)
            assert np.abs(left - picture[:224]).mean() < 6
            assert np.abs(left - beside[:224, -224:].astype(int)).mean() > 12


def test_a_pretraining_has_no_class_to_be_wrong_about(train, tmp_path):
    tasks = {"training__tasks": "[{name: rotation}]", "training__epochs": 1}
    run = train(mode="pretrain", **tasks)
    (events,) = run.path.glob("events.out.*")
    assert b"misclassified" not in events.read_bytes()


def test_neighbours_that_vote_are_shown_without_an_explanation(train):
    run = train(probe__solver="knn")
    (events,) = run.path.glob("events.out.*")
    assert b"misclassified" in events.read_bytes()
    assert b"misclassified_explained" not in events.read_bytes()


def test_agents_show_a_game_and_their_settings(tmp_path, show):
    options = [text for name, value in AGENT.items() for text in (f"--{name}", str(value))]
    train_agent.main([*options, "--run_dir", str(tmp_path / "agent")])
    board = show()
    ((settings, metrics),) = sessions(board, "evaluation_score")
    assert settings["environment.game"] == "pong" and settings["agent.batch_size"] == 4
    assert "evaluation_score" in metrics
    shown = board.get("scalars/scalars", run="agent", tag="evaluation_score")
    frames = board.images("agent", "game")
    assert len(frames) == 4 and [len(steps) for steps in frames] == [len(shown)] * 4
    assert all(picture.shape[:2] == (84, 84) for steps in frames for picture in steps)
    # It moves.
    assert (frames[0][0] != frames[3][0]).any()
