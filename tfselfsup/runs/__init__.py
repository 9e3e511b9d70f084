"""Run directories, and files that are written whole or not at all."""

from tfselfsup.runs.files import json_object, locked, written_aside
from tfselfsup.runs.run_directory import RunDirectory

__all__ = ["RunDirectory", "json_object", "locked", "written_aside"]
