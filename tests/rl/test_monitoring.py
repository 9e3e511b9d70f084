import csv
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from tfselfsup.rl.collector import Episode
from tfselfsup.rl.monitoring import (
    LearningCurve,
    MetricsWriter,
    ProgressBar,
    RecentMetrics,
    ShortEvaluation,
)
from tfselfsup.rl.training import EpisodeEnded, Progress, Stepped, Updated
from tfselfsup.runs import RunDirectory

COLUMNS = ("loss/q", "loss/rotation")
SETTINGS = {"seed": 3, "agent.learning_rate": 2e-4, "environment.game": "pong"}
ALL_COLUMNS = [
    "agent_steps",
    "updates",
    "episodes",
    "hours",
    "steps_per_second",
    "epsilon",
    "score",
    "episode_length",
    "evaluation_score",
    *COLUMNS,
]


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return RunDirectory(tmp_path)


class Session:
    """A made-up training: every step takes `seconds`, and its listeners hear of it."""

    def __init__(self, *listeners, total_steps: int, num_envs: int = 1, seconds: float = 0.1):
        self.progress = Progress()
        self._listeners = listeners
        self._total_steps = total_steps
        self._num_envs = num_envs
        self._seconds = seconds

    def step(self, *updates: dict) -> None:
        before = self.progress.agent_steps
        self.progress.agent_steps += self._num_envs
        self.progress.seconds += self._seconds
        for metrics in updates:
            self.progress.updates += 1
            self._tell(Updated(metrics))
        finished = self.progress.agent_steps >= self._total_steps
        self._tell(Stepped(self.progress, before, finished))

    def end_game(self, score: float, length: int) -> None:
        episode = Episode(score, length)
        self.progress.add(episode)
        self._tell(EpisodeEnded(episode))

    def run_to_end(self) -> None:
        while self.progress.agent_steps < self._total_steps:
            self.step()

    def _tell(self, event) -> None:
        for listener in self._listeners:
            listener(event)


def make_writer(run, period, recent, histograms_of=None) -> MetricsWriter:
    return MetricsWriter(run, period, recent, COLUMNS, SETTINGS, histograms_of)


def session_with_metrics(run, period, **settings) -> Session:
    recent = RecentMetrics()
    return Session(recent, make_writer(run, period, recent), **settings)


def column(run: RunDirectory, name: str) -> list[str]:
    return [row[name] for row in run.metrics()]


# RecentMetrics and MetricsWriter


@pytest.mark.parametrize(
    "num_envs, total_steps, rows",
    [
        (1, 60, [20, 40, 60]),  # the last one is not written twice
        (1, 50, [20, 40, 50]),  # and there is one for the end
        (16, 96, [32, 48, 64, 80, 96]),  # 20, 40, 60 and 80 are jumped over or hit
        (50, 150, [50, 100, 150]),  # several periods in one step make one row
    ],
)
def test_there_is_a_row_for_each_period_and_the_end(run, num_envs, total_steps, rows):
    session_with_metrics(run, 20, total_steps=total_steps, num_envs=num_envs).run_to_end()
    assert column(run, "agent_steps") == [str(steps) for steps in rows]


def test_a_row_holds_the_progress(run):
    session = session_with_metrics(run, 4, total_steps=4)
    session.end_game(-21.0, 800)
    session.end_game(-18.0, 1001)
    session.progress.epsilon = 0.123456789
    session.progress.seconds = 3599.6
    for _ in range(4):
        session.step({"loss/q": 0.5})
    (row,) = run.metrics()
    assert list(row) == ALL_COLUMNS
    assert {name: row[name] for name in ("agent_steps", "updates", "episodes")} == {
        "agent_steps": "4",
        "updates": "4",
        "episodes": "2",
    }
    assert float(row["hours"]) == 1.0
    assert float(row["score"]) == -19.5 and float(row["episode_length"]) == 900.5
    assert row["epsilon"] == "0.123457"


def test_losses_are_means_over_the_updates_since_the_last_row(run):
    session = session_with_metrics(run, 2, total_steps=4)
    session.step({"loss/q": 1.0, "loss/rotation": 10.0}, {"loss/q": 2.0, "loss/rotation": 30.0})
    session.step({"loss/q": 6.0})  # not every update trains every loss
    session.step({"loss/q": 7.0, "loss/rotation": 8.0})
    session.step({"loss/q": 9.0, "unknown": 1.0})
    assert [float(value) for value in column(run, "loss/q")] == [3.0, 8.0]
    assert [float(value) for value in column(run, "loss/rotation")] == [20.0, 8.0]


