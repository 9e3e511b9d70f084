import struct

import cv2
import numpy as np
import pytest

from tfselfsup.datasets.videos import UnreadableVideoError, VideoReader

STEP = 12  # of grey from frame to frame


def write_video(path, frames=20, rate=10, size=(64, 48)):
    """Writes a video whose frame i is grey of level STEP * i."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
    assert writer.isOpened()
    for index in range(frames):
        writer.write(np.full((size[1], size[0], 3), STEP * index, np.uint8))
    writer.release()
    return path


def boxes(content):
    """Splits an mp4 into its boxes, by name."""
    found = {}
    while content:
        size, name = struct.unpack(">I4s", content[:8])
        found[name], content = content[:size], content[size:]
    return found


def streamed(content):
    """Puts the index of an mp4 before its frames, as in files for the web."""
    parts = boxes(content)
    index = bytearray(parts[b"moov"])
    at = index.index(b"stco") + 8
    for place in range(at + 4, at + 4 + 4 * struct.unpack_from(">I", index, at)[0], 4):
        (offset,) = struct.unpack_from(">I", index, place)
        struct.pack_into(">I", index, place, offset + len(index))
    rest = b"".join(part for name, part in parts.items() if name not in (b"ftyp", b"moov"))
    return parts[b"ftyp"] + bytes(index) + rest


def sampled(path, **wanted):
    frames = list(VideoReader(path, **wanted))
    for frame in frames:
        assert frame.pixels.dtype == np.uint8
        assert round(frame.pixels.mean() / STEP) == frame.index
    return [frame.index for frame in frames]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "grey.mp4")


@pytest.mark.parametrize(
    "count, indices",
    [
        (1, [10]),
        (3, [3, 10, 16]),
        (4, [2, 7, 12, 17]),
        # One and a third frames a part: the middles are 2/3, 2, 10/3, ...
        (15, [0, 2, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16, 18, 19]),
        (20, range(20)),
        (50, range(20)),
    ],
)
def test_a_count_takes_the_middles_of_equal_parts(video, count, indices):
    assert sampled(video, count=count) == list(indices)


@pytest.mark.parametrize(
    "rate, indices",
    [
        (0.1, [0]),
        (2, [0, 5, 10, 15]),
        # Ticks at 0, 0.333, 0.667, 1, 1.333 and 1.667 s; frames every 0.1 s.
        (3, [0, 4, 7, 10, 14, 17]),
        (10, range(20)),
        (100, range(20)),
    ],
)
def test_a_rate_takes_the_first_frame_after_each_tick(video, rate, indices):
    assert sampled(video, rate=rate) == list(indices)


def test_seconds_are_the_time_in_the_video(video):
    seconds = [frame.seconds for frame in VideoReader(video, count=20)]
    np.testing.assert_allclose(seconds, np.arange(20) / 10, atol=1e-3)


def test_pixels_are_red_green_blue(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "red.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48)
    )
    for _ in range(3):
        writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))
    writer.release()
    (frame,) = VideoReader(tmp_path / "red.mp4", count=1)
    assert frame.pixels.shape == (48, 64, 3)
    np.testing.assert_allclose(frame.pixels.mean((0, 1)), (255, 0, 0), atol=8)


def test_frames_are_decoded_when_they_are_asked_for(video):
    reader = VideoReader(video, rate=2)
    frames = iter(reader)
    next(frames)
    assert reader.decoded == 1
    next(frames)
    assert reader.decoded == 6
    assert len(list(frames)) == 2
    assert (reader.decoded, reader.promised, reader.truncated) == (20, 20, False)


def test_a_second_iteration_starts_again(video):
    reader = VideoReader(video, count=3)
    first, second = list(reader), list(reader)
    assert [frame.index for frame in first] == [frame.index for frame in second]
    assert reader.decoded == 20


def test_a_truncated_video_gives_the_frames_there_are(tmp_path, video):
    content = streamed(video.read_bytes())
    (tmp_path / "whole.mp4").write_bytes(content)
    assert sampled(tmp_path / "whole.mp4", count=4) == [2, 7, 12, 17]

    frames_start = len(content) - len(boxes(content)[b"mdat"])
    cut = frames_start + (len(content) - frames_start) // 2
    (tmp_path / "cut.mp4").write_bytes(content[:cut])
    reader = VideoReader(tmp_path / "cut.mp4", rate=10)
    indices = [frame.index for frame in reader]
    assert reader.truncated
    assert reader.promised == 20
    assert 0 < reader.decoded < 18
    assert indices == list(range(reader.decoded))
    # Where the middle has gone nothing that is wanted is there, but the file is not unreadable.
    assert list(VideoReader(tmp_path / "cut.mp4", count=1)) == []


def test_a_header_without_a_number_of_frames(tmp_path):
    path = tmp_path / "bare.mjpeg"
    images = [np.full((48, 64, 3), STEP * index, np.uint8) for index in range(10)]
    path.write_bytes(b"".join(cv2.imencode(".jpg", image)[1].tobytes() for image in images))
    assert sampled(path, count=2) == [2, 7]
    assert not VideoReader(path, count=2).truncated


def promising(path, promised, frames=20):
    """Writes a video whose header tells of `promised` frames."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for index in range(frames):
        writer.write(np.full((48, 64, 3), STEP * index, np.uint8))
    writer.release()
    content = bytearray(path.read_bytes())
    # The length of the stream, in its header.
    struct.pack_into("<I", content, content.index(b"strh") + 8 + 32, promised)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "promised, count, first, second",
    [
        (5, 2, [1, 3], [5, 15]),
        # Fewer are promised than are wanted: all of them, and then the right ones.
        (5, 8, [0, 1, 2, 3, 4], [1, 3, 6, 8, 11, 13, 16, 18]),
        (19, 50, range(19), range(20)),
        (1, 1, [0], [10]),
    ],
)
def test_a_header_that_promises_too_few_frames(tmp_path, promised, count, first, second):
    reader = VideoReader(promising(tmp_path / "long.avi", promised), count=count)
    assert [frame.index for frame in reader] == list(first)
    assert (reader.promised, reader.decoded, reader.truncated) == (promised, 20, False)
    assert reader.outlasted
    for _ in range(2):
        assert [frame.index for frame in reader] == list(second)
        assert not reader.outlasted


