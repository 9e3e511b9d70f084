import importlib.util
import json
import re
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serving import exported
from tfselfsup.benchmarks.stages import Interval
from tfselfsup.config import RuntimeConfig
from tfselfsup.models import hub_stand_in, trunks
from tfselfsup.programs import benchmark, benchmark_case, serve
from tfselfsup.report import aggregate


def case(base, task, speeds):
    intervals = [Interval(speed, {"act": 0.1, "learn": speed / 400}) for speed in speeds]
    return types.SimpleNamespace(
        base=base, task=task, precision="float32", intervals=intervals, steps_per_second=speeds
    )


def cells(table):
    """Each row of a Markdown table, by the names of the columns."""
    header, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    )
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_ratios_are_medians_of_those_of_each_turn():
    # The machine became half as fast in the second turn: ratios are not touched by that.
    plain = case("plain DQN", None, [200.0, 100.0, 220.0])
    task = case("plain DQN", "Rotation, joint", [120.0, 60.0, 110.0])
    peer = types.SimpleNamespace(name="a peer", steps_per_second=[80.0, 50.0, 55.0])
    rows = cells(benchmark._agents_table([plain, task], [peer]))
    assert rows[0] | {"act": "", "learn": ""} == {
        "agent": "plain DQN",
        "precision": "float32",
        "agent steps/s": "200",
        "from, to": "100, 220",
        "to the same without a task": "1.00",
        "to a peer": "2.50",  # of 2.5, 2 and 4
        "act": "",
        "learn": "",
    }
    assert (rows[0]["act"], rows[0]["learn"]) == ("10%", "50%")
    assert rows[1]["agent"] == "plain DQN, Rotation, joint"
    assert rows[1]["to the same without a task"] == "0.60"  # of 0.6, 0.6 and 0.5
    assert rows[1]["to a peer"] == "1.50"  # of 1.5, 1.2 and 2
    assert (rows[2]["agent"], rows[2]["agent steps/s"], rows[2]["act"]) == ("a peer", "55", "")


def test_all_take_turns():
    order = []
    runs = [lambda steps, name=name: order.append((name, steps)) for name in "ab"]
    benchmark._take_turns(runs, intervals=2, agent_steps=7)
    assert order == [("a", 7), ("b", 7)] * 2


@pytest.mark.parametrize("base", benchmark_case.BASES)
@pytest.mark.parametrize("task", benchmark_case.TASKS)
def test_cases_differ_in_what_their_names_say(base, task):
    settings = benchmark_case.experiment(base, task, "mixed_bfloat16", 16)
    assert settings.network.dueling == settings.agent.double_q == (base == "dueling double DQN")
    assert [chosen.name for chosen in settings.agent.tasks] == {
        None: [],
        "Rotation, joint": ["rotation"],
        "Sequence, alternate": ["frame_order"],
    }[task]
    assert task is None or task.endswith(settings.agent.mode)
    assert (settings.network.precision, settings.environment.num_envs) == ("mixed_bfloat16", 16)
    # What the peer is given too.
    assert (settings.agent.batch_size, settings.agent.update_period) == (32, 4)


def test_a_case_is_measured_in_a_process_of_its_own():
    assert benchmark_case._loop is None
    one = benchmark_case.Case("plain DQN", None, "float32", 8, RuntimeConfig())
    one.run(100)
    one.run(100)
    assert len(one.steps_per_second) == 2 and min(one.steps_per_second) > 5
    assert 0.1 < one.memory() < 4  # GiB
    assert benchmark_case._loop is None  # it is in the other process
    one.close()


@pytest.mark.parametrize("option", ["--peer_python", "--cleanrl_python"])
def test_a_peer_s_interpreter_that_is_not_there_is_a_user_s_mistake(option, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["agents", option, "no/such/python"])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "no/such/python" in message and message.count("\n") == 1


@pytest.fixture
def small_encoders(monkeypatch):
    """One trunk instead of all, which take minutes, and one that is not for photographs."""
    kept = {"tiny": trunks.TRUNKS["squeezenet"]._replace(side=64)}
    kept["two_layer_cnn"] = trunks.TRUNKS["two_layer_cnn"]
    monkeypatch.setattr(trunks, "TRUNKS", kept)
    monkeypatch.setattr(benchmark, "start_tensorflow", lambda runtime: None)


