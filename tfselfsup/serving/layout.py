"""Where exported models lie, as TensorFlow Serving wants them, NAME/VERSION, and their names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DEFAULT = "serving_default"  # the signature that is asked where none is named
# Inputs of signatures; `images` is the name of a signature as well.
BYTES, IMAGES, FRAMES = "image_bytes", "images", "frames"
EXTRAS = "assets.extra"  # TensorFlow leaves it alone, and TensorFlow Serving reads its requests
DESCRIPTION = "model.json"
_VERSION = re.compile(r"[1-9]\d{0,17}")


def check_new(folder: Path) -> None:
    """Makes sure that a folder can become a version of a served model.

    Raises:
        ValueError: If its name is no version, or if there is something already: who serves a model
            takes a version for unchangeable.
    """
    if not _VERSION.fullmatch(folder.name):
        raise ValueError(
            f"expected a version such as {folder / '1'}, got {folder}; TensorFlow Serving looks "
            "for whole numbers below a model's folder"
        )
    if folder.exists():
        raise ValueError(
            f"expected a new version, got {folder}, which is there; export to "
            f"{folder.with_name(str(int(folder.name) + 1))}, or delete it"
        )


def find(directory: Path) -> dict[str, Path]:
    """Finds the newest version of each model.

    Args:
        directory: Holds a folder for each model, or is a model's folder itself.

    Returns:
        The folder of the version with the highest number, by the model's name.

    Raises:
        ValueError: If there is none.
    """
    folders = [directory, *sorted(directory.glob("*/"))] if directory.is_dir() else []
    versions = {folder.resolve().name: _versions(folder) for folder in folders}
    found = {name: folders[-1] for name, folders in versions.items() if folders}
    if not found:
        raise ValueError(
            f"expected exported models in {directory}, as NAME/VERSION/saved_model.pb, found none; "
            "write one with bin/export_model"
        )
    return found


def _versions(folder: Path) -> list[Path]:
    """Lists the versions of a model, oldest first."""
    numbered = (path for path in folder.iterdir() if _VERSION.fullmatch(path.name))
    whole = (path for path in numbered if (path / "saved_model.pb").is_file())
    return sorted(whole, key=lambda path: int(path.name))


def description(folder: Path) -> dict[str, Any]:
    """Reads what a version of a model is.

    Raises:
        ValueError: If it was not written by `bin/export_model`.
    """
    path = folder / EXTRAS / DESCRIPTION
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(
            f"expected a description of the model in {path}, got none that can be read; export it "
            "again with bin/export_model"
        )
    return found
