import json

import cv2
import numpy as np

from tests.attribution.networks import frames_of, linear
from tfselfsup.attribution import files, overlays, pixels, questions, sanity
from tfselfsup.attribution.smoothgrad import SmoothGrad, compiled

SHAPE = (4, 8, 8, 1)


def parts():
    part = pixels.differentiable(linear(shape=SHAPE)[0], "label")
    question = questions.of_class("label", ("real", "fake"))
    maps_of = SmoothGrad(compiled(part, question.score), copies=3, batch_size=4)
    return maps_of, questions.Answers(part, question, 4)


def test_raw_maps_have_the_axes_of_the_frames_and_pictures_have_safe_names(tmp_path):
    frames, maps = frames_of(SHAPE, count=2), np.random.default_rng(0).random((2, 8, 8, 4))
    files.write_maps(tmp_path, frames, maps, ["a/b c", "../d"], np.array([1, 0]))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000_a_b_c.png",
        "001____d.png",
        "maps.npz",
    ]
    with np.load(tmp_path / "maps.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["frames"], frames)
        np.testing.assert_array_equal(found["maps"][:, 2, ..., 0], maps[..., 2])
        assert found["names"].tolist() == ["a/b c", "../d"]
        assert found["targets"].tolist() == [1, 0]
    picture = cv2.imread(str(tmp_path / "000_a_b_c.png"))
    expected = overlays.strip(frames[0], pixels.by_frame(maps, 4)[0])
    np.testing.assert_array_equal(picture[..., ::-1], expected)


def test_a_progress_bar_changes_no_map(capsys):
    maps_of, _ = parts()
    images, targets = pixels.of_frames(frames_of(SHAPE)), np.array([0, 1, 1])
    np.testing.assert_array_equal(
        files.computed(maps_of, images, targets), maps_of(images, targets)
    )
    assert "3.0/3" in capsys.readouterr().err


def test_settings_are_json(tmp_path):
    files.write_settings(tmp_path, {"output": "q", "noise": 0.05})
    assert json.loads((tmp_path / "settings.json").read_text())["noise"] == 0.05


def test_a_film_has_one_scale_and_shows_the_newest_frames(tmp_path, monkeypatch):
    maps_of, answers = parts()
    frames = frames_of(SHAPE, count=6)
    shown = []
    monkeypatch.setattr(
        files.video, "write", lambda path, pictures, rate: shown.extend([path, *pictures])
    )
    files.write_game(tmp_path / "game.mp4", frames, maps_of, answers, "fake")
    images = pixels.of_frames(frames)
    maps = sanity.by_position(maps_of(images, np.ones(6, int)))
    largest = overlays.scale_of(maps)
    assert shown[0] == tmp_path / "game.mp4"
    for drawn, frame, map_ in zip(shown[1:], frames[:, -1], maps, strict=True):
        np.testing.assert_array_equal(drawn, overlays.side_by_side(frame, map_, largest))
