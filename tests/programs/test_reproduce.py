import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from tests.programs.fake_workers import FakeWorkers, train_agent
from tfselfsup.programs import reproduce, reproduction_estimates, reproduction_on_ray
from tfselfsup.runs import RunDirectory

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path, monkeypatch):
    # Programs run anywhere, and write below the folder they run in.
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_measurement(monkeypatch):
    # It takes a minute, and is tested elsewhere.
    monkeypatch.setattr(reproduction_estimates, "measured_speeds", lambda planned: {})


@pytest.fixture
def workers(monkeypatch):
    fake = FakeWorkers()
    monkeypatch.setattr(reproduce, "make_workers", lambda ray, jobs, threads: fake)
    return fake


@pytest.fixture
def reported(monkeypatch):
    """Stands for the report, which takes seconds and is tested elsewhere; lists its runs."""
    reported = []

    def write_report(run_dirs, out):
        reported.append([Path(path).name for path in run_dirs])
        return f"the report in {out}\n"

    monkeypatch.setattr(reproduce, "write_report", write_report)
    return reported


TWO = ("--agents.experiments", "[atari/fast_random, atari/fast_dqn]", "--out", "out")
TWO_RUNS = [
    ("train_agent", "fast_random_seed0"),
    ("evaluate_agent", "fast_random_seed0"),
    ("train_agent", "fast_dqn_seed0"),
    ("evaluate_agent", "fast_dqn_seed0"),
]


def run_here(*arguments) -> int:
    try:
        reproduce.main([*arguments])
    except SystemExit as ended:
        return ended.code or 0
    return 0


def one_line_of_error(capsys) -> str:
    errors = capsys.readouterr().err
    assert ": error: " in errors and errors.count("\n") == 1, errors
    return errors


# The plan that is printed


def test_a_plan_is_printed_with_its_times(capsys, workers, reported, monkeypatch):
    run_here(*TWO[:2], "--agents.seeds", "[0]", "--out", "out")
    capsys.readouterr()
    seconds = [0.0, 3000.0, 45.0, None]
    monkeypatch.setattr(reproduction_estimates, "estimates", lambda planned, speeds: seconds)
    classifiers = ("--classifiers.experiments", "[forged_faces/bigbigan_resnet50]")
    RunDirectory("out/fast_dqn_seed0").path.joinpath("evaluation.json").unlink()
    assert run_here(*TWO, *classifiers, "--dry_run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1/4 out/fast_random_seed0: 0 agent steps, done",
        "2/4 out/fast_dqn_seed0: 500,000 agent steps, unfinished, about 50 min",
        "3/4 out/splices_2000_of_128_pixels: 2,000 splices of 128 pixels, to do, about 45 s",
        "4/4 out/bigbigan_resnet50_seed0: a probe, split hard, to do, time unknown",
        "3 of 4 to do, at least 51 min one after another",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (89, "89 s"), (90, "1.5 min"), (3600, "60 min"), (5400, "1.5 h")],
)
def test_times_have_the_unit_that_suits_them(seconds, expected):
    assert reproduce.duration(seconds) == expected


def test_weeks_are_days():
    assert reproduce.duration(14 * 86400) == "14 days"


