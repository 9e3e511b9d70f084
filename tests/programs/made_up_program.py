"""A program that does what its arguments say, in a package in the place of the real one."""

import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import os, signal, sys, time
from pathlib import Path

def main():
    for number, argument in enumerate(sys.argv[1:]):
        what, _, value = argument.partition("=")
        if what == "say":
            print(value, file=sys.stderr)
        if what == "where":
            print(Path.cwd(), os.environ["MINE"], os.environ["TQDM_DISABLE"])
        if what == "touch":
            Path(value).write_text(str(os.getpid()))
        if what == "resume" and not Path(value).exists():
            Path(value).write_text(f"{os.getpid()} {os.getppid()}")
            time.sleep(60)
        if what == "exit":
            sys.exit(int(value))
        if what == "kill":
            os.kill(os.getpid(), int(value))
        if what == "work":
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                time.sleep(0.5)
                Path(value).write_text("saved")
                sys.exit(130)
"""


def environment(folder):
    """Writes the package, and returns the environment in which it is taken for the real one."""
    programs = folder / "tfselfsup" / "programs"
    programs.mkdir(parents=True)
    for name in ("__init__.py", "programs/__init__.py"):
        (folder / "tfselfsup" / name).touch()
    for name in ("__main__.py", "programs/child_program.py"):
        (folder / "tfselfsup" / name).write_text((ROOT / "tfselfsup" / name).read_text())
    (programs / "act.py").write_text(PROGRAM)
    return {"PYTHONPATH": str(folder)}


def appeared(path):
    for _ in range(400):
        if path.exists() and path.read_text():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state != "Z"