def test_a_header_that_is_wrong_by_less_than_half_a_part_will_do(tmp_path):
    # Parts of 16 / 4 frames, and of 17 / 4: 4 frames too few are more than 2, 3 more than 2.1.
    for promised, outlasted in ((16, True), (17, True), (18, False)):
        reader = VideoReader(promising(tmp_path / "long.avi", promised), count=4)
        list(reader)
        assert reader.outlasted == outlasted
    reader = VideoReader(promising(tmp_path / "long.avi", 5), rate=2)
    assert [frame.index for frame in reader] == [0, 5, 10, 15] and not reader.outlasted


def test_an_iteration_that_was_left_tells_nothing_of_the_length(tmp_path):
    reader = VideoReader(promising(tmp_path / "long.avi", 2), count=8)
    frames = iter(reader)
    assert [next(frames).index, next(frames).index] == [0, 1]
    frames.close()
    assert not reader.outlasted
    assert [frame.index for frame in reader] == [0, 1] and reader.outlasted


class Failing:
    """A capture that cannot convert some of the frames it decodes."""

    fails: dict = {}

    def __init__(self, *arguments):
        self._capture, self._index = CAPTURE(*arguments), -1

    def grab(self):
        self._index += 1
        return self._capture.grab()

    def retrieve(self):
        if self._index in self.fails:
            return self.fails[self._index]
        return self._capture.retrieve()

    def __getattr__(self, name):
        return getattr(self._capture, name)


CAPTURE = cv2.VideoCapture
NOTHING = (False, None)
TWO_CHANNELS = (True, np.zeros((48, 64, 2), np.uint8))  # which OpenCV refuses to convert


@pytest.mark.parametrize("failure", [NOTHING, TWO_CHANNELS])
def test_wanted_frames_that_cannot_be_converted_are_counted(video, monkeypatch, failure):
    monkeypatch.setattr(cv2, "VideoCapture", Failing)
    # Frames 3, 10 and 16 are wanted.
    monkeypatch.setattr(Failing, "fails", {4: failure, 10: failure})
    reader = VideoReader(video, count=3)
    assert [frame.index for frame in reader] == [3, 16]
    assert (reader.unreadable, reader.decoded, reader.truncated) == (1, 20, False)
    monkeypatch.setattr(Failing, "fails", dict.fromkeys((3, 10, 16), failure))
    with pytest.raises(UnreadableVideoError, match="none of 3 wanted frames of grey.mp4 has"):
        list(reader)
    monkeypatch.setattr(Failing, "fails", {})
    assert len(list(reader)) == 3 and reader.unreadable == 0


def test_rotation_in_the_metadata_is_applied(tmp_path, video):
    content = bytearray(video.read_bytes())
    # The matrix of the track's header, for a quarter turn clockwise.
    at = content.index(b"tkhd") + 44
    one = 1 << 16
    struct.pack_into(">9i", content, at, 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(content)
    (frame,) = VideoReader(tmp_path / "turned.mp4", count=1)
    assert frame.pixels.shape == (64, 48, 3)


@pytest.mark.parametrize("content", [b"", b"no video" * 500])
def test_an_unreadable_file_is_an_error_that_names_it(tmp_path, content):
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(UnreadableVideoError, match="bad.mp4"):
        list(VideoReader(tmp_path / "bad.mp4", count=1))


def test_a_video_cut_off_before_its_index_is_unreadable(tmp_path, video):
    content = video.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableVideoError, match="cut.mp4"):
        list(VideoReader(tmp_path / "cut.mp4", count=1))


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path):
    for path in (tmp_path / "gone.mp4", tmp_path):
        with pytest.raises(UnreadableVideoError, match="no file"):
            list(VideoReader(path, count=1))


@pytest.mark.parametrize(
    "wanted",
    [{}, {"count": 1, "rate": 1.0}, {"count": 0}, {"rate": 0.0}, {"rate": float("inf")}],
)
def test_what_is_wanted_must_make_sense(video, wanted):
    with pytest.raises(ValueError, match="expected"):
        VideoReader(video, **wanted)
