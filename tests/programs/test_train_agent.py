import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfselfsup import command_line, config
from tfselfsup.programs import evaluate_agent, train_agent
from tfselfsup.rl import checkpointing
from tfselfsup.rl.collector import Collector
from tfselfsup.rl.learner import Learner
from tfselfsup.runs import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path.name for path in (ROOT / "bin").iterdir())

# A training of seconds, in which games end after 40 agent steps each.
TOTAL_STEPS, LOGGING_PERIOD = 360, 60
SMALL = {
    "total_steps": TOTAL_STEPS,
    "environment.num_envs": 4,
    "environment.max_episode_steps": 40,
    "network.hidden_units": 16,
    "agent.batch_size": 8,
    "agent.learning_starts": 100,
    "agent.update_period": 8,
    "replay.capacity": 1000,
    "logging.period": LOGGING_PERIOD,
    "logging.checkpoint_period": 120,
    "evaluation.curve_period": 180,
    "evaluation.curve_episodes": 1,
    "evaluation.episodes": 6,
}
TIME_COLUMNS = ("hours", "steps_per_second")
BOTH_TASKS = "[{name: rotation, weight: 0.5}, {name: frame_order, options: {classes: 6}}]"


def options(*settings: dict, **more) -> list[str]:
    """Writes settings as command-line options; later ones come last and win."""
    given = [item for group in (*settings, more) for item in group.items()]
    return [text for key, value in given for text in (f"--{key}", str(value))]


pytestmark = pytest.mark.usefixtures("one_tensorflow")


def run_here(*arguments) -> int:
    """Runs the program in this process, which saves the start of TensorFlow."""
    try:
        train_agent.main([*map(str, arguments)])
    except SystemExit as ended:
        return ended.code or 0
    return 0


def start(run_dir: Path, *arguments) -> subprocess.Popen:
    """Starts the program; what it writes to standard error goes beside the run directory."""
    with run_dir.with_suffix(".stderr").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, ROOT / "bin" / "train_agent", *arguments, "--run_dir", run_dir],
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def stderr_lines(run_dir: Path) -> list[str]:
    return run_dir.with_suffix(".stderr").read_text().replace("\r", "\n").split("\n")


def rows_of(run_dir: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((run_dir / "metrics.csv").read_text())))


