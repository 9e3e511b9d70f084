"""Brings the named experiments of configs/ into the package when it is built."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies configs/ to tfselfsup/configs in what is built, not in the clone."""

    def run(self):
        """Builds the package, then adds the configurations."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "tfselfsup" / "configs"
            copytree("configs", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})