def test_columns_are_always_the_same(run):
    # Before the first update, the first game and the first evaluation nothing is known.
    recent = RecentMetrics()
    session = Session(recent, make_writer(run, 1, recent), total_steps=4)
    session.step()
    session.end_game(1.0, 2)
    session.step({"loss/q": 0.25})
    recent.evaluation_score = 3.0
    session.step({"loss/rotation": 0.125})
    session.step()
    lines = list(csv.reader((run.path / "metrics.csv").read_text().splitlines()))
    assert lines[0] == ALL_COLUMNS
    assert all(len(line) == len(ALL_COLUMNS) for line in lines)
    assert column(run, "score") == ["", "1.0", "1.0", "1.0"]
    assert column(run, "evaluation_score") == ["", "", "3.0", ""]
    assert column(run, "loss/q") == ["", "0.25", "", ""]
    assert column(run, "loss/rotation") == ["", "", "0.125", ""]


def test_the_rate_is_that_since_the_last_row(run):
    session = session_with_metrics(run, 20, total_steps=60, num_envs=10, seconds=0.5)
    session.step()
    session.step()
    session._seconds = 0.25
    session.run_to_end()
    assert [float(value) for value in column(run, "steps_per_second")] == [20.0, 40.0, 40.0]


def test_the_rate_of_a_resumed_run_leaves_out_what_came_before(run):
    session = session_with_metrics(run, 20, total_steps=1040, num_envs=10, seconds=0.5)
    session.progress = Progress(agent_steps=1000, seconds=7200.0)
    session.run_to_end()
    assert column(run, "agent_steps") == ["1020", "1040"]
    assert [float(value) for value in column(run, "steps_per_second")] == [20.0, 20.0]


def test_the_rate_of_a_row_at_the_first_step_is_right_or_missing(run):
    session_with_metrics(run, 20, total_steps=50, num_envs=50, seconds=0.5).run_to_end()
    assert column(run, "steps_per_second") in ([""], ["100.0"])


def scalars_of(run) -> dict[str, dict[int, float]]:
    """What TensorBoard reads: the values by name and step."""
    accumulator = EventAccumulator(str(run.path), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        name: {
            event.step: float(tf.make_ndarray(event.tensor_proto))
            for event in accumulator.Tensors(name)
        }
        for name in accumulator.Tags()["tensors"]
        if accumulator.SummaryMetadata(name).plugin_data.plugin_name == "scalars"
    }


def histograms_of(run) -> dict[str, list[int]]:
    accumulator = EventAccumulator(str(run.path), size_guidance={"tensors": 0})
    accumulator.Reload()
    return {
        name: [event.step for event in accumulator.Tensors(name)]
        for name in accumulator.Tags()["tensors"]
        if accumulator.SummaryMetadata(name).plugin_data.plugin_name == "histograms"
    }


def test_tensorboard_has_the_same_scalars(run):
    recent = RecentMetrics()
    session = Session(recent, make_writer(run, 2, recent), total_steps=5, num_envs=1)
    session.step({"loss/q": 1 / 3})
    session.step({"loss/q": 2 / 3})
    session.end_game(-20.0, 1234)
    session.step({"loss/q": 5.0, "loss/rotation": 1.375})
    recent.evaluation_score = -7.5
    session.run_to_end()
    expected = {}
    for row in run.metrics():
        for name, value in row.items():
            if value:
                expected.setdefault(name, {})[int(row["agent_steps"])] = float(value)
    found = scalars_of(run)
    assert expected["evaluation_score"] == {4: -7.5} and expected["score"].keys() == {4, 5}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-6), name  # TensorBoard has float32
    assert histograms_of(run) == {}


def test_histograms_are_of_the_weights_that_are_trained(run):
    model = tf.keras.Sequential([tf.keras.layers.Dense(2, name="trained", input_shape=(3,))])
    recent = RecentMetrics()
    Session(make_writer(run, 2, recent, model), total_steps=4).run_to_end()
    assert {name.removesuffix(":0"): steps for name, steps in histograms_of(run).items()} == {
        "trained/kernel": [2, 4],
        "trained/bias": [2, 4],
    }


def test_rows_are_there_as_soon_as_they_are_written(run):
    # Whoever watches the run, or a kill, finds all of them.
    session = session_with_metrics(run, 2, total_steps=100)
    session.step()
    session.step()
    assert column(run, "agent_steps") == ["2"]
    assert list(scalars_of(run)["updates"]) == [2]


def tensors_of(run, plugin):
    """What TensorBoard reads for one of its plugins: the steps and values by name."""
    accumulator = EventAccumulator(str(run.path), size_guidance={"tensors": 0}).Reload()
    return {
        name: [
            (event.step, tf.make_ndarray(event.tensor_proto)) for event in accumulator.Tensors(name)
        ]
        for name in accumulator.Tags()["tensors"]
        if accumulator.SummaryMetadata(name).plugin_data.plugin_name == plugin
    }


def test_tensorboard_has_the_settings_to_sort_by(run):
    recent = RecentMetrics()
    Session(make_writer(run, 2, recent), total_steps=2).run_to_end()
    accumulator = EventAccumulator(str(run.path)).Reload()
    metadata = accumulator.SummaryMetadata("_hparams_/session_start_info")
    content = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    found = {
        name: getattr(value, value.WhichOneof("kind"))
        for name, value in content.session_start_info.hparams.items()
    }
    assert found == SETTINGS