def children_seconds() -> float:
    """Time that processors spent on this process's children, those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def one_line_of_error(capsys) -> str:
    errors = capsys.readouterr().err
    assert ": error: " in errors, errors
    assert errors.count("\n") == 1 and errors.endswith("\n"), errors
    return errors


# Options


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_takes_less_than_a_second_of_a_processor_and_imports_no_tensorflow(name, tmp_path):
    for package in ("tensorflow", "tf_agents", "keras", "ale_py"):
        (tmp_path / f"{package}.py").write_text(f"raise SystemExit('imports {package}')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    durations = []
    for _ in range(3):  # the best counts, as a busy machine makes processors slower
        before = children_seconds()
        finished = subprocess.run(
            [sys.executable, ROOT / "bin" / name, "--help"],
            env=environment,
            capture_output=True,
            text=True,
        )
        durations.append(children_seconds() - before)
        assert (finished.returncode, finished.stderr) == (0, "")
        assert finished.stdout.startswith(f"usage: {name} ")
    assert min(durations) < 1


@pytest.mark.parametrize("name", ["fast_sequence", "paper_dqn", "paper_random"])
def test_the_printed_configuration_gives_itself_again(name, tmp_path, capsys):
    given = ("--config", f"atari/{name}", "--seed", "7", "--agent.tasks", BOTH_TASKS)
    assert run_here(*given, "--print_config") == 0
    printed = capsys.readouterr().out
    file = tmp_path / "printed.yaml"
    file.write_text(printed)
    assert run_here("--config", file, "--print_config") == 0
    assert capsys.readouterr().out == printed
    written = yaml.safe_load(printed)
    assert written["seed"] == 7
    assert written["agent"]["tasks"] == yaml.safe_load(BOTH_TASKS)
    original = yaml.safe_load((ROOT / "configs" / "atari" / f"{name}.yaml").read_text())
    assert written["environment"].items() >= original["environment"].items()
    assert written["total_steps"] == original.get("total_steps", 1_000_000)


@pytest.mark.parametrize(
    "given",
    [
        ("--config", "atari/fast_dqn", "--print_config"),
        ("--config=atari/fast_dqn", "--print_config"),
        ("--print_config", "--config", "atari/fast_dqn"),
        ("--print_config", "--config=atari/fast_dqn"),
        ("--print_config", "--config=atari/fast_dqn.yaml"),
    ],
)
def test_an_experiment_is_found_by_its_name_wherever_the_option_stands(given, capsys):
    assert run_here(*given) == 0, capsys.readouterr().err
    assert yaml.safe_load(capsys.readouterr().out)["total_steps"] == 500_000


def test_options_after_the_configuration_win(capsys):
    run_here("--config", "atari/fast_dqn", "--agent.n_step", 5, "--print_config")
    agent = yaml.safe_load(capsys.readouterr().out)["agent"]
    assert (agent["n_step"], agent["learning_rate"]) == (5, 2e-4)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--agent.learning_rat", "1e-3"), ["--agent.learning_rat", "agent.learning_rate"]),
        (("--agent.learning_rate", "fast"), ["agent.learning_rate", "'fast'", "float"]),
        (("--agent.learning_rate", "-1"), ["agent.learning_rate", "-1"]),
        (("--agent.batch_size", "2.5"), ["agent.batch_size", "2.5", "int"]),
        (("--agent.mode", "together"), ["agent.mode", "alternate", "joint", "together"]),
        (("--agent.tasks", "rotation"), ["agent.tasks", "[{name: rotation}]", "rotation"]),
        (("--config", "nothing.yaml"), ["config", "nothing.yaml", "does not exist"]),
    ],
)
def test_a_bad_option_is_one_line_that_names_it(given, told, tmp_path, capsys):
    assert run_here(*given, "--run_dir", tmp_path / "run") == 2
    message = one_line_of_error(capsys)
    for part in told:
        assert part in message
    assert not (tmp_path / "run").exists()


def test_a_run_directory_must_be_named(capsys):
    assert run_here(*options(SMALL)) == 2
    assert "run_dir" in one_line_of_error(capsys)


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("environment.game", "pongg", ["'pongg'", "pong"]),
        ("environment.game", "brekout", ["'brekout'", "breakout"]),
        ("network.trunk", "resnet", ["'resnet'", "nature_cnn"]),
        ("agent.tasks", "[{name: rotatoin}]", ["'rotatoin'", "rotation", "frame_order"]),
        ("agent.tasks", "[{name: frame_order, options: {classes: 5}}]", ["4, 6, 12", "got 5"]),
        ("agent.tasks", "[{name: rotation}, {name: rotation}]", ["'rotation' twice"]),
        ("replay.capacity", "10", ["capacity", "20", "got 10"]),
    ],
)
def test_a_bad_value_is_one_line_that_lists_what_is_expected(
    setting, value, told, tmp_path, capsys
):
    run_dir = tmp_path / "run"
    assert run_here(*options(SMALL, {setting: value}, run_dir=run_dir)) == 2
    message = one_line_of_error(capsys)
    for part in told:
        assert part in message
    assert not run_dir.exists()


@pytest.mark.parametrize("curve_period", [LOGGING_PERIOD // 2, LOGGING_PERIOD * 3 // 2])
def test_a_short_evaluation_needs_a_row_of_its_own(curve_period, tmp_path, capsys):
    periods = {"evaluation.curve_period": curve_period}
    assert run_here(*options(SMALL, periods, run_dir=tmp_path / "run")) == 2
    assert "a multiple of logging.period, 60, or 0" in one_line_of_error(capsys)


def test_pretraining_must_last(tmp_path, capsys):
    tasks = {"agent.tasks": BOTH_TASKS, "agent.mode": "pretrain"}
    assert run_here(*options(SMALL, tasks, run_dir=tmp_path / "run")) == 2
    assert "agent.pretrain_updates of at least 1, got 0" in one_line_of_error(capsys)


# A whole run, with two tasks in mode `alternate`


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two trainings of the same command, side by side in processes of their own."""
    folder = tmp_path_factory.mktemp("twins")
    arguments = options(SMALL, {"agent.tasks": BOTH_TASKS}, seed=3)
    run_dirs = [folder / "one", folder / "other"]
    processes = [start(run_dir, *arguments) for run_dir in run_dirs]
    assert [process.wait(timeout=300) for process in processes] == [0, 0], stderr_lines(run_dirs[0])
    return run_dirs


