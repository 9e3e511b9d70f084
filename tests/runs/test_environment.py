import re
import shutil
import subprocess

import pytest

from tfselfsup.runs import environment as module
from tfselfsup.runs.environment import environment

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder of the package inside a repository with one commit."""
    settings = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    for command in (("init", "-q"), (*settings, "commit", "-q", "--allow-empty", "-m", "first")):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    package = tmp_path / "tfselfsup"
    package.mkdir()
    monkeypatch.setattr(module, "PACKAGE_FOLDER", package)
    return package


@needs_git
def test_a_clone_has_its_revision(package):
    (package.parent / "setup.cfg").touch()
    clean = environment()["git_revision"]
    assert re.fullmatch("[0-9a-f]{7,}", clean)
    subprocess.run(("git", "add", "setup.cfg"), cwd=package.parent, check=True)
    assert environment()["git_revision"] == f"{clean}-dirty"


@needs_git
def test_an_installed_package_has_no_revision_of_the_repository_around_it(package):
    assert environment()["git_revision"] is None


@needs_git
def test_a_clone_without_its_history_has_no_revision(package):
    (package.parent / "setup.cfg").touch()
    shutil.rmtree(package.parent / ".git")
    assert environment()["git_revision"] is None


def test_without_git_a_run_has_no_revision(tmp_path, monkeypatch):
    package = tmp_path / "tfselfsup"
    package.mkdir()
    (tmp_path / "setup.cfg").touch()
    monkeypatch.setattr(module, "PACKAGE_FOLDER", package)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment()["git_revision"] is None