@pytest.mark.parametrize(
    "given",
    [
        ("--preset", "smoke", "--agents.seeds", "[1, 2]"),
        ("--agents.seeds", "[1, 2]", "--preset=smoke"),
        ("--config", "reproduce/smoke", "--agents.seeds", "[1, 2]"),
        ("--config=reproduce/smoke", "--agents.seeds", "[1, 2]"),
    ],
)
def test_options_replace_the_presets(given, capsys, workers):
    options = ("--agents.overrides.total_steps", "100", "--out", "out", "--dry_run")
    assert run_here(*given, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "3/15 out/fast_dqn_seed1: 100 agent steps, to do, time unknown"


def test_one_override_more_keeps_the_presets_others(workers, reported):
    given = ("--preset", "smoke", "--agents.experiments", "[atari/fast_dqn]", "--out", "out")
    assert run_here(*given, "--agents.overrides.total_steps", "100") == 0
    experiment = RunDirectory("out/fast_dqn_seed0").experiment()
    assert (experiment.total_steps, experiment.agent.learning_starts) == (100, 1000)


def test_a_preset_runs_below_runs(workers, capsys):
    assert run_here("--preset", "smoke", "--dry_run") == 0
    printed, errors = capsys.readouterr()
    assert "1/11 runs/smoke/fast_random_seed0: " in printed
    # Nobody is to take them for the study's faces.
    assert "faces: splices that are made here; others by --data DIR\n" in errors


def test_a_dry_run_runs_and_writes_nothing(workers, tmp_path):
    assert run_here(*TWO, "--dry_run") == 0
    assert workers.commands == [] and list(tmp_path.iterdir()) == []


def test_digits_that_are_left_out_are_named(workers, capsys):
    given = ("--classifiers.experiments", "[digits/two_layer_cnn]")
    assert run_here(*TWO, *given, "--dry_run") == 0
    captured = capsys.readouterr()
    assert captured.err == "left out: digits/two_layer_cnn, which needs --digits FILE\n"
    assert "2 of 2 to do" in captured.out


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), ["agents.experiments"]),
        (("--preset", "smok"), ["--preset", "'smok'", "smoke"]),
        (("--preset=smok",), ["--preset", "'smok'", "smoke"]),
        (("--agents.experiments", "[atari/fast_dqm]"), ["atari/fast_dqm"]),
        ((*TWO, "--agents.overrides", "{agent.n_steps: 3}"), ["agent.n_steps", "agent.n_step"]),
        ((*TWO, "--agents.overrides", "{agent.n_step: many}"), ["agent.n_step", "many"]),
        ((*TWO, "--agents.seeds", "[-1]"), ["seeds", "-1"]),
        ((*TWO, "--jobs", "0"), ["jobs", "0"]),
    ],
)
def test_a_bad_option_is_one_line_before_anything_runs(given, told, workers, capsys, tmp_path):
    assert run_here(*given) == 2
    message = one_line_of_error(capsys)
    for part in told:
        assert part in message
    assert workers.commands == [] and list(tmp_path.iterdir()) == []


# What is run


def test_every_run_is_trained_and_scored_and_then_reported(workers, capsys):
    assert run_here(*TWO) == 0
    assert workers.runs == TWO_RUNS and workers.is_stopped
    dqn = ROOT / "configs" / "atari" / "fast_dqn.yaml"
    assert workers.commands[2] == (
        *("train_agent", "--config", str(dqn), "--seed", "0"),
        *("--run_dir", "out/fast_dqn_seed0"),
    )
    assert workers.commands[3] == ("evaluate_agent", "out/fast_dqn_seed0")
    printed, errors = capsys.readouterr()
    assert "fast_dqn_seed0: begun, out/logs/fast_dqn_seed0.log\n" in printed
    assert "fast_dqn_seed0: done in " in printed
    assert "| dqn " in printed and "page: out/index.html\n" in errors


def test_both_halves_of_the_study_are_made_in_order(workers, reported):
    given = ("--preset", "smoke", "--agents.experiments", "[atari/fast_random]", "--out", "out")
    assert run_here(*given) == 0
    pretraining, probe = (
        "squeezenet_rotation_hard_seed0",
        "squeezenet_random_on_squeezenet_rotation_hard_seed0",
    )
    assert workers.runs[2:6] == [
        ("prepare_faces", "splices_400_of_64_pixels"),
        ("train_classifier", pretraining),
        ("train_classifier", probe),
        ("evaluate_classifier", probe),
    ]
    # On random weights at the side of the pre-training, or the report could not compare the probe.
    control = "squeezenet_random_on_random_64_hard_seed0"
    assert workers.runs[-1] == ("evaluate_classifier", control)
    assert len(workers.runs) == 2 + 1 + 1 + 5 * 2
    # Data and pre-trainings have no score.
    assert len(reported[0]) == 6 and pretraining not in reported[0]
    workers.commands.clear()
    assert run_here(*given) == 0
    assert workers.commands == []


def test_done_runs_are_not_run_again_and_are_reported(workers, reported, capsys):
    run_here(*TWO)
    workers.commands.clear()
    capsys.readouterr()
    assert run_here(*TWO) == 0
    assert workers.commands == []
    printed = capsys.readouterr().out
    assert printed.splitlines()[:3] == [
        "1/2 out/fast_random_seed0: 0 agent steps, done",
        "2/2 out/fast_dqn_seed0: 500,000 agent steps, done",
        "nothing to do, 2 of 2 are done",
    ]
    assert reported == [["fast_random_seed0", "fast_dqn_seed0"]] * 2


