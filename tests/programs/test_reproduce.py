import csv
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

from tfselfsup import command_line, config
from tfselfsup.programs import evaluate_agent, reproduce
from tfselfsup.runs import RunDirectory

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path, monkeypatch):
    # Programs run anywhere, and write below the folder they run in.
    monkeypatch.chdir(tmp_path)


class FakeProcess:
    """Ends with a status; or is interrupted while it is waited for, and ends at the second wait."""

    def __init__(self, status):
        self.status = status

    def wait(self):
        status, self.status = self.status, 130
        if isinstance(status, KeyboardInterrupt):
            raise status
        return status


class FakePrograms:
    """In place of subprocess.Popen: does at once what the programs take hours for.

    Attributes:
        commands: What was run, without the interpreter.
        statuses: Exit status by program and run directory's name; 0 for all others.
    """

    def __init__(self):
        self.commands = []
        self.statuses = {}

    def popen(self, command, env):
        assert command[:3] == [sys.executable, "-m", "tfselfsup"]
        # A clone's programs must find its package from any folder.
        assert env["PYTHONPATH"].split(os.pathsep)[0] == str(ROOT)
        name, *arguments = command[3:]
        self.commands.append((name, *arguments))
        run = RunDirectory(arguments[-1] if name == "train_agent" else arguments[0])
        status = self.statuses.get((name, run.path.name), 0)
        if status == 0:
            {"train_agent": self._train, "evaluate_agent": self._evaluate}[name](run, arguments)
        return FakeProcess(status)

    def _train(self, run, arguments):
        assert arguments[-2] == "--run_dir"
        parser = command_line.experiment_parser("")
        run.start(
            command_line.built(config.AgentExperiment, parser, parser.parse_args(arguments[:-2]))
        )

    def _evaluate(self, run, _):
        experiment = run.experiment()
        learns = experiment.agent.kind != "random"
        scores = [float(index % 2) for index in range(experiment.evaluation.episodes)]
        run.write_evaluation(
            {
                "kind": "agent",
                "agent": "dqn" if learns else "random",
                "task": None,
                "mode": None,
                "game": experiment.environment.game,
                "seed": experiment.seed,
                "agent_steps": experiment.total_steps if learns else 0,
                "total_steps": experiment.total_steps if learns else 0,
                "finished": True,
                "episodes": len(scores),
                "mean": sum(scores) / len(scores),
                "std": 0.5,
                "median": 0.5,
                "scores": scores,
                "protocol": evaluate_agent.protocol(experiment),
            }
        )

    @property
    def runs(self) -> list[tuple[str, str]]:
        """The program and the run directory's name of each command."""
        return [
            (name, Path(arguments[-1] if name == "train_agent" else arguments[0]).name)
            for name, *arguments in self.commands
        ]


@pytest.fixture
def programs(monkeypatch):
    fake = FakePrograms()
    monkeypatch.setattr(reproduce, "subprocess", types.SimpleNamespace(Popen=fake.popen))
    return fake


@pytest.fixture
def no_report(monkeypatch):
    # Figures take a second, and are tested elsewhere.
    monkeypatch.setattr(reproduce, "write_report", lambda run_dirs, out: "")


TWO = ("--experiments", "[atari/fast_random, atari/fast_dqn]", "--out", "out")
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


# The plan


def test_a_plan_has_every_experiment_with_every_seed():
    reproduction = config.Reproduction(
        ("atari/fast_random", "atari/paper_rotation"), seeds=(0, 3), overrides={}
    )
    planned = reproduce.plan(reproduction, Path("out"))
    assert [(str(one.run.path), one.experiment.seed) for one in planned] == [
        ("out/fast_random_seed0", 0),
        ("out/fast_random_seed3", 3),
        ("out/paper_rotation_seed0", 0),
        ("out/paper_rotation_seed3", 3),
    ]
    assert [one.experiment.agent.kind for one in planned] == ["random", "random", "dqn", "dqn"]
    assert planned[2].experiment.agent.tasks == (config.TaskConfig("rotation"),)


def test_a_classifier_is_no_experiment_of_a_reproduction():
    with pytest.raises(ValueError, match="experiments of agents, got digits/two_layer_cnn"):
        reproduce.plan(config.Reproduction(("digits/two_layer_cnn",)), Path("out"))


