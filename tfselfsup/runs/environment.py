"""What a run was made with: the machine, the versions, the code's revision and the command."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tfselfsup import command_line, plugins

PACKAGE_FOLDER = Path(__file__).parents[1]
PACKAGES = (
    "tensorflow",
    "tf-agents",
    "keras",
    "tensorflow-hub",
    "scikit-learn",
    "ale-py",
    "gymnasium",
    "numpy",
    "tfselfsup",
)


def environment() -> dict[str, Any]:
    """Describes the machine, the versions, the code's revision and the command."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None  # a clone that is run without being installed
    versions |= plugins.packages()
    return {
        "python": platform.python_version(),
        "versions": versions,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),  # that the process may use
        "git_revision": _revision(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _revision() -> str | None:
    """Asks git which revision of the clone runs; None if it cannot be told."""
    if not command_line.is_clone(PACKAGE_FOLDER):
        return None  # git would tell of whatever repository the virtual environment lies in
    git = ["git", "-C", str(PACKAGE_FOLDER), "describe", "--always", "--dirty"]
    try:
        described = subprocess.run(git, capture_output=True, text=True, check=False).stdout
    except OSError:  # git is not installed
        return None
    return described.strip() or None


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*: (.*)", information.read_text())
        if found:
            return found[1]
    return platform.processor() or platform.machine()