def test_only_what_is_new_runs(workers, reported):
    run_here(*TWO)
    workers.commands.clear()
    assert run_here(*TWO, "--agents.seeds", "[0, 1]") == 0
    assert workers.runs == [(name, run.replace("0", "1")) for name, run in TWO_RUNS]


@pytest.mark.parametrize(
    "override", ["evaluation.episodes: 7", "evaluation.epsilon: 0.05", "total_steps: 600000"]
)
def test_a_score_of_other_settings_is_not_the_one_that_was_asked_for(override, workers, reported):
    run_here(*TWO)
    workers.commands.clear()
    assert run_here(*TWO, "--agents.overrides", f"{{{override}}}") == 0
    assert ("train_agent", "fast_dqn_seed0") in workers.runs
    assert ("evaluate_agent", "fast_dqn_seed0") in workers.runs
    workers.commands.clear()
    assert run_here(*TWO, "--agents.overrides", f"{{{override}}}") == 0
    assert workers.commands == []


def test_a_score_taken_before_the_last_step_is_not_the_final_one(workers, reported):
    run_here(*TWO)
    run = RunDirectory("out/fast_dqn_seed0")
    run.write_evaluation(run.evaluation() | {"agent_steps": 499_999, "finished": False})
    workers.commands.clear()
    assert run_here(*TWO) == 0
    assert workers.runs == TWO_RUNS[2:]


def test_the_score_of_the_best_checkpoint_is_final_although_that_is_earlier(workers, reported):
    best = ("--agents.overrides", "{evaluation.checkpoint: best}")
    run_here(*TWO, *best)
    run = RunDirectory("out/fast_dqn_seed0")
    run.write_evaluation(run.evaluation() | {"agent_steps": 400_000})
    workers.commands.clear()
    assert run_here(*TWO, *best) == 0
    assert workers.commands == []


def test_an_unfinished_run_is_gone_on_with_by_the_same_command(workers, reported, capsys):
    workers.statuses["train_agent", "fast_dqn_seed0"] = 1
    run_here(*TWO)
    # It got as far as a run directory.
    interrupted = workers.commands[-1]
    train_agent(*interrupted[1:])
    workers.statuses.clear()
    workers.commands.clear()
    capsys.readouterr()
    assert run_here(*TWO) == 0
    told = "2/2 out/fast_dqn_seed0: 500,000 agent steps, unfinished, "
    assert told in capsys.readouterr().out
    assert workers.runs == TWO_RUNS[2:] and workers.commands[0] == interrupted


@pytest.mark.parametrize("program", ["train_agent", "evaluate_agent"])
def test_a_run_that_fails_stops_no_other_and_gives_status_1(program, workers, reported, capsys):
    workers.statuses[program, "fast_random_seed0"] = 1
    assert run_here(*TWO) == 1
    failed = TWO_RUNS[:1] if program == "train_agent" else TWO_RUNS[:2]
    assert workers.runs == failed + TWO_RUNS[2:]
    first, last = capsys.readouterr().err.splitlines()
    assert first == f"failed: out/fast_random_seed0: {program}: error: no luck"
    assert last.endswith("error: these runs failed: out/fast_random_seed0")
    assert reported  # the others


def test_what_needs_a_failed_run_is_skipped_and_said(workers, reported, capsys):
    workers.statuses["train_classifier", "squeezenet_rotation_hard_seed0"] = 2
    given = ("--preset", "smoke", "--agents.experiments", "[]", "--out", "out")
    assert run_here(*given) == 1
    _, failed, skipped, last = capsys.readouterr().err.splitlines()  # first of the splices
    before = "out/squeezenet_rotation_hard_seed0"
    probe = "out/squeezenet_random_on_squeezenet_rotation_hard_seed0"
    assert failed == f"failed: {before}: train_classifier: error: no luck"
    assert skipped == f"skipped: {probe}: it needs {before}"
    assert last.endswith(f"these runs failed: {before}, {probe}")
    assert Path("out/mobilenet_random_hard_seed0/evaluation.json").exists()