def test_overrides_replace_settings_of_every_kind():
    overrides = {
        "total_steps": 50,
        "environment.game": "breakout",
        "agent.double_q": False,
        "agent.learning_rate": 0.001,
        "agent.tasks": "[{name: frame_order, options: {classes: 4}}]",
        "seed": 9,
    }
    reproduction = config.Reproduction(("atari/fast_dqn",), (2,), overrides)
    (one,) = reproduce.plan(reproduction, Path("out"))
    experiment = one.experiment
    assert (experiment.total_steps, experiment.environment.game) == (50, "breakout")
    assert (experiment.agent.double_q, experiment.agent.learning_rate) == (False, 1e-3)
    assert experiment.agent.tasks == (config.TaskConfig("frame_order", 1.0, {"classes": 4}),)
    assert experiment.seed == 2  # the plan's, which names the folder
    assert experiment.agent.n_step == 3  # the experiment's own
    # The options are what the training is started with.
    assert command_line.load_experiment("atari/fast_dqn", one.options[2:]) == experiment


def test_an_experiment_may_be_a_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("agent: {n_step: 7}\n")
    (one,) = reproduce.plan(config.Reproduction(("mine.yaml",)), Path("out"))
    assert (one.experiment.agent.n_step, str(one.run.path)) == (7, "out/mine_seed0")


def test_the_smoke_preset_is_the_studys_four_agents_with_few_steps(capsys, programs):
    assert run_here("--preset", "smoke", "--dry_run") == 0
    assert capsys.readouterr().out.splitlines() == [
        "1/4 runs/smoke/fast_random_seed0: 0 agent steps, to do",
        "2/4 runs/smoke/fast_dqn_seed0: 6000 agent steps, to do",
        "3/4 runs/smoke/fast_rotation_seed0: 6000 agent steps, to do",
        "4/4 runs/smoke/fast_sequence_seed0: 6000 agent steps, to do",
    ]


def test_every_preset_can_be_planned(capsys, programs):
    presets = sorted(path.stem for path in (ROOT / "configs" / "reproduce").glob("*.yaml"))
    assert "smoke" in presets
    for preset in presets:
        assert run_here("--preset", preset, "--dry_run") == 0
        written = yaml.safe_load((ROOT / "configs" / "reproduce" / f"{preset}.yaml").read_text())
        count = len(written["experiments"]) * len(written["seeds"])
        assert capsys.readouterr().out.count("to do\n") == count


@pytest.mark.parametrize(
    "given",
    [
        ("--preset", "smoke", "--seeds", "[1, 2]"),
        ("--seeds", "[1, 2]", "--preset=smoke"),
        ("--config", "reproduce/smoke", "--seeds", "[1, 2]"),
        ("--config=reproduce/smoke", "--seeds", "[1, 2]"),
    ],
)
def test_options_replace_the_presets(given, capsys, programs):
    options = ("--overrides.total_steps", "100", "--out", "out", "--dry_run")
    assert run_here(*given, *options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8 and lines[2] == "3/8 out/fast_dqn_seed1: 100 agent steps, to do"


def test_one_override_more_keeps_the_presets_others(programs, no_report):
    given = ("--preset", "smoke", "--experiments", "[atari/fast_dqn]", "--out", "out")
    assert run_here(*given, "--overrides.total_steps", "100") == 0
    experiment = RunDirectory("out/fast_dqn_seed0").experiment()
    assert (experiment.total_steps, experiment.agent.learning_starts) == (100, 1500)


def test_a_dry_run_runs_and_writes_nothing(programs, tmp_path):
    assert run_here(*TWO, "--dry_run") == 0
    assert programs.commands == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), ["experiments"]),
        (("--preset", "smok"), ["--preset", "'smok'", "smoke"]),
        (("--preset=smok",), ["--preset", "'smok'", "smoke"]),
        (("--experiments", "[atari/fast_dqm]"), ["atari/fast_dqm"]),
        ((*TWO, "--overrides", "{agent.n_steps: 3}"), ["agent.n_steps", "agent.n_step"]),
        ((*TWO, "--overrides", "{agent.n_step: many}"), ["agent.n_step", "many"]),
        ((*TWO, "--seeds", "[-1]"), ["seeds", "-1"]),
    ],
)
def test_a_bad_option_is_one_line_before_anything_runs(given, told, programs, capsys, tmp_path):
    assert run_here(*given) == 2
    message = one_line_of_error(capsys)
    for part in told:
        assert part in message
    assert programs.commands == [] and list(tmp_path.iterdir()) == []


