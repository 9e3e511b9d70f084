import hashlib
from dataclasses import replace

import cv2
import numpy as np

from tfselfsup.config import ExtractionConfig
from tfselfsup.datasets import manifests, ready_crops
from tfselfsup.datasets.extraction import extract_all
from tfselfsup.datasets.records import REAL, Video

SETTINGS = ExtractionConfig(detector="haar")


def listed(path, video_id=None):
    name = video_id or path.stem
    return Video(path, "made", name, name, REAL)


def write_image(path, seed, side=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 8, 3), np.uint8)
    cv2.imwrite(str(path), pixels)
    return path


def test_ready_crops_are_copied_as_they_are(tmp_path):
    folder, out = tmp_path / "crops", tmp_path / "out"
    write_image(folder / "a.jpg", 0)
    write_image(folder / "sub" / "b.png", 1)
    (folder / "copy.jpg").write_bytes((folder / "a.jpg").read_bytes())
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-300])
    (folder / "bad.jpg").write_bytes(b"no image")
    (folder / "none.jpg").write_bytes(b"")
    files = "a.jpg sub/b.png copy.jpg cut.jpg bad.jpg none.jpg gone.jpg".split()
    videos = [listed(folder / file, video_id=file.split(".")[0]) for file in files]
    extract_all(videos, out, SETTINGS, extract=None)
    rows = {row["video_id"]: row["status"] for row in manifests.report(out, videos)}
    assert rows == {
        "a": "done",
        "sub/b": "done",
        "copy": "duplicate",
        "cut": "unreadable",
        "bad": "unreadable",
        "none": "unreadable",
        "gone": "missing",
    }
    assert manifests.files(out) == [str(out / "manifests" / "made.jsonl")]
    assert [manifest.video for manifest in manifests.read_all(out)] == videos
    for video in videos[:2]:
        (crop,) = manifests.read(out, [video])["made", video.video_id].crops
        content = video.path.read_bytes()
        assert (out / crop.file).read_bytes() == content
        assert crop.sha256 == hashlib.sha256(content).hexdigest()
        assert crop.side == 40


def test_ready_crops_are_not_copied_twice(tmp_path, monkeypatch):
    videos = [listed(write_image(tmp_path / "a.jpg", 0))]
    extract_all(videos, tmp_path / "out", SETTINGS)
    once = manifests.read(tmp_path / "out", videos)
    monkeypatch.setattr(ready_crops, "copy", None)
    # No face is searched for in them, so that the settings do not matter.
    extract_all(videos, tmp_path / "out", replace(SETTINGS, margin=1.1))
    assert manifests.read(tmp_path / "out", videos) == once
