import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfselfsup import __main__ as entry
from tfselfsup.programs import report

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted(path.name for path in (ROOT / "bin").iterdir())


def command(*arguments, packages: Path | None = None, **settings):
    """Runs a command; modules of the folder `packages` come before the installed ones."""
    path = os.pathsep.join(map(str, filter(None, (packages, ROOT))))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        **settings,
    )


def assert_one_line_of_error(finished, status=2) -> str:
    assert (finished.returncode, finished.stdout) == (status, ""), finished.stderr
    assert finished.stderr.count("\n") == 1 and finished.stderr.endswith("\n"), finished.stderr
    return finished.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_without_a_name_the_programs_are_listed(arguments):
    finished = command("-m", "tfselfsup", *arguments)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.splitlines()[-1] == f"programs: {', '.join(PROGRAMS)}"


def test_the_documented_programs_are_there():
    assert {"evaluate_agent", "report", "reproduce", "train_agent"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", ["trainagent", "agent_parts", "startup", "--config"])
def test_an_unknown_program_gives_the_known_ones(name):
    message = assert_one_line_of_error(command("-m", "tfselfsup", name))
    assert f"got '{name}'" in message and ", ".join(PROGRAMS) in message


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_the_same_by_its_name_and_by_its_file(name, tmp_path):
    by_name = command("-m", "tfselfsup", name, "--help")
    by_file = command(ROOT / "bin" / name, "--help", cwd=tmp_path)
    assert (by_name.returncode, by_name.stderr) == (0, "")
    assert by_name.stdout.startswith(f"usage: {name} ")
    assert (by_file.returncode, by_file.stdout) == (0, by_name.stdout)


def test_a_file_in_bin_runs_the_program_of_its_name_from_its_own_clone(tmp_path):
    # The environment's installed package is another one, and must not be taken.
    programs = tmp_path / "tfselfsup" / "programs"
    programs.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "bin" / "report", tmp_path / "bin" / "where")
    shutil.copy(ROOT / "tfselfsup" / "__main__.py", programs.parent)
    (programs.parent / "__init__.py").touch()
    (programs / "__init__.py").touch()
    (programs / "where.py").write_text(
        "import sys\n\n\ndef main():\n    print(__file__, *sys.argv[1:])\n"
    )
    finished = command(tmp_path / "bin" / "where", "--an_option", "1")
    assert finished.stdout == f"{programs / 'where.py'} --an_option 1\n", finished.stderr


def test_another_python_is_refused_before_anything_is_imported(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    monkeypatch.setattr(sys, "version", "3.12.1 (main)")
    with pytest.raises(SystemExit) as ended:
        entry.run("there_is_no_such_program")
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "tfselfsup: error: expected Python 3.11, got 3.12.1; see README.md\n"
    )


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("jsonargparse", ("train_agent", "--help")),
        # Imported only once the options are known.
        ("tensorflow", ("train_agent", "--run_dir", "run")),
        ("pandas", ("report", "run", "--out", "out")),
    ],
)
def test_a_missing_package_is_named_in_one_line(package, arguments, tmp_path):
    (tmp_path / f"{package}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n"
    )
    finished = command("-m", "tfselfsup", *arguments, packages=tmp_path, cwd=tmp_path)
    message = assert_one_line_of_error(finished)
    assert f"'{package}' is not installed" in message and "README.md" in message


def test_a_mistake_in_our_own_imports_is_no_missing_package(monkeypatch):
    with pytest.raises(ModuleNotFoundError, match="tfselfsup.programs.no_such_program"):
        entry.run("no_such_program")


def test_ctrl_c_in_a_program_gives_status_130_without_a_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "main", interrupted)
    with pytest.raises(SystemExit) as ended:
        entry.run("report")
    assert ended.value.code == 130
    assert ended.value.__cause__ is None
    assert capsys.readouterr() == ("", "")


def test_ctrl_c_while_tensorflow_is_imported(tmp_path):
    # In place of TensorFlow, whose import may swallow an exception that a signal raises in it.
    (tmp_path / "tensorflow.py").write_text(
        "import signal, time\n"
        # Left ignored in processes that were started in the background.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "open('importing', 'w').close()\n"
        "time.sleep(60)\n"
    )
    path = os.pathsep.join(map(str, (tmp_path, ROOT)))
    process = subprocess.Popen(
        [sys.executable, ROOT / "bin" / "train_agent", "--run_dir", "run"],
        env=os.environ | {"PYTHONPATH": path},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(600):
        if (tmp_path / "importing").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
    assert not (tmp_path / "run").exists()
