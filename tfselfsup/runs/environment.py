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

from tfselfsup import plugins

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
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    revision = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
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
        "git_revision": revision or None,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*: (.*)", information.read_text())
        if found:
            return found[1]
    return platform.processor() or platform.machine()
