"""The tables of labels that come with a data set: DFDC's metadata.json, a CSV of ready crops."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tfselfsup.datasets.records import FAKE, REAL

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")
_LABELS = {"REAL": REAL, "FAKE": FAKE}
_COLUMNS = ("filename", "label", "original")


class Row(NamedTuple):
    """A labelled file.

    Attributes:
        name: The file, relative to its folder.
        video_id: The name without its ending.
        source_id: The `video_id` of the original; its own if the file is real.
        label: `REAL` or `FAKE`.
    """

    name: str
    video_id: str
    source_id: str
    label: int


def dfdc_metadata(path: Path) -> list[Row]:
    """Reads {"x.mp4": {"label": "FAKE", "original": "y.mp4"}, ...}.

    Raises:
        ValueError: If the file is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"expected JSON in {path}, got: {error}; fetch the file again") from error
    if not isinstance(content, dict):
        raise ValueError(f"expected a JSON object of videos in {path}, got {_kind(content)}")
    for name, entry in content.items():
        if not isinstance(entry, dict):
            raise ValueError(f"expected an object for {name!r} in {path}, got {_kind(entry)}")
    entries = [(name, entry.get("label"), entry.get("original")) for name, entry in content.items()]
    return _rows(entries, path)


def crops_table(path: Path) -> list[Row]:
    """Reads a CSV with the columns filename, label (REAL or FAKE) and original.

    Raises:
        ValueError: If the file is something else.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
            columns = reader.fieldnames or ()
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"expected a CSV in UTF-8 in {path}, got: {error}") from error
    missing = [column for column in _COLUMNS if column not in columns]
    if missing:
        raise ValueError(f"expected columns {', '.join(_COLUMNS)} in {path}, lacks {missing[0]!r}")
    entries = [tuple(row[column] for column in _COLUMNS) for row in rows]
    found = _rows(entries, path)
    for row in found:
        if PurePosixPath(row.name).suffix.lower() not in IMAGE_ENDINGS:
            wanted = ", ".join(IMAGE_ENDINGS)
            raise ValueError(f"expected images ({wanted}) in {path}, got {row.name!r}")
    return found


def _rows(entries: Sequence[tuple[Any, Any, Any]], path: Path) -> list[Row]:
    """Makes rows of names, labels and originals, each of which may be anything."""
    id_of = {name: _identifier(name, path) for name, _, _ in entries}
    # An original may be given as it is listed, or without its ending.
    known = {video_id: video_id for video_id in id_of.values()} | id_of
    return [_row(name, label, original, known, path) for name, label, original in entries]


def _row(name: str, label: Any, original: Any, known: Mapping[str, str], path: Path) -> Row:
    if not isinstance(label, str) or label not in _LABELS:
        raise ValueError(f"expected REAL or FAKE as label of {name!r} in {path}, got {label!r}")
    if label == "REAL":
        return Row(name, known[name], known[name], REAL)
    if not original:
        raise ValueError(f"expected an original for the fake {name!r} in {path}, got none")
    source = _identifier(original, path)
    return Row(name, known[name], known.get(original, source), FAKE)


def _identifier(name: Any, path: Path) -> str:
    """Drops the ending of a file name, which must stay inside the folder it is relative to."""
    pure = PurePosixPath(name) if isinstance(name, str) else None
    if pure is None or not pure.name or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"expected relative file names in {path}, got {name!r}")
    return str(pure.with_suffix(""))


def _kind(value: Any) -> str:
    return type(value).__name__