def test_encoders_and_modules_are_measured_in_turn(small_encoders, tmp_path, capsys):
    hub_stand_in.write_stand_in(tmp_path / "module")
    given = json.dumps([str(tmp_path / "module")])
    benchmark.main(["encoders", "--intervals", "2", "--batches", "1", "--modules", given])
    rows = cells(capsys.readouterr().out.strip())
    assert [(row["encoder"], row["side, pixels"], row["precision"]) for row in rows] == [
        (f"{tmp_path / 'module'} (stand-in)", "256", "float32"),
        ("tiny", "64", "float32"),
        ("tiny", "64", "mixed_bfloat16"),
    ]
    for row in rows:
        lowest, highest = map(float, row["from, to"].split(", "))
        cached = float(row["from the cache, images/s"].replace(",", ""))
        assert 0 < lowest <= float(row["images/s"]) <= highest < cached
        gain = float(row["gain"].replace(",", ""))
        assert gain == pytest.approx(cached / float(row["images/s"]), rel=0.02)


def test_a_module_that_is_not_there_is_one_line(small_encoders, capsys):
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["encoders", "--modules", '["no/such/module"]'])
    message = capsys.readouterr().err
    assert ended.value.code == 2 and "no/such/module" in message
    assert message.count("\n") == 1


FIRST_CASE, SECOND_CASE = [100.0, 300.0, 200.0], [400.0, 500.0, 900.0]  # agent steps/s


def test_more_and_more_games_are_measured_in_turn(monkeypatch, capsys):
    order, speeds = [], {1: iter(FIRST_CASE), 4: iter(SECOND_CASE)}

    class Here(ThreadPoolExecutor):
        """Stands for the process of a case, which trains for half a minute first."""

        def __init__(self, workers, mp_context):
            super().__init__(workers)

        def submit(self, call, *arguments):
            return super().submit(call, self, *arguments)

        def shutdown(self):
            super().shutdown()
            order.append((self.num_envs, "closed"))

    def warm_up(process, settings, runtime):
        process.num_envs = settings.environment.num_envs
        assert settings.network.precision == "mixed_bfloat16" and not settings.agent.tasks
        assert settings.agent.double_q is settings.network.dueling is False
        assert runtime.intra_op_threads == 2

    def measure(process, agent_steps):
        order.append((process.num_envs, agent_steps))
        return Interval(next(speeds[process.num_envs]), {"act": 0.25, "learn": 0.5})

    monkeypatch.setattr(benchmark, "GAMES", (1, 4))
    monkeypatch.setattr(benchmark_case, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(benchmark_case, "_warm_up", warm_up)
    monkeypatch.setattr(benchmark_case, "_measure", measure)
    monkeypatch.setattr(benchmark_case, "_peak_memory", lambda process: process.num_envs / 4)
    given = ("--intervals", "3", "--interval_steps", "50", "--runtime.intra_op_threads", "2")
    benchmark.main(["games", *given])
    columns = ("games", "agent steps/s", "from, to", "memory, GiB", "act", "learn")
    assert cells(capsys.readouterr().out.strip()) == [
        dict(zip(columns, row, strict=True))
        for row in (
            ("1", "200", "100, 300", "0.25", "25%", "50%"),
            ("4", "500", "400, 900", "1.00", "25%", "50%"),
        )
    ]
    assert order == [(1, 50), (4, 50)] * 3 + [(1, "closed"), (4, "closed")]


def test_replay_memories_of_all_sizes_are_measured(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "REPLAY_CAPACITIES", (2000,))
    monkeypatch.setattr(benchmark, "REPLAY_NUM_ENVS", (1, 8))
    benchmark.main(["replay"])
    rows = cells(capsys.readouterr().out.strip())
    assert list(rows[0]) == [
        *("transitions", "games", "sampling", "GiB", "append, us a row"),
        *("sample, ms a minibatch", "priorities, ms a minibatch"),
    ]
    assert [(row["transitions"], row["games"], row["sampling"]) for row in rows] == [
        *(("2,000", "1", "uniform"), ("2,000", "1", "prioritised")),
        *(("2,000", "8", "uniform"), ("2,000", "8", "prioritised")),
    ]
    for row in rows:
        assert 0.01 < float(row["GiB"]) < 0.1  # 2000 frames of 84x84 are 0.013
        assert float(row["append, us a row"]) > 0 and float(row["sample, ms a minibatch"]) > 0
        assert float(row["priorities, ms a minibatch"]) >= 0  # hardly any if all are alike


def test_probes_that_fail_are_counted(faces, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "start_tensorflow", lambda runtime: None)
    trunk = ("--trunk", "two_layer_cnn", "--weights", "random", "--seeds", "2")
    given = ("--data", str(faces), "--cache", str(tmp_path / "cache"), *trunk)
    benchmark.main(["probes", *given, "--run_dir", str(tmp_path / "counted")])
    # Before the table it says how long the features took.
    printed = capsys.readouterr().out
    rows = cells(printed[printed.index("| ") :].strip())
    assert list(rows[0]) == [
        *("probe", "scale", "runs", "diverged", "at_chance", "failed"),
        *("accuracy", "lowest", "highest"),
    ]
    assert [(row["scale"], row["probe"]) for row in rows] == [
        (scale, probe) for scale in ("0.001", "1.0", "1000.0") for probe in ("lbfgs", "adam", "knn")
    ]
    for row in rows:
        diverged, at_chance, failed = (
            int(row[name]) for name in ("diverged", "at_chance", "failed")
        )
        assert row["runs"] == "2"
        assert max(diverged, at_chance) <= failed <= min(diverged + at_chance, 2)
        if diverged < 2:
            assert 0 <= float(row["lowest"]) <= float(row["accuracy"]) <= float(row["highest"]) <= 1
    # Those that have no step to be set see the scale by rounding only.
    for probe in ("lbfgs", "knn"):
        means = [float(row["accuracy"]) for row in rows if row["probe"] == probe]
        assert max(means) - min(means) < 0.05
    # What is printed is what bin/report shows.
    (counted,), left_out = aggregate.read_runs([tmp_path / "counted"])
    assert left_out == [] and counted.evaluation["model"] == "two_layer_cnn"
    assert [str(row["failed"]) for row in counted.evaluation["probes"]] == [
        row["failed"] for row in rows
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"metrics.csv": ""}, "expected a new folder, or one of counted probes, for --run_dir"),
        (
            {"config.yaml": "data: {path: others}\n", "evaluation.json": '{"kind": "probes"}'},
            "holds a run with data.path=others, got no/such/data",
        ),
        ({"config.yaml": "environment: {game: pong}\n"}, "ClassifierExperiment"),
    ],
)
def test_probes_are_not_counted_into_the_folder_of_another_run(
    files, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(benchmark, "start_tensorflow", lambda runtime: None)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit) as ended:  # before the data are even looked for
        benchmark.main(["probes", "--data", "no/such/data", "--run_dir", str(tmp_path)])
    printed = capsys.readouterr().err
    assert ended.value.code == 2 and printed.count("\n") == 1
    assert message in printed and str(tmp_path) in printed