@pytest.fixture
def trained(twins, tmp_path):
    """A copy of a whole run, to be written to."""
    return shutil.copytree(twins[0], tmp_path / "trained")


def test_a_run_directory_has_all_its_files(twins):
    names = {path.name for path in twins[0].iterdir()}
    events = {name for name in names if name.startswith("events.out.")}
    assert len(events) == 1
    # The snapshot of the replay memory is gone with the end of the run.
    assert names - events == {"config.yaml", "environment.json", "checkpoints", "metrics.csv"}
    run = RunDirectory(twins[0])
    steps = [int(path.name.removeprefix("step_")) for path in run.checkpoints()]
    assert [step // 120 for step in steps] == [2, 3]  # the newest two
    found = {path.name for path in (twins[0] / "checkpoints").iterdir()}
    assert found == {"best", *(f"step_{step}" for step in steps)}


def test_the_written_configuration_is_the_commands(twins):
    experiment = RunDirectory(twins[0]).experiment()
    assert (experiment.total_steps, experiment.seed) == (TOTAL_STEPS, 3)
    assert experiment.agent.tasks == (
        config.TaskConfig("rotation", 0.5),
        config.TaskConfig("frame_order", 1.0, {"classes": 6}),
    )
    given = command_line.load_experiment(
        "atari/fast_dqn", tuple(options(SMALL, {"agent.tasks": BOTH_TASKS}, seed=3))
    )
    same = config.differences(experiment, given).keys()
    assert not same & SMALL.keys()


def test_the_environment_of_a_run_is_written_down(twins):
    environment = json.loads((twins[0] / "environment.json").read_text())
    assert environment["python"] == sys.version.split()[0]
    assert environment["versions"]["tensorflow"].startswith("2.15.")
    assert environment["processor"] and environment["cores"] == len(os.sched_getaffinity(0))
    assert "git_revision" in environment
    command = environment["command"]
    assert command[0] == "train_agent"
    assert command[command.index("--seed") + 1] == "3"


def test_every_logging_interval_has_one_row(twins):
    rows = rows_of(twins[0])
    intervals = [int(row["agent_steps"]) // LOGGING_PERIOD for row in rows]
    assert intervals == list(range(1, TOTAL_STEPS // LOGGING_PERIOD + 1))
    # An update for every 8 agent steps once 100 are stored.
    assert rows[0]["updates"] == "0" and rows[0]["loss/q"] == ""
    assert 29 <= int(rows[-1]["updates"]) <= 33
    evaluated = [row["agent_steps"] for row in rows if row["evaluation_score"]]
    assert [int(steps) // 180 for steps in evaluated] == [1, 2]


def test_in_mode_alternate_every_loss_is_trained(twins):
    last = rows_of(twins[0])[-1]
    trained = {"loss/q", "loss/rotation", "loss/frame_order", "q_values"}
    trained |= {"gradient_norm/q", "gradient_norm/rotation+frame_order"}
    trained |= {"accuracy/rotation", "accuracy/frame_order"}
    assert all(np.isfinite(float(last[name])) for name in trained)
    assert trained == last.keys() - {
        *("agent_steps", "updates", "episodes", "epsilon", "score", "episode_length"),
        *("evaluation_score", *TIME_COLUMNS),
    }


def test_same_seed_same_metrics(twins):
    def without_time(run_dir):
        return [
            {name: value for name, value in row.items() if name not in TIME_COLUMNS}
            for row in rows_of(run_dir)
        ]

    assert without_time(twins[0]) == without_time(twins[1])


def test_same_seed_same_scores(twins):
    evaluations = [
        evaluate_agent.evaluate(run.experiment(), run)
        for run in (RunDirectory(shutil.copytree(one, f"{one}_scored")) for one in twins)
    ]
    assert evaluations[0] == evaluations[1]
    assert len(evaluations[0]["scores"]) == 6


def test_tensorboard_shows_what_the_table_has(twins):
    events = EventAccumulator(str(twins[0])).Reload()
    rows = rows_of(twins[0])
    shown = {name for name in rows[0] if any(row[name] for row in rows)}
    assert set(events.Tags()["tensors"]) == shown | {"game", "_hparams_/session_start_info"}
    for name in ("loss/q", "evaluation_score", "episodes"):
        drawn = {
            event.step: float(np.frombuffer(event.tensor_proto.tensor_content, np.float32)[0])
            if event.tensor_proto.tensor_content
            else event.tensor_proto.float_val[0]
            for event in events.Tensors(name)
        }
        written = {int(row["agent_steps"]): float(row[name]) for row in rows if row[name]}
        assert drawn.keys() == written.keys()
        np.testing.assert_allclose(
            [drawn[step] for step in written], list(written.values()), rtol=1e-5
        )


def test_a_training_shows_its_progress_and_nothing_else(twins):
    lines = [line for line in stderr_lines(twins[0]) if line.strip()]
    others = [line for line in lines if " agent steps" not in line]
    assert others == []
    assert f"{TOTAL_STEPS}/{TOTAL_STEPS}" in lines[-1] or "100%" in lines[-1]


def test_a_run_directory_of_other_settings_is_refused(trained, capsys):
    before = {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}
    other = options(SMALL, {"agent.tasks": BOTH_TASKS, "agent.n_step": 3})
    assert run_here(*other, "--seed", 3, "--run_dir", trained) == 2
    message = one_line_of_error(capsys)
    assert "agent.n_step=1, got 3" in message and str(trained) in message
    assert {path: path.read_bytes() for path in before} == before


def test_a_finished_run_is_left_as_it_is_and_goes_on_when_more_steps_are_asked_for(trained, capsys):
    command = options(SMALL, {"agent.tasks": BOTH_TASKS}, seed=3, run_dir=trained)
    checkpoints, rows = RunDirectory(trained).checkpoints(), rows_of(trained)
    assert run_here(*command) == 0
    assert RunDirectory(trained).checkpoints() == checkpoints
    assert rows_of(trained) == rows
    assert run_here(*command, "--total_steps", TOTAL_STEPS + LOGGING_PERIOD) == 0
    assert rows_of(trained)[:-1] == rows
    newest = RunDirectory(trained).checkpoints()[-1]
    assert newest.name == f"step_{rows_of(trained)[-1]['agent_steps']}"


def test_an_agent_does_not_pass_for_one_that_learnt_for_a_shorter_time(trained, capsys):
    command = options(SMALL, {"agent.tasks": BOTH_TASKS}, seed=3, run_dir=trained)
    settings = (trained / "config.yaml").read_text()
    assert run_here(*command, "--total_steps", TOTAL_STEPS // 2) == 2
    message = one_line_of_error(capsys)
    assert "agent steps or more for" in message and f"total_steps={TOTAL_STEPS // 2}" in message
    assert (trained / "config.yaml").read_text() == settings


def test_a_checkpoint_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    def no_space(self, event):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpointing.Checkpointer, "__call__", no_space)
    assert run_here(*options(SMALL, run_dir=tmp_path / "run")) == 2
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]


# Stopped and given again

STOPPABLE = {
    **SMALL,
    "total_steps": 600,
    "agent.tasks": "[{name: rotation}]",
    # Four rows to a checkpoint, so that a kill leaves rows that are to be written again.
    "logging.period": 25,
    "evaluation.curve_period": 175,
    "logging.checkpoint_period": 100,
}
JOINT = options(STOPPABLE, {"agent.mode": "joint", "logging.replay_period": 200})
PRETRAIN = options(
    STOPPABLE,
    {"agent.mode": "pretrain", "agent.pretrain_updates": 30, "logging.replay_period": 50},
)


def last_row_step(run_dir: Path) -> int:
    rows = RunDirectory(run_dir).metrics()
    return int(rows[-1]["agent_steps"]) if rows else 0


def wait_for(process: subprocess.Popen, run_dir: Path, agent_steps: int) -> None:
    """Waits until a run has begun, and the row of a number of agent steps is written."""
    for _ in range(12_000):
        begun = (run_dir / "config.yaml").exists()
        if begun and last_row_step(run_dir) >= agent_steps // 25 * 25:
            return
        assert process.poll() is None, stderr_lines(run_dir)
        time.sleep(0.01)
    raise AssertionError(f"expected {agent_steps} agent steps within two minutes")


def newest_step(run_dir: Path) -> int:
    checkpoints = RunDirectory(run_dir).checkpoints()
    return checkpointing.agent_steps(checkpoints[-1]) if checkpoints else 0


def assert_went_on(before: Path, after: Path) -> None:
    """Checks that a run went on from the newest checkpoint `before`, and lost no row."""
    old, new = RunDirectory(before).metrics(), rows_of(after)
    kept = [row for row in old if int(row["agent_steps"]) <= newest_step(before)]
    # Rows that were played again would have other times.
    assert new[: len(kept)] == kept
    assert [int(row["agent_steps"]) // 25 for row in new] == list(range(1, len(new) + 1))
    assert len(new) == newest_step(after) // 25
    for column in ("updates", "episodes", "hours"):
        values = [float(row[column]) for row in new]
        assert values == sorted(values), column


def assert_complete(run_dir: Path) -> None:
    """Checks that a run has come to its end."""
    rows = rows_of(run_dir)
    # An update for every 8 agent steps after the first 100, whatever happened in between.
    assert len(rows) == 24 and 58 <= int(rows[-1]["updates"]) <= 64
    assert len(RunDirectory(run_dir).checkpoints()) == 2
    assert newest_step(run_dir) == int(rows[-1]["agent_steps"])
    assert not (run_dir / "replay").exists()


def kill_after(run_dir: Path, command: list[str], agent_steps: int, seconds: float) -> None:
    """Starts a run and kills it some time after a number of agent steps."""
    process = start(run_dir, *command)
    wait_for(process, run_dir, agent_steps)
    time.sleep(seconds)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def stands_between_checkpoints(process: subprocess.Popen, run_dir: Path) -> bool:
    """Holds a run, and tells whether it has written a row since its newest checkpoint."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    return newest_step(run_dir) < last_row_step(run_dir)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run as it was when it was killed, and when it had gone on and was stopped by Ctrl-C."""
    folder = tmp_path_factory.mktemp("stopped")
    run_dir, killed = folder / "run", folder / "killed"
    process = start(run_dir, *JOINT)
    steps = 225
    wait_for(process, run_dir, steps)
    while not stands_between_checkpoints(process, run_dir):
        process.send_signal(signal.SIGCONT)
        steps += 25
        wait_for(process, run_dir, steps)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    shutil.copytree(run_dir, killed)
    process = start(run_dir, *JOINT)
    # Later than any row there is, so that it is of the second process.
    wait_for(process, run_dir, last_row_step(killed) + 50)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    return killed, run_dir


def test_a_killed_run_goes_on_from_its_newest_checkpoint(stopped):
    killed, interrupted = stopped
    assert newest_step(killed) < last_row_step(killed) < newest_step(interrupted)
    assert_went_on(killed, interrupted)


def test_an_interrupted_run_says_how_to_go_on(stopped):
    _, run_dir = stopped
    # The last line, so that it is read, and not on that of the progress bar.
    assert [line for line in stderr_lines(run_dir) if line][-1] == (
        f"train_agent: error: interrupted at {newest_step(run_dir)} agent steps; "
        "the same command goes on from there"
    )


def test_a_scheduler_s_order_to_end_lets_a_run_save(tmp_path, monkeypatch, capsys):
    receive = Collector.receive

    def ordered(collector):
        signal.raise_signal(signal.SIGTERM)
        return receive(collector)

    monkeypatch.setattr(Collector, "receive", ordered)
    before = signal.getsignal(signal.SIGTERM)
    assert run_here(*JOINT, "--run_dir", tmp_path / "run") == 143
    assert capsys.readouterr().err.endswith(
        f"interrupted at {newest_step(tmp_path / 'run')} agent steps; "
        "the same command goes on from there\n"
    )
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_ends_a_run_at_once(tmp_path, monkeypatch):
    def receive(collector):
        # Within one step, at whose end the first would have been noticed.
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("expected to be interrupted")

    monkeypatch.setattr(Collector, "receive", receive)
    with pytest.raises(KeyboardInterrupt):
        run_here(*JOINT, "--run_dir", tmp_path / "run")
    # Nothing is saved, as that may be what takes too long.
    assert not {path.name for path in (tmp_path / "run").iterdir()} & {"checkpoints", "replay"}


def test_an_interrupted_run_goes_on_with_its_memory(stopped, tmp_path):
    interrupted = stopped[1]
    run_dir = shutil.copytree(interrupted, tmp_path / "run")
    # The replay memory was saved with the checkpoint, whatever its own period; it has a row for
    # each step of the four games, and one more for each of their ends.
    stored = json.loads((run_dir / "replay" / "replay.json").read_text())["steps"]
    assert 4 * stored >= newest_step(run_dir)
    assert run_here(*JOINT, "--run_dir", run_dir) == 0
    assert_went_on(interrupted, run_dir)
    assert_complete(run_dir)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_run_killed_at_any_moment_goes_on_from_its_newest_checkpoint(seed, tmp_path):
    generator = np.random.default_rng(seed)
    run_dir, killed = tmp_path / "run", tmp_path / "killed"
    moment = int(generator.integers(450))
    kill_after(run_dir, PRETRAIN, moment, generator.uniform(0, 0.3))
    assert newest_step(run_dir) or moment < 125  # a row comes before the checkpoint of its step
    shutil.copytree(run_dir, killed)
    assert run_here(*PRETRAIN, "--run_dir", run_dir) == 0
    assert_went_on(killed, run_dir)
    assert_complete(run_dir)
    assert_pretrained(rows_of(run_dir), 30)


@pytest.mark.slow
@pytest.mark.parametrize("written", ["checkpoints/step_*", "checkpoints/best", "replay"])
def test_a_run_killed_while_it_writes_goes_on(written, tmp_path):
    run_dir, killed = tmp_path / "run", tmp_path / "killed"
    process = start(run_dir, *PRETRAIN)
    while not list(run_dir.glob(f"{written}.writing")):
        assert process.poll() is None, stderr_lines(run_dir)
    process.kill()
    process.wait()
    assert list(run_dir.glob(f"{written}.writing"))
    shutil.copytree(run_dir, killed)
    assert run_here(*PRETRAIN, "--run_dir", run_dir) == 0
    assert_went_on(killed, run_dir)
    assert_complete(run_dir)


# The other modes, what goes wrong, and what is no training


def test_in_mode_joint_one_gradient_trains_all_losses(stopped):
    last = rows_of(stopped[1])[-1]
    norms = [name for name in last if name.startswith("gradient_norm/")]
    assert norms == ["gradient_norm/q+rotation"]
    assert all(float(last[name]) > 0 for name in (*norms, "loss/q", "loss/rotation"))


def assert_pretrained(rows: list[dict[str, str]], pretrain_updates: int) -> None:
    """Checks that the task was trained alone, and then Q alone."""
    alone = {"loss/rotation": 0, "loss/q": 0}
    for before, row in zip(rows, rows[1:], strict=False):
        if 0 < int(row["updates"]) <= pretrain_updates:
            assert row["loss/rotation"] and not row["loss/q"]
            alone["loss/rotation"] += 1
        if int(before["updates"]) >= pretrain_updates:
            assert row["loss/q"] and not row["loss/rotation"]
            alone["loss/q"] += 1
    assert all(alone.values()), alone


def test_in_mode_pretrain_the_task_comes_first_and_q_afterwards(tmp_path):
    changed = {"agent.pretrain_updates": 10, "total_steps": 300, "run_dir": tmp_path / "run"}
    assert run_here(*PRETRAIN, *options(changed)) == 0
    assert_pretrained(rows_of(tmp_path / "run"), 10)


def test_a_loss_that_diverges_ends_the_run_and_names_the_last_good_checkpoint(
    tmp_path, capsys, monkeypatch
):
    train = Learner.train

    def diverged(learner, samples):
        head = learner._agent.model.get_layer("q")
        head.set_weights([np.full_like(weights, np.nan) for weights in head.get_weights()])
        return train(learner, samples)

    monkeypatch.setattr(Learner, "train", diverged)
    run_dir = tmp_path / "run"
    settings = options(SMALL, {"logging.checkpoint_period": 60})
    assert run_here(*settings, "--run_dir", run_dir) == 1
    message = capsys.readouterr().err.replace("\r", "\n").splitlines()[-1]
    newest = RunDirectory(run_dir).checkpoints()[-1]
    assert "'q' became nan" in message and message.endswith(f"the last good checkpoint is {newest}")


def test_the_random_agent_is_not_trained(tmp_path):
    settings = {**SMALL, "agent.kind": "random", "run_dir": tmp_path / "run"}
    assert run_here(*options(settings)) == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.yaml",
        "environment.json",
    }
    assert RunDirectory(tmp_path / "run").experiment().agent.kind == "random"


def test_the_random_agent_needs_a_game_too(tmp_path, capsys):
    settings = {"agent.kind": "random", "environment.game": "pongg"}
    assert run_here(*options(settings, run_dir=tmp_path / "run")) == 2
    assert "'pongg'" in one_line_of_error(capsys)
    assert not (tmp_path / "run").exists()