def test_tensorboard_has_frames_of_each_evaluation(run):
    recent = RecentMetrics()
    curve, _ = curve_of(20, Evaluator(-20.0, -10.0), recent)
    Session(recent, curve, make_writer(run, 10, recent), total_steps=40).run_to_end()
    ((name, events),) = tensors_of(run, "images").items()
    assert name == "game" and [step for step, _ in events] == [20, 40]
    for number, (_, (width, height, *pictures)) in enumerate(events, 1):
        assert (int(width), int(height), len(pictures)) == (4, 4, 2)
        assert (tf.io.decode_png(pictures[0]).numpy() == number).all()


# LearningCurve


class Evaluator:
    """Gives made-up scores, and counts."""

    def __init__(self, *means):
        self.means = list(means)
        self.played = 0

    def __call__(self) -> ShortEvaluation:
        mean = self.means[self.played]
        self.played += 1
        frames = np.full((2, 4, 4, 1), self.played, np.uint8)
        return ShortEvaluation(np.array([mean - 1, mean + 1]), frames)


def curve_of(period, evaluator, recent, best_score=float("-inf")):
    """A learning curve, and the steps and scores at which it found a best checkpoint."""
    best = []
    curve = LearningCurve(
        period,
        evaluator,
        recent,
        lambda progress, score: best.append((progress.agent_steps, score)),
        best_score,
    )
    return curve, best


@pytest.mark.parametrize(
    "period, num_envs, evaluations", [(10, 1, 3), (10, 4, 3), (100, 1, 1), (25, 1, 1), (0, 1, 0)]
)
def test_evaluations_are_played_at_each_period_and_the_end(period, num_envs, evaluations):
    evaluator = Evaluator(*range(10))
    curve, _ = curve_of(period, evaluator, RecentMetrics())
    session = Session(curve, total_steps=25, num_envs=num_envs)
    session.end_game(0.0, 1)
    session.step({"loss/q": 0.0})
    assert evaluator.played == 0
    session.run_to_end()
    assert evaluator.played == evaluations


@pytest.mark.parametrize(
    "best_before, expected",
    [
        (float("-inf"), [(10, -20.0), (30, -10.0), (60, 9.0)]),
        (-15.0, [(30, -10.0), (60, 9.0)]),
        (9.0, []),
    ],
)
def test_only_a_better_score_is_saved(best_before, expected):
    evaluator = Evaluator(-20.0, -21.0, -10.0, -10.0, -12.0, 9.0)
    curve, best = curve_of(10, evaluator, RecentMetrics(), best_before)
    Session(curve, total_steps=60).run_to_end()
    assert evaluator.played == 6
    assert best == expected


def test_an_evaluation_is_in_the_row_of_its_step(run):
    recent = RecentMetrics()
    curve, _ = curve_of(20, Evaluator(-20.0, -10.0, 0.0), recent)
    session = Session(recent, curve, make_writer(run, 10, recent), total_steps=50, num_envs=5)
    session.run_to_end()
    assert column(run, "agent_steps") == ["10", "20", "30", "40", "50"]
    assert column(run, "evaluation_score") == ["", "-20.0", "", "-10.0", "0.0"]


def test_an_evaluation_between_two_rows_is_in_the_next(run):
    recent = RecentMetrics()
    curve, _ = curve_of(15, Evaluator(-20.0, -10.0, 0.0), recent)
    session = Session(recent, curve, make_writer(run, 10, recent), total_steps=40)
    session.run_to_end()
    assert column(run, "evaluation_score") == ["", "-20.0", "-10.0", "0.0"]


# ProgressBar


def test_the_bar_shows_the_steps_and_closes(capsys):
    bar = ProgressBar(50, Progress())
    session = Session(bar, total_steps=50, num_envs=10)
    session.end_game(-20.0, 800)
    session.end_game(-19.5, 800)
    session.progress.epsilon = 0.25
    session.step({"loss/q": 1.0})
    session.run_to_end()
    bar.close()
    shown = capsys.readouterr().err
    last = shown.split("\r")[-1]
    assert "100%" in last and "50/50" in last
    assert "agent steps/s" in last
    assert "score=-19.8" in last and "epsilon=0.25" in last
    assert last.endswith("\n")  # a closed bar, so that what is printed next has its own line


def test_the_bar_of_a_resumed_run_begins_where_the_run_does(capsys):
    progress = Progress(agent_steps=40)
    bar = ProgressBar(50, progress)
    assert "80%" in capsys.readouterr().err
    session = Session(bar, total_steps=50)
    session.progress = dataclasses.replace(progress)
    session.run_to_end()
    bar.close()
    last = capsys.readouterr().err.split("\r")[-1]
    assert "50/50" in last and "score=none yet" in last


def test_the_bar_is_full_if_the_last_step_goes_beyond_the_end(capsys):
    # The games side by side seldom end together on the last step.
    bar = ProgressBar(50, Progress())
    Session(bar, total_steps=50, num_envs=16).run_to_end()
    bar.close()
    assert "100%" in capsys.readouterr().err.split("\r")[-1]