def test_status_1_also_if_every_run_fails(workers, capsys):
    for run in ("fast_random_seed0", "fast_dqn_seed0"):
        workers.statuses["train_agent", run] = 1
    assert run_here(*TWO) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith("error: these runs failed: out/fast_random_seed0, out/fast_dqn_seed0")


def test_failed_runs_are_listed_if_the_report_fails_too(workers, monkeypatch, capsys):
    def write_report(run_dirs, out):
        raise ValueError("no report")

    monkeypatch.setattr(reproduce, "write_report", write_report)
    workers.statuses["train_agent", "fast_dqn_seed0"] = 1
    assert run_here(*TWO) == 2
    failed, report = capsys.readouterr().err.splitlines()
    assert failed == "failed: out/fast_dqn_seed0: train_agent: error: no luck"
    assert report.endswith("error: no report")


@pytest.mark.parametrize("when", ["__call__", "close"])
def test_nothing_runs_on_where_nobody_reads_what_is_printed(when, workers, monkeypatch, capsys):
    def closed(*arguments):
        raise BrokenPipeError("closed")

    monkeypatch.setattr(reproduce.Progress, when, closed)
    assert run_here(*TWO) == 2
    assert workers.is_stopped and "closed" in one_line_of_error(capsys)


def test_ctrl_c_stops_the_reproduction(workers, reported, capsys):
    workers.statuses["train_agent", "fast_random_seed0"] = 130
    assert run_here(*TWO) == 130
    assert workers.runs == TWO_RUNS[:1] and workers.is_stopped
    assert "the same command goes on from there" in one_line_of_error(capsys)
    assert reported == []


@pytest.mark.parametrize(("jobs", "threads"), [("1", None), ("1000", "1")])
def test_runs_side_by_side_share_the_processors(jobs, threads, workers, reported):
    assert run_here(*TWO, "--jobs", jobs) == 0
    assert workers.threads == [threads] * 2
    # The experiment has 3 operations side by side.
    runtime = RunDirectory("out/fast_dqn_seed0").experiment().runtime
    assert runtime.inter_op_threads == (3 if threads is None else 1)


def test_without_ray_one_line_says_what_to_install(monkeypatch, capsys):
    no_packages = types.SimpleNamespace(util=types.SimpleNamespace(find_spec=lambda name: None))
    monkeypatch.setattr(reproduction_on_ray, "importlib", no_packages)
    assert run_here(*TWO, "--ray", "local") == 2
    assert "pip install 'tfselfsup[distributed]'" in one_line_of_error(capsys)


def made_with_score(content, workers, capsys):
    """Makes both runs, and puts something else where the score of one of them was."""
    run_here(*TWO)
    Path("out/fast_dqn_seed0/evaluation.json").write_text(content)
    workers.commands.clear()
    capsys.readouterr()


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_score_that_cannot_be_read_is_the_failure_of_its_run(content, workers, reported, capsys):
    made_with_score(content, workers, capsys)
    assert run_here(*TWO) == 1
    assert workers.runs == []
    printed, errors = capsys.readouterr()
    broken = next(line for line in printed.splitlines() if line.startswith("2/2"))
    assert ", broken: expected" in broken and "evaluation.json" in broken
    assert "nothing to do, 1 of 2 are done, 1 broken\n" in printed
    failed, last = errors.splitlines()
    assert failed.startswith("failed: out/fast_dqn_seed0: ") and "evaluation.json" in failed
    assert last.endswith("error: these runs failed: out/fast_dqn_seed0")


@pytest.mark.parametrize("content", ['{"kind": "agent"}', '{"kind": "classifier"}'])
def test_what_is_no_score_of_the_run_is_taken_again(content, workers, reported, capsys):
    made_with_score(content, workers, capsys)
    assert run_here(*TWO) == 0
    assert workers.runs == TWO_RUNS[2:]
    printed, errors = capsys.readouterr()
    assert "2/2 out/fast_dqn_seed0: 500,000 agent steps, unfinished, " in printed and errors == ""
    assert RunDirectory("out/fast_dqn_seed0").evaluation()["finished"] is True


# The real thing

