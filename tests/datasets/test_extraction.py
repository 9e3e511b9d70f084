import hashlib
import itertools
import os
import signal
import struct
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib import cbook

from tfselfsup.config import ExtractionConfig
from tfselfsup.datasets import extraction, manifests, videos
from tfselfsup.datasets.face_crops import extract
from tfselfsup.datasets.face_detection import Detector, Haar
from tfselfsup.datasets.records import FAKE, REAL, Video

SETTINGS = ExtractionConfig(frames_per_video=3, detector="haar", margin=1.5)
HEIGHT, WIDTH, SIDE = 96, 128, 24


def extract_all(videos, out, settings, workers=1, **options):
    return extraction.extract_all(videos, out, settings, workers=workers, **options)


class Bright(Detector):
    """Finds white squares; the further right, the more confident."""

    def _find(self, frames):
        return [self._squares(frame) for frame in frames]

    def _squares(self, frame):
        white = (frame[..., 0] > 128).astype(np.uint8)
        _, _, boxes, _ = cv2.connectedComponentsWithStats(white)
        return [[*box[:4], box[0] / WIDTH] for box in boxes[1:]]


def extract_bright(video, out, detector, settings):
    return extract(video, out, Bright(), settings)


def extract_or_crash(video, out, detector, settings):
    if video.video_id == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    return extract(video, out, Bright(), settings)


def extract_or_stop(video, out, detector, settings):
    if video.video_id == "b":
        raise OSError("the disk is full")
    return extract(video, out, Bright(), settings)


def never(video, out, detector, settings):
    raise AssertionError(f"{video.video_id} is done again")


