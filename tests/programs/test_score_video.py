import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from skimage import data as photographs

from tests.programs import conftest
from tests.programs.conftest import SMALL
from tfselfsup.attribution import overlays, position_maps
from tfselfsup.config import ClassifierExperiment, ExtractionConfig
from tfselfsup.datasets.loading import FaceData
from tfselfsup.datasets.videos import VideoReader
from tfselfsup.programs import prepare_faces, score_video, train_classifier, trained_classifier
from tfselfsup.runs import RunDirectory
from tfselfsup.vision import calibration, video_scoring

pytestmark = pytest.mark.usefixtures("one_tensorflow")

FEW = ("--extraction.detector", "haar", "--extraction.frames_per_video", 3, "--workers", 1)
WITH_MAPS = ("--video", "--attribution")


@pytest.fixture(autouse=True)
def _started(monkeypatch):
    monkeypatch.setattr(score_video, "start_tensorflow", lambda runtime: None)


def write_video(path, frames=6, face=True):
    """Writes a video of the astronaut, whose face moves a little, or of nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph = cv2.resize(photographs.astronaut(), (256, 256))[..., ::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (320, 256))
    for index in range(frames):
        frame = np.zeros((256, 320, 3), np.uint8)
        if face:
            frame[:, 8 * index : 8 * index + 256] = photograph
        writer.write(frame)
    writer.release()
    return path


@pytest.fixture(scope="module")
def model(faces, one_tensorflow, tmp_path_factory):
    """A probe that is not sure of anything, but says something else of every face."""
    folder = tmp_path_factory.mktemp("model")
    given = {"data.path": faces, "cache": folder / "cache", **SMALL, "probe.strengths": "[10.0]"}
    options = [text for key, value in given.items() for text in (f"--{key}", str(value))]
    train_classifier.main([*options, "--run_dir", str(folder / "run")])
    return RunDirectory(folder / "run")


def run(*arguments):
    score_video.main([*map(str, arguments)])


def refused(capsys, *arguments):
    return conftest.refused(lambda: run(*arguments), capsys)


@pytest.fixture
def dfdc(tmp_path):
    """Two videos as DFDC lays them out."""
    part = tmp_path / "dfdc_train_part_0"
    write_video(part / "real.mp4")
    write_video(part / "fake.mp4", frames=8)
    listed = {"real.mp4": {"label": "REAL"}, "fake.mp4": {"label": "FAKE", "original": "real.mp4"}}
    (part / "metadata.json").write_text(json.dumps(listed))
    return part


def test_the_faces_are_those_that_prepare_faces_would_make(model, dfdc, tmp_path):
    prepare_faces.main(
        [str(text) for text in (dfdc, "--out", tmp_path / "prepared", *FEW)]
        + ["--fractions", "[0.5, 0.0, 0.5]"]
    )
    out = tmp_path / "scores"
    run(dfdc / "real.mp4", dfdc / "fake.mp4", "--model", model.path, "--out", out, *FEW)
    rows = pd.read_csv(out / "scores.csv")
    prepared = sorted((tmp_path / "prepared" / "crops").rglob("*.jpg"))
    assert len(rows) == len(prepared) == 6
    for file in prepared:
        (own,) = (out / "crops" / "videos").glob(f"{file.parent.name}-*/{file.name}")
        assert own.read_bytes() == file.read_bytes()
    # And what the classifier says about them is what it says about the data set.
    experiment = model.experiment(ClassifierExperiment)
    data = FaceData(tmp_path / "prepared")
    classifier = trained_classifier.load(experiment, model, data)
    logits = classifier.logits(data, np.ones(len(data), bool))
    expected = calibration.apply(logits, model.temperature("only"))[:, 1]
    rows["video_id"] = [Path(video).stem for video in rows["video"]]
    found = data.index.merge(rows, on=["video_id", "frame_index"], validate="1:1")
    np.testing.assert_allclose(found["probability"], expected, atol=2e-6)
    assert np.ptp(expected) > 1e-4


def test_every_video_has_a_row_and_only_faces_have_scores(model, tmp_path, capsys):
    paths = [
        write_video(tmp_path / "face.mp4"),
        write_video(tmp_path / "nothing.mp4", face=False),
        tmp_path / "broken.mp4",
        tmp_path / "gone.mp4",
        tmp_path / "copy.mp4",
    ]
    paths[2].write_bytes(b"no video")
    paths[4].write_bytes(paths[0].read_bytes())
    run(*paths, "--model", model.path, "--video", *FEW)
    out = model.path / "scored_videos"  # by default
    videos = pd.read_csv(out / "videos.csv")
    assert videos["video"].tolist() == [str(path) for path in paths]
    assert videos["status"].tolist() == ["done", "no face", "unreadable", "missing", "duplicate"]
    assert videos["name"][0] in videos["reason"][4] and "gone.mp4" in videos["reason"][3]
    assert videos["faces"].tolist() == [3, 0, 0, 0, 0]
    scores = pd.read_csv(out / "scores.csv")
    assert videos["probability"][0] == pytest.approx(scores["probability"].mean(), abs=1e-6)
    low, high = videos.loc[0, ["probability_low", "probability_high"]]
    assert scores["probability"].min() <= low <= videos["probability"][0] <= high
    assert videos["probability"][1:].isna().all()
    written = json.loads((out / "scores.json").read_text())
    assert written["trunk"] == "two_layer_cnn" and written["stand_in"] is False
    assert written["temperature"] == model.temperature("only")
    assert ExtractionConfig(**written["extraction"]).detector == "haar"
    assert [video["status"] for video in written["videos"]] == videos["status"].tolist()
    assert written["videos"][1]["probability"] is None and written["videos"][1]["scores"] == []
    assert written["videos"][0]["scores"][0]["side"] == scores["side"][0]
    (drawn,) = (out / "annotated").iterdir()
    first, *_ = VideoReader(drawn, rate=1000)
    assert drawn.name.startswith("face-") and first.pixels.shape == (256, 320, 3)
    printed = capsys.readouterr().out
    assert "weights random" in printed and "unreadable" in printed


def test_where_the_score_is_sensitive_is_drawn_over_the_face(model, tmp_path):
    path = write_video(tmp_path / "face.mp4")
    plain, drawn = tmp_path / "plain", tmp_path / "drawn"
    run(path, "--model", model.path, "--out", plain, "--video", *FEW)
    run(path, "--model", model.path, "--out", drawn, *WITH_MAPS, *FEW)
    assert (drawn / "scores.csv").read_bytes() == (plain / "scores.csv").read_bytes()
    first = pd.read_csv(drawn / "scores.csv").iloc[0]
    x, y, side = first[["x", "y", "side"]].astype(int)
    before, after = (
        next(iter(VideoReader(next((out / "annotated").iterdir()), rate=1000))).pixels.astype(int)
        for out in (plain, drawn)
    )
    difference = np.abs(after - before).mean(-1)
    edge = 16  # pixels around the box that an encoder of videos, which goes by blocks, changes too
    inside = difference[y + edge : y + side - edge, x + edge : x + side - edge]
    assert inside.mean() > 20
    difference[max(y - edge, 0) : y + side + edge, max(x - edge, 0) : x + side + edge] = 0
    assert difference.mean() < 2
    # Where the map is dark the face is grey, nearly: colours are stored for blocks of pixels.
    colours = after[y + edge : y + side - edge, x + edge : x + side - edge]
    assert np.ptp(colours, axis=-1).min() < 25


def test_no_more_maps_are_computed_together_than_said(model, tmp_path, monkeypatch):
    path = write_video(tmp_path / "face.mp4")
    computed, drawn, of_classes = [], [], position_maps.of_classes

    def counted(*given):
        maps_of = of_classes(*given)
        return lambda images, classes: (computed.append(len(images)), maps_of(images, classes))[1]

    monkeypatch.setattr(position_maps, "of_classes", counted)
    monkeypatch.setattr(overlays, "scale_of", lambda maps: 0.01)
    for number in (64, 2):
        monkeypatch.setattr(score_video, "MAPS_AT_ONCE", number)
        run(path, "--model", model.path, "--out", tmp_path / f"{number}", *WITH_MAPS, *FEW)
        drawn += (tmp_path / f"{number}" / "annotated").iterdir()
    # Of three faces: all together, once; then the first and the last for the scale, two, and one.
    assert computed == [3, 2, 2, 1]
    whole, in_part = ([frame.pixels for frame in VideoReader(file, rate=1000)] for file in drawn)
    np.testing.assert_array_equal(in_part, whole)


def test_an_attribution_needs_a_video_and_a_network(train, model, tmp_path, capsys):
    path, out = write_video(tmp_path / "face.mp4", frames=2), tmp_path / "out"
    given = (path, "--out", out, "--attribution", *FEW)
    assert "expected --video with --attribution" in refused(capsys, *given, "--model", model.path)
    neighbours = train(probe__solver="knn").path
    assert "--probe.solver lbfgs" in refused(capsys, *given, "--model", neighbours, "--video")
    assert not out.exists()


def test_the_data_need_not_be_at_hand(model, tmp_path):
    path = write_video(tmp_path / "face.mp4")
    moved = RunDirectory(shutil.copytree(model.path, tmp_path / "moved"))
    config = moved.path / "config.yaml"
    data = model.experiment(ClassifierExperiment).data.path
    config.write_text(config.read_text().replace(data, str(tmp_path / "gone")))
    run(path, "--model", moved.path, "--out", tmp_path / "out", *FEW)
    assert len(pd.read_csv(tmp_path / "out" / "scores.csv")) == 3


def test_a_second_call_cuts_nothing_out_again(model, tmp_path, monkeypatch):
    path, out = write_video(tmp_path / "face.mp4"), tmp_path / "out"
    run(path, "--model", model.path, "--out", out, *FEW)
    before = (out / "scores.json").read_bytes()

    def died(*_):
        raise AssertionError("a process was started")

    monkeypatch.setattr("tfselfsup.datasets.workers._Worker", died)
    run(path, "--model", model.path, "--out", out, *FEW)
    assert (out / "scores.json").read_bytes() == before


def test_without_any_face_the_tables_have_their_columns(model, tmp_path):
    run(tmp_path / "gone.mp4", "--model", model.path, "--out", tmp_path / "out", *FEW)
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert list(scores) == list(video_scoring.FACE_COLUMNS) and scores.empty


def test_faces_that_are_cut_out_otherwise_than_learnt_ones_are_warned_of(
    model, dfdc, tmp_path, capsys
):
    settings = ("--extraction.margin", 1.5, *FEW, "--fractions", "[0.5, 0.0, 0.5]")
    prepare_faces.main([str(text) for text in (dfdc, "--out", tmp_path / "prepared", *settings)])
    experiment = model.experiment(ClassifierExperiment)
    capsys.readouterr()
    score_video._warn_of_other_crops(
        _with_data(experiment, tmp_path / "prepared"),
        score_video.VideoScoring(extraction=ExtractionConfig(detector="haar")),
    )
    (warning,) = capsys.readouterr().err.splitlines()
    assert "margin 1.5, not 1.3" in warning and "--extraction.margin 1.5" in warning


def test_what_cannot_score_videos_is_refused(train, model, tmp_path, capsys):
    before = train(mode="pretrain", training__epochs=1, training__tasks="[{name: rotation}]")
    video = write_video(tmp_path / "face.mp4", frames=2)
    assert "pre-training" in refused(capsys, video, "--model", before.path)
    assert "config.yaml" in refused(capsys, video, "--model", tmp_path)
    out = tmp_path / "out"
    given = ("--model", model.path, "--out", out)
    assert "the folder" in refused(capsys, tmp_path, *given)
    assert "margin" in refused(capsys, video, *given, "--extraction.margin", 0)
    assert not out.exists()


def test_digits_have_no_faces(model, tmp_path, capsys):
    of_digits = shutil.copytree(model.path, tmp_path / "digits")
    config = of_digits / "config.yaml"
    config.write_text(config.read_text().replace("kind: faces", "kind: digits"))
    message = refused(capsys, tmp_path / "a.mp4", "--model", of_digits)
    assert "classifier of faces" in message and "digits" in message


def _with_data(experiment, path):
    data = dataclasses.replace(experiment.data, path=str(path))
    return dataclasses.replace(experiment, data=data)
