import cv2
import numpy as np
import pytest

from tfselfsup.runs.mp4 import mp4


def test_pictures_come_back_in_their_order_and_colours(tmp_path):
    colours = ([250, 0, 0], [0, 250, 0], [0, 0, 250])
    with mp4(tmp_path / "film.mp4", 10, (48, 32)) as append:
        for colour in colours:
            append(np.full((32, 48, 3), colour, np.uint8))
        assert not (tmp_path / "film.mp4").exists()
    reader = cv2.VideoCapture(str(tmp_path / "film.mp4"))
    for colour in colours:
        found, picture = reader.read()
        assert found and picture.shape == (32, 48, 3)
        assert np.abs(picture[..., ::-1].mean(axis=(0, 1)) - colour).max() < 12
    assert not reader.read()[0]
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_nothing_half_written_is_left(tmp_path):
    with pytest.raises(ZeroDivisionError), mp4(tmp_path / "film.mp4", 10, (48, 32)) as append:
        append(np.zeros((32, 48, 3), np.uint8))
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(OSError, match="cannot write .*gone"),
        mp4(tmp_path / "gone/a.mp4", 1, (8, 8)),
    ):
        pass


def test_an_odd_side_loses_its_last_pixels(tmp_path):
    with mp4(tmp_path / "film.mp4", 10, (49, 33)) as append:
        append(np.zeros((33, 49, 3), np.uint8))
    _, picture = cv2.VideoCapture(str(tmp_path / "film.mp4")).read()
    assert picture.shape == (32, 48, 3)