# What is run


def test_every_run_is_trained_and_scored_and_then_reported(programs, capsys):
    assert run_here(*TWO) == 0
    assert programs.runs == TWO_RUNS
    dqn = ROOT / "configs" / "atari" / "fast_dqn.yaml"
    assert programs.commands[2] == (
        *("train_agent", "--config", str(dqn), "--seed", "0"),
        *("--run_dir", "out/fast_dqn_seed0"),
    )
    assert programs.commands[3] == ("evaluate_agent", "out/fast_dqn_seed0")
    printed = capsys.readouterr().out
    assert Path("out/report.md").read_text() in printed
    assert "| dqn " in printed and "published" in printed


def test_done_runs_are_not_run_again_and_are_reported(programs, capsys):
    run_here(*TWO)
    programs.commands.clear()
    first = Path("out/report.md").read_text()
    capsys.readouterr()
    assert run_here(*TWO) == 0
    assert programs.commands == []
    printed = capsys.readouterr().out
    assert printed.splitlines()[:2] == [
        "1/2 out/fast_random_seed0: 0 agent steps, done",
        "2/2 out/fast_dqn_seed0: 500000 agent steps, done",
    ]
    assert Path("out/report.md").read_text() == first and first in printed


def test_only_what_is_new_runs(programs, no_report):
    run_here(*TWO)
    programs.commands.clear()
    assert run_here(*TWO, "--seeds", "[0, 1]") == 0
    assert programs.runs == [(name, run.replace("0", "1")) for name, run in TWO_RUNS]


@pytest.mark.parametrize(
    "override", ["evaluation.episodes: 7", "evaluation.epsilon: 0.05", "total_steps: 600000"]
)
def test_a_score_of_other_settings_is_not_the_one_that_was_asked_for(override, programs, no_report):
    run_here(*TWO)
    programs.commands.clear()
    assert run_here(*TWO, "--overrides", f"{{{override}}}") == 0
    assert ("train_agent", "fast_dqn_seed0") in programs.runs
    assert ("evaluate_agent", "fast_dqn_seed0") in programs.runs
    programs.commands.clear()
    assert run_here(*TWO, "--overrides", f"{{{override}}}") == 0
    assert programs.commands == []


def test_a_score_taken_before_the_last_step_is_not_the_final_one(programs, no_report):
    run_here(*TWO)
    run = RunDirectory("out/fast_dqn_seed0")
    run.write_evaluation(run.evaluation() | {"agent_steps": 499_999, "finished": False})
    programs.commands.clear()
    assert run_here(*TWO) == 0
    assert programs.runs == TWO_RUNS[2:]


def test_the_score_of_the_best_checkpoint_is_final_although_that_is_earlier(programs, no_report):
    best = ("--overrides", "{evaluation.checkpoint: best}")
    run_here(*TWO, *best)
    run = RunDirectory("out/fast_dqn_seed0")
    run.write_evaluation(run.evaluation() | {"agent_steps": 400_000})
    programs.commands.clear()
    assert run_here(*TWO, *best) == 0
    assert programs.commands == []


def test_an_unfinished_run_is_gone_on_with_by_the_same_command(programs, no_report, capsys):
    programs.statuses["train_agent", "fast_dqn_seed0"] = 1
    run_here(*TWO)
    # It got as far as a run directory.
    interrupted = programs.commands[-1]
    programs._train(RunDirectory("out/fast_dqn_seed0"), interrupted[1:])
    programs.statuses.clear()
    programs.commands.clear()
    capsys.readouterr()
    assert run_here(*TWO) == 0
    assert "2/2 out/fast_dqn_seed0: 500000 agent steps, unfinished\n" in capsys.readouterr().out
    assert programs.runs == TWO_RUNS[2:] and programs.commands[0] == interrupted


