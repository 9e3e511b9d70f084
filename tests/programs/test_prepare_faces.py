import contextlib
import csv
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest
from skimage import data as photographs

from tfselfsup.datasets.loading import FaceData
from tfselfsup.programs import prepare_faces
from tfselfsup.runs import locked

SHARED = Path(__file__).parents[3] / "shared" / "data"


def write_face_video(path, frames=4):
    """Writes a video of the astronaut, whose face moves a little, in a wider frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph = cv2.resize(photographs.astronaut(), (256, 256))[..., ::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (320, 256))
    for index in range(frames):
        frame = np.zeros((256, 320, 3), np.uint8)
        frame[:, 8 * index : 8 * index + 256] = photograph
        writer.write(frame)
    writer.release()


@pytest.fixture
def dfdc(tmp_path):
    """A folder as DFDC lays it out: a real video, a fake of it, and one that is not there."""
    part = tmp_path / "dfdc_train_part_0"
    write_face_video(part / "real.mp4")
    write_face_video(part / "fake.mp4", frames=5)
    listed = {
        "real.mp4": {"label": "REAL", "split": "train"},
        "fake.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
        "gone.mp4": {"label": "FAKE", "split": "train", "original": "real.mp4"},
    }
    (part / "metadata.json").write_text(json.dumps(listed))
    return tmp_path


def run(*arguments):
    prepare_faces.main([str(argument) for argument in arguments])


def rows_of(printed, *names):
    """The cells after the first, of the rows of printed tables that begin with these names."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    return [row[1:] for name in names for row in rows if row and row[0] == name]


def statuses(out):
    with (out / "report.csv").open() as file:
        return {row["video_id"]: row["status"] for row in csv.DictReader(file)}


