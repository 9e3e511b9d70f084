import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.programs import made_up_program
from tests.programs.made_up_program import appeared, is_alive
from tfselfsup.programs.program_processes import Calls, LocalWorkers, Outcome, run_programs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def calls(tmp_path):
    """Calls a made-up program, several times if there are several lists of arguments."""
    environment = made_up_program.environment(tmp_path / "package") | {"MINE": "7"}

    def calls(*arguments, name="run"):
        commands = tuple(("act", *given) for given in arguments)
        return Calls(commands, tmp_path / "logs" / f"{name}.log", tmp_path, environment)

    return calls


def run(given):
    return run_programs(given, threading.Event())


def test_programs_run_one_after_another_and_are_logged(calls, tmp_path):
    given = calls(("say=first",), ("where",))
    assert run(given) == Outcome(0, "")
    assert given.log.read_text().splitlines() == [
        *("$ tfselfsup act say=first", "first"),
        *("$ tfselfsup act where", f"{tmp_path} 7 1"),
    ]
    # A log goes on where it ended.
    assert run(given) == Outcome(0, "")
    assert given.log.read_text().count("\nfirst\n") == 2


def test_a_program_that_fails_says_why_and_the_next_does_not_run(calls, tmp_path):
    failing = ("say=much before", "say=act: error: expected x, got y", "exit=2")
    outcome = run(calls(failing, ("touch=next",)))
    assert outcome == Outcome(2, "act: error: expected x, got y")
    assert not (tmp_path / "next").exists()


def test_a_program_that_fails_silently_has_its_status(calls):
    # What another program said before is no reason.
    assert run(calls(("say=fine",), ("exit=3",))) == Outcome(3, "status 3")


def test_a_program_that_a_signal_ends_says_which(calls):
    outcome = run(calls((f"kill={int(signal.SIGKILL)}",)))
    assert outcome == Outcome(-signal.SIGKILL, "ended by SIGKILL")


def test_a_log_that_cannot_be_written_is_the_failure_of_one_run(calls, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").mkdir()
    workers = LocalWorkers(1)
    for name in ("a", "b"):
        workers.start(name, calls(("touch=" + name,), name=name))
    found = {}
    while len(found) < 2:
        found |= workers.ended(10)
    workers.stop()
    assert found["b"] == Outcome(0, "") and (tmp_path / "b").exists()
    assert found["a"].status == 1 and "a.log" in found["a"].reason
    assert not (tmp_path / "a").exists()


def test_workers_run_several_at_once_and_in_turn(calls):
    workers = LocalWorkers(2)
    for name in ("a", "b"):
        workers.start(name, calls((f"say={name}",), name=name))
    found = {}
    while len(found) < 2:
        found |= workers.ended(10)
    assert found == {"a": Outcome(0, ""), "b": Outcome(0, "")}
    assert workers.ended(0.01) == {}
    workers.stop()


def test_stopping_lets_programs_save_and_starts_no_other(calls, tmp_path):
    workers = LocalWorkers(2)
    for name in ("a", "b"):
        working = (f"touch={name}_begun", f"work={name}_saved")
        workers.start(name, calls(working, (f"touch={name}_next",), name=name))
    for name in ("a", "b"):
        appeared(tmp_path / f"{name}_begun")
    workers.stop()
    assert {name: outcome.status for name, outcome in workers.ended(0).items()} == {
        "a": 130,
        "b": 130,
    }
    for name in ("a", "b"):
        assert (tmp_path / f"{name}_saved").read_text() == "saved"
        assert not (tmp_path / f"{name}_next").exists()


def test_a_program_ends_with_the_process_that_waits_for_it(tmp_path, calls):
    given = calls(("touch=begun", "work=saved"))
    script = (
        "import threading\n"
        "from pathlib import Path\n"
        "from tfselfsup.programs import program_processes as p\n"
        f"places = Path({str(given.log)!r}), Path({str(tmp_path)!r})\n"
        f"calls = p.Calls({given.commands!r}, *places, {given.environment!r})\n"
        "p.run_programs(calls, threading.Event())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    waiting = subprocess.Popen([sys.executable, "-c", script], env=environment)
    program = int(appeared(tmp_path / "begun"))
    assert is_alive(program)
    waiting.kill()
    waiting.wait()
    for _ in range(100):
        if not is_alive(program):
            break
        time.sleep(0.05)
    assert not is_alive(program) and not (tmp_path / "saved").exists()
