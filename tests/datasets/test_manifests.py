import json
from pathlib import Path

import pytest

from tfselfsup.datasets import manifests
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import FAKE, Crop, Video

VIDEO = Video(Path("a.mp4"), "made", "Swap/a", "b", FAKE, "01", "Swap", Path("mask.mp4"), "02")
CROP = Crop("crops/made/Swap/a/3.jpg", 3, 0.1, 1, 2, 30, 0.75, 2, "ab" * 32)
MANIFEST = Manifest(
    VIDEO, "truncated", "why", {"margin": 1.3}, 9, 8, 7, 6, 5, True, True, 1.5, 0.5, (CROP,), 4
)


def test_manifests_are_read_as_they_were_written(tmp_path):
    manifests.write(tmp_path, MANIFEST)
    other = MANIFEST._replace(video=VIDEO._replace(data_set="crops", mask=None), crops=())
    manifests.write_crops(tmp_path, "crops", [other])
    folder = tmp_path / "manifests"
    (folder / "made" / "Swap" / "b.json.writing").write_text("{")
    assert manifests.files(tmp_path) == [
        str(folder / "crops.jsonl"),
        str(folder / "made" / "Swap" / "a.json"),
    ]
    assert list(manifests.read_all(tmp_path)) == [other, MANIFEST]
    assert manifests.read(tmp_path, [VIDEO]) == {("made", "Swap/a"): MANIFEST}


def test_a_row_of_the_report(tmp_path):
    manifests.write(tmp_path, MANIFEST)
    pending = VIDEO._replace(video_id="c")
    rows = manifests.report(tmp_path, [VIDEO, pending], [Path("stray.mp4")])
    assert rows[0] == {
        "data_set": "made",
        "video_id": "Swap/a",
        "label": "fake",
        "status": "truncated",
        "reason": "why",
        "frames": 7,
        "unreadable_frames": 4,
        "faces": 1,
        "frames_with_several_faces": 5,
        "mask": 1,
        "seconds": 1.5,
        "detector_seconds": 0.5,
    }
    assert [row["status"] for row in rows[1:]] == ["pending", "unlabelled"]
    counts = manifests.summary(rows)
    assert next(iter(counts)) == "done"
    assert counts["truncated"] == counts["pending"] == counts["unlabelled"] == 1
    assert sum(counts.values()) == 3


def test_a_listed_video_that_was_not_drawn_has_a_row_too(tmp_path):
    (tmp_path / "there.mp4").touch()
    drawn, there, gone = (
        VIDEO._replace(video_id=name, path=tmp_path / f"{name}.mp4")
        for name in ("drawn", "there", "gone")
    )
    for video in (drawn, there):  # what an earlier run made of them
        manifests.write(tmp_path, MANIFEST._replace(video=video, status="done", reason=""))
    rows = manifests.report(tmp_path, [there, drawn, gone], [Path("stray.mp4")], {drawn.key})
    assert [(row["video_id"], row["status"]) for row in rows] == [
        ("there", "not drawn"),
        ("drawn", "done"),
        ("gone", "missing"),
        ("stray.mp4", "unlabelled"),
    ]
    assert rows[0]["reason"] == "left out on request" and rows[0]["faces"] == 0
    assert manifests.summary(rows)["not drawn"] == 1
    everything = manifests.report(tmp_path, [there, drawn])
    assert [row["status"] for row in everything] == ["done", "done"]


def test_a_manifest_of_before_donors_were_known_is_read(tmp_path):
    manifests.write(tmp_path, MANIFEST)
    path = manifests.manifest_file(tmp_path, VIDEO)
    old = json.loads(path.read_text())
    del old["video"]["donor"]
    path.write_text(json.dumps(old))
    assert list(manifests.read_all(tmp_path)) == [MANIFEST._replace(video=VIDEO._replace(donor=""))]


@pytest.mark.parametrize("damage", ["{", "{}", "[]", json.dumps({"video": 1})])
def test_a_damaged_manifest_is_named(tmp_path, damage):
    manifests.write(tmp_path, MANIFEST)
    manifests.manifest_file(tmp_path, VIDEO).write_text(damage)
    with pytest.raises(ValueError, match="a.json.*delete it"):
        manifests.read(tmp_path, [VIDEO])