def test_videos_become_a_data_set_and_every_one_is_reported(dfdc, tmp_path, capsys):
    out = tmp_path / "prepared"
    run(
        dfdc, "--out", out, "--extraction.detector", "haar", "--extraction.frames_per_video", "2",
        "--workers", "1", "--fractions", "[0.5, 0.0, 0.5]",
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "1 real and 2 fake videos or crops are listed, 1 of them missing" in printed
    assert "2 real and 2 fake crops" in printed
    # Frames and faces per second, beside those of the detector alone.
    rates = rows_of(printed, "this run, all processes", "one process", "its detector alone")
    assert all(frames == faces for frames, faces in rates)
    (run_rate, _), (process, _), (detector, _) = rates
    assert 0 < float(run_rate) < float(process) < float(detector)
    assert "images/s" in printed
    # One source in all: it cannot stand on both sides, and two parts cannot be made of it.
    assert "no split 'hard'" in printed and "no split 'actor'" in printed
    assert statuses(out) == {"real": "done", "fake": "done", "gone": "missing"}
    index = FaceData(out).index
    assert set(index["source_id"]) == {"real"} and sorted(index["label"]) == [0, 0, 1, 1]
    assert (index["confidence"] > 0).all()


def test_on_beam_the_same_comes_of_it(dfdc, tmp_path):
    pytest.importorskip("apache_beam", reason="the extra 'beam' is not installed")
    arguments = (
        "--extraction.detector", "haar", "--extraction.frames_per_video", "2", "--workers", "1",
    )  # fmt: skip
    run(dfdc, "--out", tmp_path / "here", *arguments)
    run(
        dfdc, "--out", tmp_path / "beam", *arguments,
        "--beam_pipeline_options", "runner=DirectRunner,direct_num_workers=1",
    )  # fmt: skip
    indexes = [
        FaceData(tmp_path / name).index.sort_values("example_id", ignore_index=True)
        for name in ("here", "beam")
    ]
    assert len(indexes[0]) == 4
    pandas.testing.assert_frame_equal(*indexes)


def test_a_second_run_goes_on_where_the_first_was(dfdc, tmp_path, capsys):
    arguments = (
        dfdc, "--out", tmp_path / "prepared", "--extraction.detector", "haar", "--workers", "1",
        "--extraction.frames_per_video", "2", "--fractions", "[0.5, 0.0, 0.5]",
    )  # fmt: skip
    run(*arguments, "--limit", "1")
    assert "2 frames, 2 faces of 1 videos" in capsys.readouterr().out
    assert statuses(tmp_path / "prepared") == {
        "fake": "done",
        "gone": "missing",
        "real": "not drawn",
    }
    crops = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    run(*arguments)
    # Of the one video that was left to do.
    assert "2 frames, 2 faces of 1 videos" in capsys.readouterr().out
    assert statuses(tmp_path / "prepared") == {"fake": "done", "gone": "missing", "real": "done"}
    run(*arguments)
    assert "frames/s" not in capsys.readouterr().out
    assert (
        len(crops) == 2
        and crops.items()
        < {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}.items()
    )


def test_a_dry_run_only_lists(dfdc, tmp_path, capsys):
    run(dfdc, "--out", tmp_path / "prepared", "--dry_run")
    assert "1 real and 2 fake" in capsys.readouterr().out
    run("splices", "--out", tmp_path / "prepared", "--dry_run")
    assert "2000 splices" in capsys.readouterr().out
    assert not (tmp_path / "prepared").exists()


def test_videos_are_drawn_by_their_class(dfdc, tmp_path, capsys):
    run(dfdc, "--out", tmp_path / "prepared", "--fake", "0", "--dry_run")
    printed = capsys.readouterr().out
    assert "1 real and 2 fake" in printed and "1 of them are taken" in printed
    with pytest.raises(SystemExit):
        run(dfdc, "--out", tmp_path / "prepared", "--fake", "2", "--dry_run")
    # One of the two fakes is not there.
    assert "expected 0 to 1 fake videos, got 2" in capsys.readouterr().err


def test_a_data_set_without_the_compression_is_warned_of(tmp_path, capsys):
    for file in (
        "original_sequences/youtube/c40/videos/519.mp4",
        "original_sequences/actors/c23/videos/01__walking.mp4",
    ):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    run(tmp_path, "--out", tmp_path / "out", "--compression", "c40", "--dry_run")
    written = capsys.readouterr()
    assert "faceforensics: 1 real and 0 fake" in written.out
    folder = tmp_path / "original_sequences" / "actors"
    assert written.err == f"warning: no c40 video in {folder}\n"


def test_without_beam_nothing_is_begun(dfdc, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prepare_faces.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        run(dfdc, "--out", tmp_path / "out", "--beam_pipeline_options", "runner=DirectRunner")
    assert ended.value.code == 2
    written = capsys.readouterr()
    assert "pip install 'tfselfsup[beam]'" in written.err and written.out == ""
    assert not (tmp_path / "out").exists()


def test_splices_need_no_data(tmp_path, capsys):
    run(
        "splices", "--out", tmp_path, "--splices", "64", "--splice_side", "40", "--fractions",
        "[0.5, 0.25, 0.25]",
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "32 real and 32 fake crops" in printed
    assert "the splits 'random' and 'video' coincide" in printed
    # Crops of every photograph stand on both sides of the random split, and of none in the hard.
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    sources = {
        row[0]: row[4] for row in rows if len(row) > 4 and row[1:4] == ["train", "test", "sources"]
    }
    assert sources == {"random": "8", "hard": "0"}
    assert len(FaceData(tmp_path)) == 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/folder"], "no/such/folder"),
        (["."], "metadata.json"),
        ([".", "--layout", "celeb"], "layout"),
        (["splices", "--splice_side", "4"], "splice_side"),
        (["splices", "--fractions", "[0.5, 0.5, 0.5]"], "sum to 1"),
        (["splices", "--extraction.jpeg_quality", "500"], "jpeg_quality"),
        (["splices", "--extraction.longest_side", "10"], "longest_side"),
        (["splices", "--extraction.detector", "yolo"], "detector"),
    ],
)
def test_a_user_s_mistake_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(*arguments, "--out", tmp_path / "out")
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_two_processes_do_not_write_one_folder(tmp_path, capsys):
    out = tmp_path / "out"
    with locked(out, "is taken"), pytest.raises(SystemExit) as ended:
        run("splices", "--out", out)
    assert ended.value.code == 2
    assert f"{out} is being written by another process; wait for it" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_of_other_data_sets_is_refused_before_anything_is_done(dfdc, tmp_path, capsys):
    out = tmp_path / "out"
    (out / "tfds" / "mnist").mkdir(parents=True)
    with pytest.raises(SystemExit) as ended:
        run(dfdc, "--out", out)
    assert ended.value.code == 2
    written = capsys.readouterr()
    assert "with mnist in it; name another --out" in written.err and written.out == ""
    assert [path.relative_to(out).as_posix() for path in out.rglob("*")] == ["tfds", "tfds/mnist"]


def test_a_file_whose_name_is_of_no_encoding_is_reported(tmp_path, capsys):
    crops = tmp_path / "crops"
    crops.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    for name, picture in zip((b"a.jpg", b"caf\xe9.jpg"), pixels, strict=True):
        path = os.fsencode(crops) + b"/" + name
        with open(path, "wb") as file:
            file.write(cv2.imencode(".jpg", picture)[1].tobytes())
    (crops / "labels.csv").write_text("filename,label,original\na.jpg,REAL,\n")
    with contextlib.suppress(SystemExit):  # one image is no data set that could be divided
        run(crops, "--out", tmp_path / "out")
    assert "1 files without a label" in capsys.readouterr().out
    report = (tmp_path / "out" / "report.csv").read_text()
    assert "caf\\udce9.jpg" in report


@pytest.mark.slow
def test_the_videos_at_hand(tmp_path, capsys):
    source = SHARED / "videos" / "faceforensics"
    if not source.is_dir():
        pytest.skip("the research data is not here")
    run(source, "--out", tmp_path, "--extraction.frames_per_video", "3")
    index = FaceData(tmp_path).index
    assert index.groupby(["data_set", "video_id"]).size().between(1, 3).all()
    assert set(index["label"]) == {0, 1}
