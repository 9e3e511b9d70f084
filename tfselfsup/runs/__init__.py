"""Run directories, and files that are written whole or not at all."""

from tfselfsup.runs.files import locked, written_aside
from tfselfsup.runs.run_directory import RunDirectory

__all__ = ["RunDirectory", "locked", "written_aside"]
