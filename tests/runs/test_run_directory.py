import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

import tfselfsup
from tfselfsup.config import AgentExperiment, ClassifierExperiment, TaskConfig
from tfselfsup.runs import RunDirectory, locked, written_aside


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.start(AgentExperiment())
    return run


def write_folder(path: Path, *names: str) -> None:
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_text(name)


def names_in(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def changed(experiment=None, **keys) -> AgentExperiment:
    """An experiment with other settings; `agent__gamma` stands for agent.gamma."""
    experiment = experiment or AgentExperiment()
    for key, value in keys.items():
        section, _, name = key.rpartition("__")
        if section:
            value = dataclasses.replace(getattr(experiment, section), **{name: value})
        experiment = dataclasses.replace(experiment, **{section or key: value})
    return experiment


# written_aside


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "file.txt"
    with written_aside(path) as aside:
        aside.write_text("half")
        assert not path.exists()
        assert aside.parent == path.parent  # a rename works inside one file system only
        aside.write_text("whole")
    assert path.read_text() == "whole"
    assert names_in(tmp_path) == {"file.txt"}


def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old, and longer")
    with written_aside(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old, and longer"
    assert path.read_text() == "new"
    assert names_in(tmp_path) == {"file.txt"}


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "folder"
    with written_aside(path) as aside:
        write_folder(aside, "a")
        assert not path.exists()
    assert names_in(path) == {"a"}
    assert names_in(tmp_path) == {"folder"}


def test_a_folder_is_replaced_and_not_merged(tmp_path):
    path = tmp_path / "folder"
    write_folder(path, "a", "b")
    with written_aside(path) as aside:
        write_folder(aside, "c")
        assert names_in(path) == {"a", "b"}
    assert names_in(path) == {"c"}
    assert names_in(tmp_path) == {"folder"}


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    path = tmp_path / "folder"
    write_folder(path, "a")
    with (
        pytest.raises(IsADirectoryError, match="expected a file or nothing"),
        written_aside(path) as aside,
    ):
        aside.write_text("new")
    assert names_in(path) == {"a"} and names_in(tmp_path) == {"folder"}


def test_a_folder_that_was_there_outlives_its_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (Path("."), Path("link"), tmp_path):
        with pytest.raises(ZeroDivisionError), locked(folder, "is taken"):
            raise ZeroDivisionError
        assert folder.is_dir()
    with locked(Path("new"), "is taken"):
        pass
    assert not Path("new").exists()
    with locked(Path("new"), "is taken"):
        Path("new").rmdir()


def test_a_link_to_a_folder_is_replaced_and_the_folder_kept(tmp_path):
    write_folder(tmp_path / "elsewhere", "a")
    path = tmp_path / "folder"
    for _ in range(2):
        path.symlink_to(tmp_path / "elsewhere")
        with written_aside(path) as aside:
            write_folder(aside, "b")
        assert names_in(path) == {"b"} and names_in(tmp_path / "elsewhere") == {"a"}
        (path / "b").unlink()
        path.rmdir()
    assert names_in(tmp_path) == {"elsewhere"}


@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_leaves_the_old_file(tmp_path, exists):
    path = tmp_path / "file.txt"
    if exists:
        path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_aside(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert names_in(tmp_path) == ({"file.txt"} if exists else set())
    if exists:
        assert path.read_text() == "old"


@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_leaves_the_old_folder(tmp_path, exists):
    path = tmp_path / "folder"
    if exists:
        write_folder(path, "a", "b")
    with pytest.raises(ZeroDivisionError), written_aside(path) as aside:
        write_folder(aside, "c")
        raise ZeroDivisionError
    assert names_in(tmp_path) == ({"folder"} if exists else set())
    if exists:
        assert names_in(path) == {"a", "b"}


def test_what_a_kill_left_is_cleaned(tmp_path):
    file, folder = tmp_path / "file.txt", tmp_path / "folder"
    (tmp_path / "file.txt.writing").write_text("half")
    write_folder(folder, "old")
    write_folder(tmp_path / "folder.writing", "half")
    write_folder(tmp_path / "folder.replaced", "older")
    with written_aside(file) as aside:
        assert not aside.exists()
        aside.write_text("whole")
    with written_aside(folder) as aside:
        write_folder(aside, "new")  # which needs that there is none
    assert names_in(folder) == {"new"}
    assert names_in(tmp_path) == {"file.txt", "folder"}


# Beginning a run


def test_a_run_begins_with_its_settings(tmp_path):
    run = RunDirectory(tmp_path / "deep" / "run")
    assert not run.path.exists()  # a mere path makes nothing
    run.start(changed(seed=5))
    assert names_in(run.path) == {"config.yaml", "environment.json"}
    assert RunDirectory.existing(run.path).experiment().seed == 5


@pytest.mark.parametrize(
    "experiment",
    [
        AgentExperiment(),
        changed(seed=9, agent__learning_rate=1e-5, agent__double_q=False, environment__num_envs=3),
        changed(
            agent__tasks=(
                TaskConfig("rotation"),
                TaskConfig(
                    "frame_order",
                    0.25,
                    {"classes": 12, "share": 2.5, "flag": False, "text": "slow"},
                ),
            ),
            agent__mode="pretrain",
            agent__pretrain_updates=7,
        ),
    ],
)
def test_the_settings_reload_to_an_equal_experiment(tmp_path, experiment):
    run = RunDirectory(tmp_path)
    run.start(experiment)
    assert run.experiment() == experiment
    run.start(experiment)  # the same run
    assert run.experiment() == experiment


@pytest.mark.parametrize(
    "new, key, old_value, new_value",
    [
        (changed(agent__gamma=0.5), "agent.gamma", "0.99", "0.5"),
        (changed(seed=1), "seed", "0", "1"),
        (changed(environment__game="breakout"), "environment.game", "pong", "breakout"),
        (changed(agent__tasks=(TaskConfig("jigsaw"),)), "agent.tasks", "()", "jigsaw"),
        (changed(replay__capacity=7), "replay.capacity", "10000", "7"),
        (changed(exploration__epsilon_final=0.5), "exploration.epsilon_final", "0.01", "0.5"),
        (changed(network__hidden_units=8), "network.hidden_units", "256", "8"),
        # One that may change does not hide one that may not.
        (changed(total_steps=1, agent__gamma=0.5), "agent.gamma", "0.99", "0.5"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_written(run, new, key, old_value, new_value):
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    with pytest.raises(ValueError) as error:
        run.start(new)
    message = str(error.value)
    assert "\n" not in message and str(run.path) in message
    old, _, got = message.partition(", got ")
    assert key in old and old_value in old and new_value in got
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before


@pytest.mark.parametrize(
    "new",
    [
        changed(total_steps=7),
        changed(logging__period=7, logging__keep_checkpoints=5),
        changed(evaluation__episodes=3, evaluation__curve_period=0),
        changed(runtime__intra_op_threads=4),
    ],
)
def test_what_changes_no_training_may_change(run, new):
    run.start(new)
    assert run.experiment() == new


def test_a_folder_without_settings_is_no_run(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match=r"expected a run directory with a config\.yaml") as e:
            RunDirectory.existing(path)
        assert str(path) in str(e.value) and "\n" not in str(e.value)


def test_the_environment_says_what_ran(tmp_path, monkeypatch):
    monkeypatch.setenv("REGISTRY_TOKEN", "a-secret-of-the-environment")
    monkeypatch.setattr(sys, "argv", ["/somebody/home/bin/train_agent", "--seed", "1"])
    run = RunDirectory(tmp_path)
    run.start(AgentExperiment())
    text = (tmp_path / "environment.json").read_text()
    content = json.loads(text)
    assert content.keys() == {
        "python",
        "versions",
        "processor",
        "cores",
        "git_revision",
        "command",
    }
    assert content["python"] == ".".join(map(str, sys.version_info[:3]))
    assert content["cores"] == len(os.sched_getaffinity(0))
    assert content["command"] == ["train_agent", "--seed", "1"]
    assert content["processor"]
    assert content["versions"].keys() >= {"tensorflow", "tf-agents", "numpy", "ale-py", "tfselfsup"}
    assert content["versions"]["tensorflow"].startswith("2.")
    assert content["versions"]["tfselfsup"] in (None, tfselfsup.__version__)
    # Neither secrets of the environment nor whose machine it is.
    assert "secret" not in text and "/somebody" not in text
    assert str(Path.home()) not in text


# Checkpoints


def test_checkpoints_are_ordered_by_their_steps(run):
    for steps in (100, 9, 25_000, 10):
        run.checkpoint(steps).mkdir()
    assert run.checkpoints() == [run.checkpoint(steps) for steps in (9, 10, 100, 25_000)]
    assert run.chosen_checkpoint("last") == run.checkpoint(25_000)


def test_incomplete_checkpoints_are_ignored(run):
    for name in ("step_10", "step_20.writing", "step_30.replaced", "best", "best.writing"):
        write_folder(run.path / "checkpoints" / name)
    assert run.checkpoints() == [run.checkpoint(10)]


def test_a_run_without_checkpoints(run):
    assert run.checkpoints() == []
    for choice in ("last", "best"):
        with pytest.raises(ValueError, match="expected a checkpoint in .*, found none; ") as error:
            run.chosen_checkpoint(choice)
        assert str(run.path) in str(error.value) and "\n" not in str(error.value)


def test_the_best_checkpoint_is_not_the_last(run):
    run.checkpoint(10).mkdir()
    with pytest.raises(ValueError, match="found none"):
        run.chosen_checkpoint("best")
    run.best.mkdir()
    assert run.chosen_checkpoint("best") == run.path / "checkpoints" / "best"
    assert run.chosen_checkpoint("last") == run.checkpoint(10)


@pytest.mark.parametrize("count, kept", [(1, [100]), (2, [20, 100]), (5, [3, 20, 100])])
def test_the_newest_checkpoints_are_kept(run, count, kept):
    for steps in (20, 3, 100):
        write_folder(run.checkpoint(steps), "state.json")
    run.best.mkdir()
    run.keep_checkpoints(count)
    assert names_in(run.path / "checkpoints") == {"best", *(f"step_{steps}" for steps in kept)}


def test_a_checkpoint_that_is_being_deleted_is_no_longer_one(run, monkeypatch):
    for steps in (10, 20):
        write_folder(run.checkpoint(steps), "state.json", "tensors")

    def delete_half(path, *_, **__):
        (Path(path) / "state.json").unlink()
        raise KilledError

    monkeypatch.setattr("shutil.rmtree", delete_half)
    with pytest.raises(KilledError):
        run.keep_checkpoints(1)
    assert run.checkpoints() == [run.checkpoint(20)]


@pytest.mark.parametrize("name", ["replay", "best"])
def test_a_kill_between_the_two_renames_loses_nothing(run, monkeypatch, name):
    (run.path / "checkpoints").mkdir()
    write_folder(getattr(run, name), "old")
    rename, calls = Path.rename, []

    def rename_once(path, target):
        calls.append(target)
        if len(calls) == 2:
            raise KilledError
        return rename(path, target)

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(Path, "rename", rename_once)
        with written_aside(getattr(run, name)) as aside:
            write_folder(aside, "new")
    # As another process finds it.
    found = getattr(RunDirectory(run.path), name)
    assert names_in(found) == {"old"}
    with written_aside(found) as aside:
        write_folder(aside, "newer")
    assert names_in(getattr(run, name)) == {"newer"}
    assert not {"replay.replaced", "replay.writing"} & names_in(run.path)
    assert not {"best.replaced", "best.writing"} & names_in(run.path / "checkpoints")


def test_the_replay_is_removed_with_all_that_kills_left(run):
    # It is by far the largest thing of a run, and a stale one must not come back.
    for name in ("replay", "replay.writing", "replay.replaced"):
        write_folder(run.path / name, "frames.npy")
    run.remove_replay()
    assert not run.replay.exists()
    assert names_in(run.path) == {"config.yaml", "environment.json"}
    run.remove_replay()  # nothing to remove


def test_a_video_has_a_place(run):
    assert run.video(300) == run.path / "videos" / "game_at_300_steps.mp4"
    assert run.video(300).parent.is_dir()


# Metrics


def row(agent_steps: int, score=None) -> dict:
    return {"agent_steps": agent_steps, "loss/q": 0.5, "score": score}


def append(run: RunDirectory, *steps: int) -> None:
    for agent_steps in steps:
        run.append_metrics(row(agent_steps))


def steps_of(run: RunDirectory) -> list[int]:
    return [int(found["agent_steps"]) for found in run.metrics()]


def test_metrics_are_rows_under_one_header(run):
    assert run.metrics() == []
    run.append_metrics(row(10))
    run.append_metrics(row(20, score=-21.0))
    text = (run.path / "metrics.csv").read_text()
    assert text == "agent_steps,loss/q,score\n10,0.5,\n20,0.5,-21.0\n"
    assert run.metrics() == [
        {"agent_steps": "10", "loss/q": "0.5", "score": ""},
        {"agent_steps": "20", "loss/q": "0.5", "score": "-21.0"},
    ]


def test_a_half_written_last_line_is_passed_over_and_dropped_on_rewinding(run):
    append(run, 10, 20)
    with (run.path / "metrics.csv").open("a") as file:
        file.write("30,0.")
    assert steps_of(run) == [10, 20]
    run.rewind_metrics(1000)
    append(run, 30)
    assert steps_of(run) == [10, 20, 30]
    assert run.metrics()[-1]["loss/q"] == "0.5"


@pytest.mark.parametrize("text", ["", "agent_ste", "agent_steps,loss/q,score\n"])
def test_metrics_without_a_row_begin_anew_on_rewinding(run, text):
    (run.path / "metrics.csv").write_text(text)
    assert run.metrics() == []
    run.rewind_metrics(1000)
    append(run, 10)
    assert steps_of(run) == [10]


@pytest.mark.parametrize(
    "text",
    [
        "steps,loss\n1,2\n",
        "agent_steps,loss\n1.5,2\n",
        "agent_steps,loss\n1\n",
        "agent_steps,loss\n1,2,3\n",
    ],
)
def test_a_damaged_table_is_named_on_rewinding_and_kept(run, text):
    path = run.path / "metrics.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    with pytest.raises(ValueError, match="expected rows with agent_steps in .*metrics.csv, got"):
        run.rewind_metrics(1000)
    assert path.read_text() == text


def test_rewinding_drops_the_rows_after_a_step(run):
    run.rewind_metrics(10)  # nothing to drop
    assert not (run.path / "metrics.csv").exists()
    append(run, 10, 20, 30)
    before = (run.path / "metrics.csv").read_text()
    run.rewind_metrics(30)
    assert (run.path / "metrics.csv").read_text() == before
    run.rewind_metrics(29)
    assert (run.path / "metrics.csv").read_text() == before.replace("30,0.5,\n", "")
    append(run, 30)
    assert (run.path / "metrics.csv").read_text() == before
    run.rewind_metrics(0)
    assert run.metrics() == []
    append(run, 10)
    assert steps_of(run) == [10]


# Evaluation


def test_an_evaluation_reads_back(run):
    assert run.evaluation() is None
    evaluation = {"kind": "agent", "mean": -20.5, "scores": [-21.0, -20.0], "task": None}
    path = run.write_evaluation(evaluation)
    assert path == run.path / "evaluation.json"
    assert run.evaluation() == evaluation
    run.write_evaluation({"mean": 1.0})
    assert run.evaluation() == {"mean": 1.0}


def test_an_evaluation_that_cannot_be_written_leaves_the_old_one(run):
    run.write_evaluation({"mean": 1.0})
    with pytest.raises(TypeError):
        run.write_evaluation({"mean": object()})
    assert run.evaluation() == {"mean": 1.0}


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    with RunDirectory(tmp_path / "run").training():
        with pytest.raises(ValueError, match="run is being trained by another process"):
            with RunDirectory(tmp_path / "run").training():
                pass
        with RunDirectory(tmp_path / "other").training():
            pass
    with RunDirectory(tmp_path / "run").training():
        assert (tmp_path / "run").is_dir()


# What a classifier's run is made from, and its temperatures


def test_a_run_stays_with_what_it_was_made_from(run):
    with pytest.raises(ValueError, match="expected an inputs.json in .*run, got none"):
        run.inputs()
    run.bind({"data": "abc", "weights": "random"})
    run.bind({"data": "abc", "weights": "random"})
    run.check_inputs({"data": "abc"})
    assert run.inputs() == {"data": "abc", "weights": "random"}
    for check in (run.bind, run.check_inputs):
        with pytest.raises(ValueError, match="other data than there is now: expected abc, got abd"):
            check({"data": "abd"})
    assert run.inputs()["data"] == "abc"


def test_every_checkpoint_has_a_temperature_of_its_own(run):
    with pytest.raises(ValueError, match="train the classifier to its end"):
        run.temperature("last")
    run.write_temperatures({"last": 1.5, "best": 0.5})
    assert (run.temperature("last"), run.temperature("best")) == (1.5, 0.5)
    with pytest.raises(ValueError, match="for the only checkpoint"):
        run.temperature("only")
    run.write_temperatures({"last": -1.0})
    with pytest.raises(ValueError, match="above 0"):
        run.temperature("last")


def test_evaluations_of_other_data_have_files_of_their_own(run):
    run.write_evaluation({"own": 1})
    path = run.write_evaluation({"other": 2}, "_on_a b/../c")
    assert path.parent == run.path and path.name == "evaluation_on_a_b_.._c.json"
    assert run.evaluation() == {"own": 1}


def test_a_run_of_the_other_kind_is_told(run, tmp_path):
    other = RunDirectory(tmp_path / "other")
    other.start(ClassifierExperiment())
    assert other.experiment(ClassifierExperiment) == ClassifierExperiment()
    with pytest.raises(ValueError, match="settings of AgentExperiment.*ClassifierExperiment"):
        other.experiment(AgentExperiment)
    with pytest.raises(ValueError, match="settings of ClassifierExperiment"):
        run.start(ClassifierExperiment())