TINY = {
    "data.fractions": "[0.7, 0.1, 0.2]",
    "encoder.trunk": "two_layer_cnn",
    "encoder.weights": "random",
    "encoder.side": 16,
    "scoring.resamples": 20,
}
AGENT = {"evaluation.episodes": 2, "environment.max_episode_steps": 30}


def test_an_agent_and_a_classifier_are_made_and_reported(capsys):
    settings = {
        "agents": {"experiments": ["atari/fast_random"], "overrides": AGENT},
        "classifiers": {
            "experiments": ["forged_faces/mobilenet_random", "forged_faces/resnet50_imagenet"],
            "overrides": TINY,
            "splices": 160,
            "splice_side": 32,
        },
    }
    settings["classifiers"]["experiments"][1] = "mine.yaml"
    Path("mine.yaml").write_text("probe: {solver: knn, neighbours: 5}\nencoder: {feature: map}\n")
    Path("all.yaml").write_text(json.dumps(settings))
    assert run_here("--config", "all.yaml", "--out", "out", "--jobs", "2") == 1
    captured = capsys.readouterr()
    # The one that cannot work is said in a line of its own program, and stops nothing.
    (failed,) = [line for line in captured.err.splitlines() if line.startswith("failed: ")]
    assert failed.startswith("failed: out/mine_seed0: train_classifier: error: expected encoder.f")
    for run in ("fast_random_seed0", "mobilenet_random_seed0"):
        assert RunDirectory(Path("out", run)).evaluation() is not None
    assert "| random " in captured.out and "two_layer_cnn" in captured.out
    log = Path("out/logs/mobilenet_random_seed0.log").read_text()
    assert "$ tfselfsup train_classifier --config" in log and "\r" not in log


# Stands for TensorFlow, which a program imports first: notes every Ctrl-C, and waits a while for
# more of them after the first.
COUNTING = """
import os, signal, time
from pathlib import Path

def note(number, frame):
    with open("interrupts", "a") as file:
        file.write("I")

signal.signal(signal.SIGINT, note)
Path("importing").write_text(str(os.getpgrp()))
end = time.monotonic() + 300
while not Path("interrupts").exists() and time.monotonic() < end:
    time.sleep(0.05)
time.sleep(1)
raise SystemExit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_reaches_the_programs_once_as_ctrl_c(number, tmp_path):
    (tmp_path / "tensorflow.py").write_text(COUNTING)
    script = (
        "import signal\n"
        "from tfselfsup.programs import reproduce, reproduction_estimates as estimates\n"
        # Tests that are run with nohup would hand it down.
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "estimates.measured_speeds = lambda planned: {}\n"
        "reproduce.main()\n"
    )
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    process = subprocess.Popen(
        [sys.executable, "-c", script, *TWO],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for _ in range(6000):
            if (tmp_path / "importing").exists():
                break
            time.sleep(0.05)
        # As a terminal does: all processes of the group get it.
        os.killpg(process.pid, number)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()  # which its program does not outlive
    assert process.returncode == 128 + number, errors
    assert "the same command goes on from there" in errors and errors.count("\n") == 1
    assert (tmp_path / "interrupts").read_text() == "I"
    # Two that come at the same moment are noted as one: so that the terminal's own is none of them.
    assert int((tmp_path / "importing").read_text()) != process.pid
    # The next run was not begun.
    logs = [file.name for file in (tmp_path / "out" / "logs").iterdir()]
    assert logs == ["fast_random_seed0.log"]


@pytest.mark.slow
def test_the_smoke_preset_makes_both_halves_of_the_study(tmp_path):
    command = [sys.executable, ROOT / "bin" / "reproduce", "--preset", "smoke"]
    subprocess.run(command, cwd=tmp_path, check=True)
    scores = {}
    for path in (tmp_path / "runs" / "smoke").glob("*/evaluation.json"):
        evaluation = json.loads(path.read_text())
        scores[path.parent.name] = evaluation.get("mean", evaluation.get("accuracy"))
    assert len(scores) == 9
    for agent in ("random", "dqn", "rotation", "sequence"):
        assert -21 <= scores.pop(f"fast_{agent}_seed0") <= -15
    assert all(0.2 <= accuracy <= 1 for accuracy in scores.values())
