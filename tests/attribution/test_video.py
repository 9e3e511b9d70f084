import cv2
import numpy as np
import pytest

from tfselfsup.attribution import video

PICTURES = [np.full((64, 96, 3), (value, 0, 255 - value), np.uint8) for value in (0, 100, 200)]


def read(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (found := capture.read())[0]:
        frames.append(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return frames, rate


def test_the_pictures_are_in_the_video_in_their_order_and_colours(tmp_path):
    video.write(tmp_path / "a.mp4", iter(PICTURES), 15)
    frames, rate = read(tmp_path / "a.mp4")
    assert rate == 15 and len(frames) == 3
    for frame, picture in zip(frames, PICTURES, strict=True):
        assert frame.shape == picture.shape
        assert np.abs(frame.astype(int) - picture).mean() < 12


def test_a_failure_leaves_nothing_aside_and_the_old_file_as_it_was(tmp_path):
    (tmp_path / "a.mp4").write_text("an older video")

    def failing():
        yield PICTURES[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        video.write(tmp_path / "a.mp4", failing(), 15)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_text() == "an older video"


def test_a_missing_folder_is_one_line(tmp_path, capfd):
    with pytest.raises(OSError, match="expected a folder to write a video to, cannot write"):
        video.write(tmp_path / "missing" / "a.mp4", PICTURES, 15)
    assert capfd.readouterr() == ("", "")
