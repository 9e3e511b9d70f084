import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import made_up_program
from tests.programs.made_up_program import appeared, is_alive
from tfselfsup.programs import reproduce, reproduction_estimates
from tfselfsup.programs.program_processes import Calls, Outcome
from tfselfsup.programs.reproduction_on_ray import RayWorkers, reserved_processors
from tfselfsup.runs import RunDirectory

pytest.importorskip("ray", reason="needs the extra 'distributed'")


@contextlib.contextmanager
def ray_here(slots):
    """Ray on this machine, with so many workers."""
    try:
        workers = RayWorkers("local", slots, threads=1)
    except ValueError as error:
        # That a busy machine does not start a node within Ray's own time is no fault of ours.
        if not re.search("timed out", str(error), re.IGNORECASE):
            raise
        pytest.skip(str(error))
    try:
        yield workers
    finally:
        workers.stop()


@pytest.fixture
def workers():
    with ray_here(slots=2) as workers:
        yield workers


@pytest.mark.parametrize(
    ("threads", "processors", "reserved"),
    [(2, [4], 2), (8, [4, 6], 6), (3, [0], 1), (3, [None], 1), (3, [], 1), (2, [0, 1], 1)],
)
def test_a_run_gets_no_more_processors_than_a_machine_has(threads, processors, reserved):
    nodes = [{"Resources": {} if own is None else {"CPU": float(own)}} for own in processors]
    assert reserved_processors(threads, nodes) == reserved


def test_local_means_here_whatever_cluster_is_named(monkeypatch):
    import ray

    # There Ray would be looked for if it were asked for no place.
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with ray_here(slots=1) as workers:
        assert ray.cluster_resources()["CPU"] == 1 and workers.slots == 1


@pytest.fixture
def calls(tmp_path):
    """Calls the made-up program."""
    environment = made_up_program.environment(tmp_path / "package") | {"MINE": "7"}

    def calls(name, *arguments):
        return Calls((("act", *arguments),), tmp_path / f"{name}.log", tmp_path, environment)

    return calls


def all_ended(workers, count):
    found = {}
    for _ in range(300):
        found |= workers.ended(1.0)
        if len(found) == count:
            return found
    raise AssertionError(f"only {found} ended")


def test_runs_are_tasks_that_run_side_by_side(workers, calls, tmp_path):
    assert workers.slots == 2
    workers.start("good", calls("good", "where"))
    workers.start("bad", calls("bad", "say=act: error: expected x, got y", "exit=2"))
    assert all_ended(workers, 2) == {
        "good": Outcome(0, ""),
        "bad": Outcome(2, "act: error: expected x, got y"),
    }
    assert workers.ended(0.1) == {}
    # In the folder and the environment of the caller, wherever the worker is.
    assert (tmp_path / "good.log").read_text().splitlines()[-1] == f"{tmp_path} 7 1"


def test_a_run_whose_worker_is_killed_goes_on_in_another(workers, calls, tmp_path):
    workers.start("run", calls("run", "resume=checkpoint", "touch=finished"))
    program, worker = map(int, appeared(tmp_path / "checkpoint").split())
    assert worker != os.getpid()
    os.kill(worker, signal.SIGKILL)
    assert all_ended(workers, 1) == {"run": Outcome(0, "")}
    assert (tmp_path / "finished").exists()
    # The first program did not go on beside the second, which could not have had its run.
    assert not is_alive(program)
    assert (tmp_path / "run.log").read_text().count("$ tfselfsup act") == 2


@pytest.mark.slow  # on a busy machine Ray now and then kills a worker before its run has saved
def test_stopping_lets_runs_save(workers, calls, tmp_path):
    for name in ("a", "b"):
        workers.start(name, calls(name, f"touch={name}_begun", f"work={name}_saved"))
    for name in ("a", "b"):
        appeared(tmp_path / f"{name}_begun")
    workers.stop()
    for name in ("a", "b"):
        assert (tmp_path / f"{name}_saved").read_text() == "saved"


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "127.0.0.1:port"]
)
def test_a_cluster_that_is_not_there_is_a_user_s_mistake_at_once(address):
    started = time.monotonic()
    with pytest.raises(ValueError, match="ray start"):
        RayWorkers(address, slots=2, threads=1)
    # Ray itself tries for a minute and more.
    assert time.monotonic() - started < 50


OUT_OF_MEMORY = """
import sys
from pathlib import Path
from tfselfsup.programs import reproduction_on_ray as on_ray
from tfselfsup.programs.program_processes import Calls
on_ray.RETRIES = 1
workers = on_ray.RayWorkers("local", slots=1, threads=1)
calls = Calls((("act", "work=saved"),), Path("run.log"), Path(), {"PYTHONPATH": sys.argv[1]})
workers.start("run", calls)
found = {}
while not found:
    found = workers.ended(10)
workers.stop()
print(found["run"].status, found["run"].reason)
"""


@pytest.mark.slow
def test_a_run_that_the_memory_does_not_suffice_for_is_not_repeated_without_end(tmp_path):
    made_up_program.environment(tmp_path / "package")
    # Ray reads these once in a process; no worker is small enough for such a machine.
    own = {
        "RAY_memory_usage_threshold": "0.01",
        "RAY_memory_monitor_refresh_ms": "100",
        "RAY_task_oom_retry_delay_base_ms": "100",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    command = [sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path / "package")]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.startswith("1 ") and "memory" in done.stdout


def _programs_at_work(folder):
    """Lists the processes that train in a folder, each with its parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().decode().split("\0")
            parent = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if "train_agent" in command and str(folder) in command:
            found.append((int(path.name), parent))
    return found


@pytest.mark.slow
def test_agents_are_made_although_a_worker_is_killed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(reproduction_estimates, "measured_speeds", lambda planned: {})
    killed = []
    folder = Path("out/fast_dqn_seed0")
    ended = RayWorkers.ended

    def ended_after_a_murder(self, seconds):
        if not killed and RunDirectory(folder).checkpoints():
            ((program, worker),) = _programs_at_work(folder)
            os.kill(worker, signal.SIGKILL)
            killed.append(program)
        return ended(self, min(seconds, 0.1))

    monkeypatch.setattr(RayWorkers, "ended", ended_after_a_murder)
    settings = {
        "total_steps": 20_000,
        "environment.num_envs": 4,
        "network.precision": "float32",
        "agent.update_period": 1000,  # rarely, as learning costs the most
        "replay.capacity": 1000,
        "logging.period": 1000,
        "logging.checkpoint_period": 2000,
        "evaluation.episodes": 2,
        "evaluation.curve_period": 0,
        "evaluation.num_envs": 2,
        "environment.max_episode_steps": 50,
    }
    overrides = ["--agents.overrides", json.dumps(settings)]
    options = ["--agents.experiments", "[atari/fast_dqn]", "--agents.seeds", "[0, 1]"]
    reproduce.main([*options, *overrides, "--out", "out", "--ray", "local", "--jobs", "2"])
    assert killed
    printed = capsys.readouterr().out
    for seed in (0, 1):
        run = RunDirectory(f"out/fast_dqn_seed{seed}")
        assert run.evaluation()["finished"] and f"{run.path.name}: done in " in printed
        steps = [int(row["agent_steps"]) for row in run.metrics()]
        assert steps == sorted(set(steps)) and steps[-1] >= 20_000
    log = Path("out/logs/fast_dqn_seed0.log").read_text()
    assert log.count("$ tfselfsup train_agent") == 2
    assert Path("out/logs/fast_dqn_seed1.log").read_text().count("$ tfselfsup train_agent") == 1