def write_video(path, places, size=SIDE):
    """Writes a video with a frame for each list of corners of white squares."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for squares in places:
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        for x, y in squares:
            pixels[y : y + size, x : x + size] = 255
        writer.write(pixels)
    writer.release()
    return path


def write_truncated(path, places):
    """Writes a video with the index first and the second half of the frames cut off."""
    content = write_video(path, places).read_bytes()
    parts, rest = {}, content
    while rest:
        size, name = struct.unpack(">I4s", rest[:8])
        parts[name], rest = rest[:size], rest[size:]
    index = bytearray(parts.pop(b"moov"))
    at = index.index(b"stco") + 8
    for place in range(at + 4, at + 4 + 4 * struct.unpack_from(">I", index, at)[0], 4):
        (offset,) = struct.unpack_from(">I", index, place)
        struct.pack_into(">I", index, place, offset + len(index))
    head = parts.pop(b"ftyp") + bytes(index)
    body = b"".join(parts.values())
    path.write_bytes(head + body[: len(body) // 2])
    return path


def listed(path, label=REAL, video_id=None, **facts):
    name = video_id or path.stem
    return Video(path, "made", name, name, label, **facts)


ONE = [[(40, 30)]] * 9
TWO = [[(10, 30), (80, 30)]] * 9


def test_a_video_becomes_crops_and_a_manifest(tmp_path):
    places = [[(8 * index, 30)] for index in range(9)]
    video = listed(write_video(tmp_path / "moving.mp4", places), FAKE, "Swap/moving")
    manifest = extract(video, tmp_path / "out", Bright(), SETTINGS)
    assert (manifest.status, manifest.reason, manifest.truncated) == ("done", "", False)
    assert (manifest.frames, manifest.frames_with_faces) == (3, 3)
    assert manifest.frames_with_several_faces == 0
    assert [crop.frame_index for crop in manifest.crops] == [1, 4, 7]
    for crop in manifest.crops:
        assert crop.file == f"crops/made/Swap/moving/{crop.frame_index}.jpg"
        content = (tmp_path / "out" / crop.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == crop.sha256
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert pixels.shape == (crop.side, crop.side, 3)
        # 1.5 * 24 around the centre of the square, unless the edge is nearer.
        assert abs(crop.side - 36) <= 3
        assert abs(crop.x - max(0, 8 * crop.frame_index - 6)) <= 2
        assert abs(crop.y - 24) <= 2
        assert crop.seconds == pytest.approx(crop.frame_index / 10, abs=1e-3)
        assert crop.faces == 1
        assert pixels[pixels.shape[0] // 2, pixels.shape[1] // 2 + 4].min() > 200
    assert 0 < manifest.detector_seconds < manifest.seconds


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    mask = write_video(tmp_path / "mask.mp4", ONE)
    video = listed(write_video(tmp_path / "a.mp4", ONE), FAKE, actor="01", mask=mask)
    manifest = extract(video, tmp_path / "out", Bright(), SETTINGS)
    assert manifest.mask
    assert manifests.read(tmp_path / "out", [video]) == {("made", "a"): manifest}
    assert list(manifests.read_all(tmp_path / "out")) == [manifest]
    assert not list((tmp_path / "out").rglob("*.writing"))


def test_frames_per_second_and_the_crops_colours(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT)
    )
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[30:60, 40:70] = (0, 0, 255)
    for _ in range(10):
        writer.write(pixels)
    writer.release()
    settings = replace(SETTINGS, frames_per_second=4.0)
    manifest = extract(listed(tmp_path / "a.mp4"), tmp_path / "out", Bright(), settings)
    assert [crop.frame_index for crop in manifest.crops] == [0, 3, 5, 8]
    crop = cv2.imread(str(tmp_path / "out" / manifest.crops[0].file))
    middle = crop[crop.shape[0] // 2, crop.shape[1] // 2]
    np.testing.assert_allclose(middle, (0, 0, 255), atol=12)


@pytest.mark.parametrize(
    "places, status, with_faces, several",
    [
        ([[]] * 9, "no face", 0, 0),
        (TWO, "several faces", 3, 3),
        # Frames 1, 4 and 7 are searched.
        (ONE[:3] + TWO[:6], "several faces", 3, 2),
        (ONE[:6] + TWO[:3], "done", 3, 1),
        (ONE[:3] + [[]] * 6, "done", 1, 0),
    ],
)
def test_a_status_counts_faces(tmp_path, places, status, with_faces, several):
    video = listed(write_video(tmp_path / "a.mp4", places))
    manifest = extract(video, tmp_path / "out", Bright(), SETTINGS)
    assert manifest.status == status
    assert (manifest.frames, manifest.frames_with_faces) == (3, with_faces)
    assert manifest.frames_with_several_faces == several
    assert len(manifest.crops) == with_faces
    assert bool(manifest.reason) == (status != "done")


def test_a_truncated_video_gives_what_there_is(tmp_path):
    video = listed(write_truncated(tmp_path / "a.mp4", [[(4 * i, 30)] for i in range(18)]))
    manifest = extract(video, tmp_path / "out", Bright(), SETTINGS)
    assert (manifest.status, manifest.truncated) == ("truncated", True)
    assert manifest.reason.endswith("of 18 frames can be decoded")
    assert 1 <= manifest.frames < 3
    assert len(manifest.crops) == manifest.frames


def test_a_video_that_goes_on_after_its_promised_end_is_sampled_over_all_of_it(tmp_path):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (WIDTH, HEIGHT))
    for index in range(18):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[30 : 30 + SIDE, 4 * index : 4 * index + SIDE] = 255
        writer.write(pixels)
    writer.release()
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"strh") + 8 + 32, 6)
    path.write_bytes(content)
    manifest = extract(listed(path), tmp_path / "out", Bright(), SETTINGS)
    assert (manifest.status, manifest.frames) == ("done", 3)
    assert [crop.frame_index for crop in manifest.crops] == [3, 9, 15]
    # Nothing is left of the first try, frames 1, 3 and 5.
    folder = tmp_path / "out" / "crops" / "made" / "a"
    assert sorted(path.name for path in folder.iterdir()) == ["15.jpg", "3.jpg", "9.jpg"]


def test_frames_without_pixels_are_counted(tmp_path, monkeypatch):
    read, frames = videos._pixels, itertools.count()
    # Of the second of the three wanted ones.
    monkeypatch.setattr(
        videos, "_pixels", lambda capture: None if next(frames) == 1 else read(capture)
    )
    video = listed(write_video(tmp_path / "a.mp4", ONE))
    manifest = extract(video, tmp_path / "out", Bright(), SETTINGS)
    assert (manifest.status, manifest.frames, manifest.unreadable_frames) == ("done", 2, 1)


def test_an_unreadable_video_has_a_manifest_too(tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video" * 100)
    video = listed(tmp_path / "bad.mp4")
    manifest = extract(video, tmp_path / "out", Bright(), SETTINGS)
    assert manifest.status == "unreadable" and "bad.mp4" in manifest.reason
    assert manifests.read(tmp_path / "out", [video])["made", "bad"] == manifest


@pytest.mark.parametrize("choose, x", [("largest", [90, 90, 90]), ("follow", [90, 50, 50])])
def test_the_face_is_chosen(tmp_path, choose, x):
    # The large square is at 90 and a small one at 50 from frame 3 on. To be followed, the large
    # one is first alone, then gone, then back elsewhere.
    path = tmp_path / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (WIDTH, HEIGHT))
    for index in range(9):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[30:60, 90:120] = 255
        if index >= 3:
            pixels[30:50, 50:70] = 255
        if choose == "follow" and index >= 3:
            pixels[:, 75:] = 0
            pixels[60:90, 90:120] = 255 if index >= 6 else 0
        writer.write(pixels)
    writer.release()
    settings = replace(SETTINGS, choose=choose, margin=1.0)
    manifest = extract(listed(path), tmp_path / "out", Bright(), settings)
    np.testing.assert_allclose([crop.x for crop in manifest.crops], x, atol=2)


def test_a_real_face(tmp_path):
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        portrait = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    portrait = cv2.resize(portrait, (256, 300))
    writer = cv2.VideoWriter(
        str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (256, 300)
    )
    for _ in range(4):
        writer.write(portrait)
    writer.release()
    settings = replace(SETTINGS, frames_per_video=2)
    manifest = extract(listed(tmp_path / "a.mp4"), tmp_path / "out", Haar(), settings)
    assert manifest.frames_with_faces == 2
    ((expected, *_),) = Haar().detect([cv2.cvtColor(portrait, cv2.COLOR_BGR2RGB)])
    for crop in manifest.crops:
        assert crop.x <= expected.x and crop.y <= expected.y
        assert crop.x + crop.side >= expected.x + expected.width


def every_kind(folder):
    """Lists a video for every status."""
    write_video(folder / "done.mp4", ONE)
    write_video(folder / "empty.mp4", [[]] * 9)
    write_video(folder / "several.mp4", TWO)
    write_video(folder / "crash.mp4", [[(20, 20)]] * 9)
    write_truncated(folder / "cut.mp4", ONE * 2)
    (folder / "garbage.mp4").write_bytes(b"garbage!" * 99)
    (folder / "copy.mp4").write_bytes((folder / "done.mp4").read_bytes())
    # As large as the garbage, but not the same.
    (folder / "other.mp4").write_bytes(b"!garbage" * 99)
    names = "crash done copy cut empty garbage missing other several".split()
    return [listed(folder / f"{n}.mp4", FAKE if n == "copy" else REAL) for n in names]


STATUSES = {
    "crash": "unreadable",
    "done": "done",
    "copy": "duplicate",
    "cut": "truncated",
    "empty": "no face",
    "garbage": "unreadable",
    "missing": "missing",
    "other": "unreadable",
    "several": "several faces",
}


def test_every_listed_video_has_a_row(tmp_path):
    videos, out, seen = every_kind(tmp_path), tmp_path / "out", []
    extract_all(videos, out, SETTINGS, workers=2, on_done=seen.append, extract=extract_or_crash)
    stray = tmp_path / "stray.mp4"
    rows = manifests.report(out, videos, [stray])
    assert {row["video_id"]: row["status"] for row in rows[:-1]} == STATUSES
    assert [row["video_id"] for row in rows] == [*STATUSES, str(stray)]
    assert rows[-1]["status"] == "unlabelled"
    assert len({tuple(row) for row in rows}) == 1
    reasons = {row["video_id"]: row["reason"] for row in rows}
    assert reasons["crash"] == "the decoder crashed (SIGSEGV)"
    assert reasons["copy"] == "same content as made done, which has another label"
    assert "missing.mp4" in reasons["missing"]
    done = rows[1]
    assert (done["frames"], done["faces"], done["label"], done["mask"]) == (3, 3, "real", 0)
    counts = Counter([*STATUSES.values(), "unlabelled"])
    assert {name: n for name, n in manifests.summary(rows).items() if n} == counts
    assert sorted(each.video.video_id for each in seen) == sorted(STATUSES)
    assert not list(out.rglob("*.writing"))
    for video_id in ("copy", "missing", "crash"):
        assert not list((out / "crops" / "made" / video_id).glob("*"))


def test_a_run_goes_on_where_it_was(tmp_path):
    videos = [
        listed(write_video(tmp_path / f"{n}.mp4", [[(9 * i, 9)]] * 6)) for i, n in enumerate("abc")
    ]
    out, seen = tmp_path / "out", []
    with pytest.raises(OSError, match="the disk is full"):
        extract_all(videos, out, SETTINGS, extract=extract_or_stop)
    statuses = [row["status"] for row in manifests.report(out, videos)]
    assert statuses == ["done", "pending", "pending"]
    before = manifests.manifest_file(out, videos[0]).stat().st_mtime_ns
    extract_all(videos, out, SETTINGS, on_done=seen.append, extract=extract_bright)
    assert [row["status"] for row in manifests.report(out, videos)] == ["done"] * 3
    assert manifests.read(out, videos)["made", "a"] == seen[0]
    assert len(seen) == 3
    extract_all(videos, out, SETTINGS, extract=never)
    assert manifests.manifest_file(out, videos[0]).stat().st_mtime_ns == before


def test_a_video_that_arrives_or_changes_is_done_again(tmp_path):
    video, out = listed(tmp_path / "a.mp4"), tmp_path / "out"
    for places, status in ((None, "missing"), (ONE, "done"), ([[]] * 9, "no face")):
        if places is not None:
            write_video(video.path, places)
        extract_all([video], out, SETTINGS, extract=extract_bright)
        (row,) = manifests.report(out, [video])
        assert row["status"] == status
    assert not list((out / "crops" / "made" / "a").glob("*"))


def test_deleted_crops_are_made_again(tmp_path):
    video, out = listed(write_video(tmp_path / "a.mp4", ONE)), tmp_path / "out"
    for _ in range(2):
        extract_all([video], out, SETTINGS, extract=extract_bright)
        crop = manifests.read(out, [video])["made", "a"].crops[0]
        (out / crop.file).unlink()


def test_a_manifest_goes_before_its_crops(tmp_path):
    class Broken(Bright):
        def _find(self, frames):
            raise OSError("the disk is full")

    video, out = listed(write_video(tmp_path / "a.mp4", ONE)), tmp_path / "out"
    extract(video, out, Bright(), SETTINGS)
    with pytest.raises(OSError):
        extract(video, out, Broken(), SETTINGS)
    assert manifests.read(out, [video]) == {}


def test_other_settings_are_an_error(tmp_path):
    video = listed(write_video(tmp_path / "a.mp4", ONE))
    extract(video, tmp_path / "out", Bright(), SETTINGS)
    with pytest.raises(ValueError, match="margin=1.5, got 1.2; name another folder"):
        extract_all([video], tmp_path / "out", replace(SETTINGS, margin=1.2))
    # Nor may other videos be added with other settings.
    with pytest.raises(ValueError, match="margin=1.5, got 1.2"):
        extract_all([listed(tmp_path / "b.mp4")], tmp_path / "out", replace(SETTINGS, margin=1.2))


def test_the_settings_that_do_not_matter_may_differ(tmp_path):
    video, out = listed(write_video(tmp_path / "a.mp4", ONE)), tmp_path / "out"
    by_rate = replace(SETTINGS, frames_per_second=4.0)
    extract(video, out, Bright(), by_rate)
    extract_all([video], out, replace(by_rate, frames_per_video=7), extract=never)
    with pytest.raises(ValueError, match="frames_per_second=4.0, got 2.0"):
        extract_all([video], out, replace(by_rate, frames_per_second=2.0))
    # From a rate to a count it is the rate that is named.
    with pytest.raises(ValueError, match="frames_per_second=4.0, got None"):
        extract_all([video], out, replace(SETTINGS, frames_per_video=7))
    extract(video, out, Bright(), SETTINGS)
    with pytest.raises(ValueError, match="frames_per_video=3, got 7"):
        extract_all([video], out, replace(SETTINGS, frames_per_video=7))
    with pytest.raises(ValueError, match="frames_per_second=None, got 4.0"):
        extract_all([video], out, replace(by_rate, frames_per_video=7))


def each_here(task, prepare, videos, workers):
    prepared = prepare()
    for video in videos:
        yield video, task(prepared, video)


def test_the_work_can_be_spread_in_another_way(tmp_path):
    video = listed(write_video(tmp_path / "a.mp4", ONE))
    extract_all([video], tmp_path / "out", SETTINGS, each=each_here, extract=extract_bright)
    assert [each.status for each in manifests.read_all(tmp_path / "out")] == ["done"]


def test_only_the_work_of_this_run_is_counted(tmp_path):
    places = ONE, TWO, [[]] * 9
    videos = [
        listed(write_video(tmp_path / f"{name}.mp4", squares))
        for name, squares in zip("abc", places, strict=True)
    ]
    out, here = tmp_path / "out", {"each": each_here, "extract": extract_bright}
    first = extract_all(videos[:2], out, SETTINGS, **here)
    assert (first.videos, first.frames, first.faces) == (2, 6, 6)
    written = [manifest for manifest in manifests.read_all(out)]
    assert first.busy_seconds == pytest.approx(sum(each.seconds for each in written))
    assert first.detector_seconds == pytest.approx(sum(each.detector_seconds for each in written))
    # In this process, one after the other, nothing takes longer than all of it.
    assert 0 < first.detector_seconds < first.busy_seconds <= first.seconds
    second = extract_all([*videos, listed(tmp_path / "gone.mp4")], out, SETTINGS, **here)
    assert (second.videos, second.frames, second.faces) == (1, 3, 0)
    assert second.busy_seconds == pytest.approx(manifests.read(out, videos)["made", "c"].seconds)
    assert extract_all(videos, out, SETTINGS, **here)[:3] == (0, 0, 0)


def extract_or_fail(video, out, detector, settings):
    if video.video_id == "b":
        raise RuntimeError("the detector is confused")
    return extract(video, out, Bright(), settings)


def test_a_detector_that_fails_costs_one_video(tmp_path):
    videos = [listed(write_video(tmp_path / f"{name}.mp4", ONE)) for name in "abc"]
    write_video(tmp_path / "b.mp4", TWO)  # other bytes, or they would be duplicates
    write_video(tmp_path / "c.mp4", ONE[:5])
    extract_all(videos, tmp_path / "out", SETTINGS, extract=extract_or_fail)
    rows = manifests.report(tmp_path / "out", videos)
    assert [row["status"] for row in rows] == ["done", "unreadable", "done"]
    assert rows[1]["reason"] == "RuntimeError: the detector is confused"


def test_a_video_that_has_gone_since_keeps_its_crops(tmp_path):
    video = listed(write_video(tmp_path / "a.mp4", ONE))
    extract_all([video], tmp_path / "out", SETTINGS, extract=extract_bright)
    (before,) = manifests.read_all(tmp_path / "out")
    video.path.unlink()
    extract_all([video], tmp_path / "out", SETTINGS, extract=never)
    assert list(manifests.read_all(tmp_path / "out")) == [before]
    assert (tmp_path / "out" / before.crops[0].file).is_file()
    # Without its crops it is missing.
    (tmp_path / "out" / before.crops[0].file).unlink()
    extract_all([video], tmp_path / "out", SETTINGS, extract=never)
    assert [each.status for each in manifests.read_all(tmp_path / "out")] == ["missing"]


def test_a_fake_of_a_duplicate_gets_the_source_that_is_kept(tmp_path):
    first = listed(write_video(tmp_path / "first.mp4", ONE))
    copy = listed(write_video(tmp_path / "second.mp4", ONE))
    fakes = [
        listed(write_video(tmp_path / f"{name}.mp4", ONE[:length]), FAKE)._replace(
            source_id=source, donor=donor
        )
        for name, length, source, donor in (
            ("x", 5, "first", "second"),
            ("y", 6, "second", "elsewhere"),
        )
    ]
    extract_all([first, copy, *fakes], tmp_path / "out", SETTINGS, extract=extract_bright)
    written = {each.video.video_id: each for each in manifests.read_all(tmp_path / "out")}
    assert written["second"].status == "duplicate"
    assert {name: written[name].video.source_id for name in "xy"} == {"x": "first", "y": "first"}
    assert {name: written[name].video.donor for name in "xy"} == {"x": "first", "y": "elsewhere"}
