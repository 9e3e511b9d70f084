import cv2
import numpy as np
import pytest

from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import Crop, Frame, Video
from tfselfsup.datasets.videos import VideoReader
from tfselfsup.vision import annotated_video
from tfselfsup.vision.video_scoring import ScoredVideo

HEIGHT, WIDTH = 96, 128


def write_grey(path, frames, rate):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), rate, (WIDTH, HEIGHT))
    for _ in range(frames):
        writer.write(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    writer.release()
    return path


def scored(path, *faces):
    """Scores at times in seconds, as pairs (time, probability), of a face at (30, 40)."""
    crops = tuple(Crop("", 0, seconds, 30, 40, 32, 0.9, 1) for seconds, _ in faces)
    video = Video(path, "videos", path.name, path.name, -1)
    probabilities = np.array([probability for _, probability in faces])
    return ScoredVideo(Manifest(video, "done", crops=crops), probabilities)


def frame(seconds):
    return Frame(0, seconds, np.full((HEIGHT, WIDTH, 3), 90, np.uint8))


def test_the_box_is_where_the_face_is_and_its_colour_tells_the_score(tmp_path):
    before = frame(0.0)
    for probability, colour in ((0.0, (0, 255, 0)), (1.0, (255, 0, 0)), (0.4, (204, 255, 0))):
        picture = annotated_video.annotated(before, scored(tmp_path / "a", (0.0, probability)))
        for y, x in ((40, 30), (40, 61), (71, 30), (71, 61), (55, 30)):
            assert tuple(picture[y, x]) == colour
        # The face itself is left as it is, and the text stands above it.
        assert (picture[41:71, 31:61] == 90).all()
        assert (picture[:40] != 90).any() and (picture[72:] == 90).all()
    assert (before.pixels == 90).all()


def test_a_face_is_drawn_inside_its_box_and_nowhere_else(tmp_path):
    video = scored(tmp_path / "a", (0.5, 0.0), (1.5, 1.0))
    asked = []

    def draw(face, number):
        asked.append((face.shape, number))
        assert (face == 90).all()
        return np.full_like(face, 200 + number)

    for seconds, number in ((0.6, 0), (1.4, 1)):
        plain = annotated_video.annotated(frame(seconds), video)
        picture = annotated_video.annotated(frame(seconds), video, draw)
        assert (picture[41:71, 31:61] == 200 + number).all()
        # The box, the text above it and all else stay as they are.
        picture[41:71, 31:61] = plain[41:71, 31:61]
        np.testing.assert_array_equal(picture, plain)
    assert asked == [((32, 32, 3), 0), ((32, 32, 3), 1)]
    # Where no face is near in time, none is drawn.
    assert (annotated_video.annotated(frame(9.0), video, draw) == 90).all() and len(asked) == 2


def test_a_box_without_room_above_has_its_text_inside(tmp_path):
    video = scored(tmp_path / "a", (0.0, 1.0))
    crop = video.manifest.crops[0]._replace(y=0)
    video = video._replace(manifest=video.manifest._replace(crops=(crop,)))
    picture = annotated_video.annotated(frame(0.0), video)
    assert (picture[1:31, 31:61] != 90).any()


def test_a_score_holds_half_way_to_the_next(tmp_path):
    video = scored(tmp_path / "a", (0.5, 0.0), (1.5, 1.0), (2.5, 0.0))

    def colour(seconds):
        return tuple(annotated_video.annotated(frame(seconds), video)[55, 30])

    assert [colour(t) for t in (0.1, 0.9, 1.1, 1.9, 2.1)] == [
        (0, 255, 0), (0, 255, 0), (255, 0, 0), (255, 0, 0), (0, 255, 0)
    ]  # fmt: skip
    # Where no face was found, none is drawn.
    assert colour(3.2) == (90, 90, 90)
    assert (annotated_video.annotated(frame(3.2), video) == 90).all()


@pytest.mark.parametrize("rate, frames", [(10, 12), (30, 36), (60, 72)])
def test_the_video_keeps_its_speed_and_length(tmp_path, rate, frames):
    path = write_grey(tmp_path / "a.mp4", frames, rate)
    out = tmp_path / "new" / "a.mp4.mp4"
    annotated_video.write(scored(path, (0.2, 1.0), (1.0, 0.0)), out)
    assert [file.name for file in out.parent.iterdir()] == ["a.mp4.mp4"]
    found = list(VideoReader(out, rate=1000))
    # The last frame of a slower video is written once.
    assert 1.2 - 1 / rate <= len(found) / annotated_video.FRAMES_PER_SECOND <= 1.2 + 1 / rate
    for early, late in ((found[6], found[-6]),):
        red, green, _ = early.pixels[50:60, 30].mean(axis=0)
        assert red > green + 60
        red, green, _ = late.pixels[50:60, 30].mean(axis=0)
        assert green > red + 60


def test_a_broken_clock_does_not_fill_the_disk():
    frames = [frame(0.0), frame(1e9), frame(5.0), frame(5.1)]
    times = [times for _, times in annotated_video._paced(frames)]
    assert times == [300, 0, 3, 1]


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    path = write_grey(tmp_path / "a.mp4", 3, 10)
    (tmp_path / "b.partial.mp4").mkdir()
    with pytest.raises(OSError, match="cannot write .*b.mp4"):
        annotated_video.write(scored(path, (0.0, 1.0)), tmp_path / "b.mp4")
