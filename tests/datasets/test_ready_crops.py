import hashlib
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tfselfsup.config import ExtractionConfig
from tfselfsup.datasets import extraction, manifests, ready_crops
from tfselfsup.datasets.records import REAL, Video

SETTINGS = ExtractionConfig(detector="haar")


def listed(path, video_id=None):
    name = video_id or path.stem
    return Video(path, "made", name, name, REAL)


def extract_all(videos, out, settings=SETTINGS, **options):
    return extraction.extract_all(videos, out, settings, workers=1, **options)


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
    # OpenCV reads it, TensorFlow does not.
    (folder / "webp.jpg").write_bytes(cv2.imencode(".webp", np.zeros((40, 40, 3), np.uint8))[1])
    (folder / "end.png").write_bytes((folder / "sub" / "b.png").read_bytes()[:-12])
    # OpenCV makes something of it; TensorFlow, which would read it at the end, does not.
    whole = (folder / "a.jpg").read_bytes()
    scan = whole.index(b"\xff\xda") + 20
    (folder / "damaged.jpg").write_bytes(whole[:scan] + b"\xff\xd8" + whole[scan:])
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBB", 13, b"IHDR", 2**20, 2**20, 8, 2, 0, 0, 0
    )
    (folder / "huge.png").write_bytes(huge + struct.pack(">I", zlib.crc32(huge[12:])))
    files = "a.jpg sub/b.png copy.jpg cut.jpg bad.jpg none.jpg webp.jpg huge.png gone.jpg".split()
    files += ["end.png", "damaged.jpg"]
    videos = [listed(folder / file, video_id=file.split(".")[0]) for file in files]
    extract_all(videos, out, extract=None)
    rows = {row["video_id"]: row["status"] for row in manifests.report(out, videos)}
    assert rows == {
        "a": "done",
        "sub/b": "done",
        "copy": "duplicate",
        "cut": "unreadable",
        "bad": "unreadable",
        "none": "unreadable",
        "webp": "unreadable",
        "huge": "unreadable",
        "gone": "missing",
        "end": "unreadable",
        "damaged": "unreadable",
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
    extract_all(videos, tmp_path / "out")
    once = manifests.read(tmp_path / "out", videos)
    monkeypatch.setattr(ready_crops, "copy", None)
    # No face is searched for in them, so that the settings do not matter.
    extract_all(videos, tmp_path / "out", replace(SETTINGS, margin=1.1))
    assert manifests.read(tmp_path / "out", videos) == once


def test_fewer_crops_do_not_drop_the_others(tmp_path):
    videos = [
        listed(write_image(tmp_path / f"{name}.jpg", seed)) for seed, name in enumerate("abc")
    ]
    out, file = tmp_path / "out", tmp_path / "out" / "manifests" / "made.jsonl"
    extract_all(videos, out)
    whole, written = list(manifests.read_all(out)), file.stat().st_mtime_ns
    assert [manifest.video for manifest in whole] == videos
    extract_all(videos[:1], out)
    assert list(manifests.read_all(out)) == whole
    assert file.stat().st_mtime_ns == written  # nothing had changed
    # One that changes takes its own line only, and another data set has a file of its own.
    write_image(videos[1].path, 7)
    extract_all([videos[1], videos[2]._replace(data_set="other")], out)
    now = list(manifests.read_all(out))
    assert [manifest.video.video_id for manifest in now] == ["a", "b", "c", "c"]
    assert now[0] == whole[0] and now[2] == whole[2] and now[1] != whole[1]


def test_an_interrupted_copy_goes_on_where_it_was_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(ready_crops, "_SAVED_CROPS", 2)
    videos = [
        listed(write_image(tmp_path / f"{name}.jpg", seed)) for seed, name in enumerate("abcde")
    ]
    copy, copied = ready_crops.copy, []

    def copy_or_stop(video, out):
        if video.video_id == "d" and "d" not in copied:
            copied.append("d")
            raise OSError("the disk is full")
        copied.append(video.video_id)
        return copy(video, out)

    monkeypatch.setattr(ready_crops, "copy", copy_or_stop)
    seen = []
    with pytest.raises(OSError, match="the disk is full"):
        extract_all(videos, tmp_path / "out", on_done=seen.append)
    # They are told of as they are copied.
    assert [manifest.video.video_id for manifest in seen] == ["a", "b", "c"]
    assert [manifest.video for manifest in manifests.read_all(tmp_path / "out")] == videos[:2]
    extract_all(videos, tmp_path / "out")
    assert "".join(copied) == "abcd" + "cde"
    assert [manifest.video for manifest in manifests.read_all(tmp_path / "out")] == videos


def test_the_file_of_a_large_folder_is_not_written_too_often(tmp_path, monkeypatch):
    monkeypatch.setattr(ready_crops, "_SAVED_CROPS", 1)
    monkeypatch.setattr(ready_crops, "_SAVED_SHARE", 0.5)
    written = []
    monkeypatch.setattr(
        manifests, "write_crops", lambda out, data_set, lines: written.append(len(lines))
    )
    videos = [listed(write_image(tmp_path / f"{n:02}.jpg", n, side=8)) for n in range(20)]
    extract_all(videos, tmp_path / "out")
    # At 1, then where half of all are new: 2 of them (1 new), 4 (2), 8 (4), 16 (8); and at the end.
    assert written == [1, 2, 4, 8, 16, 20]