def test_a_count_that_was_interrupted_is_begun_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "start_tensorflow", lambda runtime: None)
    for _ in range(2):
        with pytest.raises(SystemExit):
            benchmark.main(["probes", "--data", "no/such/data", "--run_dir", str(tmp_path / "run")])
        assert "no/such/data" in capsys.readouterr().err
    assert (tmp_path / "run" / "config.yaml").exists()


def serving(folder, capsys, *arguments):
    benchmark.main(["serving", "--model", str(folder), *map(str, arguments)])
    return capsys.readouterr().out


def test_a_served_model_is_put_under_load(tmp_path):
    pytest.importorskip("ray.serve", reason="needs the extra 'serving'")
    exported.colours(tmp_path / "colours" / "1")
    # In a process of its own: Ray Serve cannot be started twice in one.
    command = ("benchmark", "serving", "--model", str(tmp_path), "--requests", "60")
    printed = subprocess.run(
        [sys.executable, "-m", "tfselfsup", *command], capture_output=True, text=True, check=True
    )
    table, _, note = printed.stdout.strip().rpartition("\n\n")
    rows = cells(table)
    assert [row["asked"] for row in rows] == [
        "directly, 1 at a time",
        "directly, 32 at a time",
        "over HTTP, 1 clients",
        "over HTTP, 8 clients",
        "over HTTP, 32 clients",
    ]
    assert [row["refused"] for row in rows] == ["0", "0", "6", "6", "6"]
    assert {(row["lost"], row["mixed up"]) for row in rows} == {("0", "0")}
    assert all(float(row["images/s"]) > 0 for row in rows)
    assert all(float(row["median, ms"]) <= float(row["95th percentile, ms"]) for row in rows)
    largest, smallest = re.findall(r"at (?:most|least) ([\d.e+-]+\d)", note)
    assert float(largest) < float(smallest)


@pytest.mark.parametrize("models", [(), ("a", "b")])
def test_not_one_model_to_serve_is_one_line(tmp_path, monkeypatch, capsys, models):
    monkeypatch.setattr(serve, "require_extra", lambda: None)
    for name in models:
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "saved_model.pb").touch()
    with pytest.raises(SystemExit) as ended:
        serving(tmp_path, capsys)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_the_extra_serving_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        serving(tmp_path, capsys)
    message = capsys.readouterr().err
    assert ended.value.code == 2 and "[serving]" in message and message.count("\n") == 1