@pytest.mark.parametrize("program", ["train_agent", "evaluate_agent"])
def test_a_run_that_fails_stops_no_other_and_gives_status_1(program, programs, capsys):
    programs.statuses[program, "fast_random_seed0"] = 1
    assert run_here(*TWO) == 1
    failed = TWO_RUNS[:1] if program == "train_agent" else TWO_RUNS[:2]
    assert programs.runs == failed + TWO_RUNS[2:]
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].endswith("error: these runs failed: out/fast_random_seed0")
    assert "left out: out/fast_random_seed0: " in captured.err
    assert "| dqn " in captured.out  # the others are reported


def test_status_1_also_if_every_run_fails(programs, capsys):
    for run in ("fast_random_seed0", "fast_dqn_seed0"):
        programs.statuses["train_agent", run] = 1
    assert run_here(*TWO) == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("error: these runs failed: out/fast_random_seed0, out/fast_dqn_seed0")
    )


# The second: Ctrl-C reaches both processes, and the trained one needs a moment to save its run.
@pytest.mark.parametrize("how", [130, KeyboardInterrupt()])
def test_ctrl_c_stops_the_reproduction(how, programs, capsys):
    programs.statuses["train_agent", "fast_random_seed0"] = how
    assert run_here(*TWO) == 130
    assert programs.runs == TWO_RUNS[:1]
    assert "the same command goes on from there" in one_line_of_error(capsys)
    assert not Path("out/report.md").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "agent"}', '{"kind": "classifier"}'])
def test_a_run_whose_score_cannot_be_read_gives_no_traceback(content, programs, no_report, capsys):
    run_here(*TWO)
    Path("out/fast_dqn_seed0/evaluation.json").write_text(content)
    programs.commands.clear()
    capsys.readouterr()
    status = run_here(*TWO)
    # Either it is scored again, or one line says what is wrong.
    if status == 0:
        assert programs.runs[-1] == TWO_RUNS[-1]
    else:
        assert status == 2 and "evaluation.json" in one_line_of_error(capsys)


# The real thing

TINY = {
    "total_steps": 160,
    "environment.num_envs": 4,
    "environment.max_episode_steps": 30,
    "network.precision": "float32",
    "network.hidden_units": 16,
    "agent.batch_size": 8,
    "agent.learning_starts": 1000,  # never, as learning costs the most and is tested elsewhere
    "replay.capacity": 1000,
    "logging.period": 40,
    "evaluation.episodes": 2,
    "evaluation.curve_period": 80,
    "evaluation.curve_episodes": 1,
}


def test_an_agent_is_trained_scored_and_reported_beside_the_published_figure(tmp_path):
    command = [sys.executable, ROOT / "bin" / "reproduce", "--experiments", "[atari/fast_sequence]"]
    command += ["--overrides", json.dumps(TINY), "--out", "out"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    table = [line.split("|") for line in finished.stdout.splitlines() if line.startswith("| ")]
    header, *rows = [[cell.strip() for cell in line[1:-1]] for line in table]
    assert header[:3] == ["agent", "published", "measured"]
    (row,) = [row for row in rows if row[0] == "sequence"]
    evaluation = RunDirectory(tmp_path / "out" / "fast_sequence_seed0").evaluation()
    assert row[1:3] == ["18.20", f"{evaluation['mean']:.2f}"]
    for name in ("figures/pong_over_agent_steps.png", "tables/pong.csv", "report.md"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    assert "pong_over_agent_steps.png" in finished.stdout


@pytest.mark.slow
def test_the_smoke_preset_trains_the_studys_four_agents(tmp_path):
    command = [sys.executable, ROOT / "bin" / "reproduce", "--preset", "smoke"]
    subprocess.run(command, cwd=tmp_path, check=True)
    preset = yaml.safe_load((ROOT / "configs" / "reproduce" / "smoke.yaml").read_text())
    games = str(preset["overrides"]["evaluation.episodes"])
    with (tmp_path / "runs" / "smoke" / "tables" / "pong.csv").open() as file:
        rows = {row["agent"]: row for row in csv.DictReader(file)}
    for agent in ("random", "dqn", "rotation", "sequence"):
        assert rows[agent]["games"] == games
        assert -21 <= float(rows[agent]["measured"]) <= -15
