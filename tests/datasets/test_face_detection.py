from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import cbook

from tfselfsup.datasets import face_detection, layouts
from tfselfsup.datasets.face_detection import CHOICES, DETECTORS, Detector, Haar, overlap, square
from tfselfsup.datasets.records import Face
from tfselfsup.datasets.videos import VideoReader

VIDEOS = Path(__file__).parents[3] / "shared" / "data" / "videos"


class Fixed(Detector):
    """Finds the same boxes in every small frame, and keeps the frames."""

    def __init__(self, rows, longest_side=640):
        super().__init__(longest_side)
        self.rows = rows
        self.seen = []

    def _find(self, frames):
        self.seen.append(frames)
        return [self.rows for _ in frames]


def frame(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def face(x, y, width, height, confidence=0.5):
    return Face(x, y, width, height, confidence)


def test_boxes_are_those_of_the_full_frame():
    detector = Fixed([[10, 20, 30, 40, 0.9]], longest_side=160)
    ((found,),) = detector.detect([frame(240, 320)])
    assert detector.seen[0][0].shape == (120, 160, 3)
    assert found == Face(20, 40, 60, 80, 0.9)


def test_a_small_frame_is_not_scaled_up():
    detector = Fixed([[10, 20, 30, 40, 0.9]])
    pixels = frame(100, 80)
    assert detector.detect([pixels]) == [[Face(10, 20, 30, 40, 0.9)]]
    np.testing.assert_array_equal(detector.seen[0][0], pixels)


def test_boxes_are_cut_off_at_the_edges_and_sorted_by_confidence():
    rows = [[-10, -20, 30, 40, 0.2], [90, 70, 50, 50, 1.5], [200, 0, 10, 10, 0.8]]
    (found,) = Fixed(rows).detect([frame(80, 100)])
    assert found == [Face(90, 70, 10, 10, 1.0), Face(0, 0, 20, 20, 0.2)]


def test_grey_frames_and_frames_of_several_sizes():
    detector = Fixed([[1, 2, 30, 40, 0.9]], longest_side=50)
    found = detector.detect([frame(50, 50)[..., 0], frame(100, 100), frame(100, 100)])
    assert [len(faces) for faces in found] == [1, 1, 1]
    assert [faces[0].width for faces in found] == [30, 60, 60]
    assert {pixels.shape for batch in detector.seen for pixels in batch} == {(50, 50, 3)}
    assert detector.detect([]) == []


@pytest.mark.parametrize("shape", [(1, 1), (23, 400), (12, 12)])
def test_a_tiny_frame_has_no_face(shape):
    detector = Fixed([[0, 0, 5, 5, 0.9]])
    assert detector.detect([frame(*shape)] * 2) == [[], []]
    assert detector.seen == []


def test_a_longest_side_below_any_face_is_an_error():
    with pytest.raises(ValueError, match="at least 24 pixels, got 23"):
        Haar(23)


@pytest.fixture(scope="module")
def portrait():
    """A portrait of 512 x 600 pixels that comes with matplotlib."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        content = np.frombuffer(file.read(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_haar_agrees_with_the_cascade_without_confidences(portrait):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    grey = cv2.equalizeHist(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY))
    expected = cascade.detectMultiScale(grey, 1.1, 6, minSize=(20, 20))
    (faces,) = Haar(10_000).detect([portrait])
    assert faces
    assert sorted(tuple(map(int, found[:4])) for found in faces) == sorted(map(tuple, expected))
    assert all(0 < found.confidence < 1 for found in faces)


def test_haar_finds_the_same_face_in_a_larger_and_in_a_grey_frame(portrait):
    large = cv2.resize(portrait, None, fx=2, fy=2)
    once, twice = Haar(300).detect([portrait, large])
    assert overlap(once[0], Face(*[value / 2 for value in twice[0][:4]], 0)) > 0.7
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    ((again,),) = Haar(300).detect([grey])
    assert overlap(once[0], again) > 0.9


def test_haar_finds_nothing_where_nothing_is():
    assert Haar().detect([np.full((120, 160, 3), 128, np.uint8)]) == [[]]


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_finds_the_astronaut(name):
    astronaut = pytest.importorskip("skimage.data").astronaut()
    if name == "mtcnn":
        pytest.importorskip("mtcnn")
    blank = np.full_like(astronaut, 128)
    detector = DETECTORS[name]()
    faces, nothing = detector.detect([astronaut, blank])
    assert nothing == []
    # What else is in the batch makes no difference.
    ((alone, *_),) = detector.detect([astronaut])
    np.testing.assert_allclose(alone, faces[0], rtol=1e-3)
    assert overlap(faces[0], Face(182, 64, 83, 107, 1)) > 0.5
    assert 0 < faces[0].confidence <= 1


def test_mtcnn_gives_one_list_per_frame():
    pytest.importorskip("mtcnn")
    detector = DETECTORS["mtcnn"]()
    blank = np.full((64, 96, 3), 128, np.uint8)
    assert detector.detect([blank, blank, blank]) == [[], [], []]
    assert detector.detect([np.full((24, 24, 3), 128, np.uint8)]) == [[]]


@pytest.mark.skipif(not VIDEOS.is_dir(), reason="the shared data are not here")
def test_haar_finds_faces_in_real_videos():
    videos = layouts.list_videos(VIDEOS / "faceforensics", compression="c23").videos[:3]
    frames = [next(iter(VideoReader(video.path, rate=1))).pixels for video in videos]
    assert all(Haar().detect(frames))


def test_squares_by_hand():
    # The centre of the box is (60, 55); 1.5 times its longer side is 45.
    assert square(face(50, 40, 20, 30), (200, 300), 1.5) == (38, 32, 45)
    # Shifted from the left and upper edge, from the right and lower edge, and shrunk.
    assert square(face(0, 0, 20, 20), (100, 100), 2) == (0, 0, 40)
    assert square(face(80, 80, 20, 20), (100, 100), 2) == (60, 60, 40)
    assert square(face(10, 10, 80, 40), (50, 100), 1.3) == (25, 0, 50)


def test_a_square_is_whole_numbers_inside_the_frame():
    generator = np.random.default_rng(0)
    for _ in range(200):
        height, width = generator.integers(1, 300, 2)
        x, y = generator.uniform(0, (width, height))
        box = face(x, y, *generator.uniform(0.1, 200, 2))
        left, upper, side = square(box, (height, width, 3), generator.uniform(0.5, 2))
        assert all(isinstance(value, int) for value in (left, upper, side))
        assert left >= 0 and upper >= 0 and side >= 1
        assert left + side <= width and upper + side <= height


def test_overlap_by_hand():
    assert overlap(face(0, 0, 10, 10), face(0, 0, 10, 10)) == 1
    # Shared 5 x 10 of 100 + 100 - 50.
    assert overlap(face(0, 0, 10, 10), face(5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(face(0, 0, 10, 10), face(10, 0, 10, 10)) == 0
    assert overlap(face(0, 0, 10, 10), face(20, 20, 10, 10)) == 0
    assert overlap(face(0, 0, 0, 0), face(0, 0, 0, 0)) == 0


def test_choices():
    small, large = face(0, 0, 10, 10, 0.9), face(50, 50, 20, 20, 0.1)
    before = face(2, 2, 10, 10)
    assert CHOICES["largest"]([small, large], before) == large
    assert CHOICES["follow"]([small, large], before) == small
    assert CHOICES["follow"]([small, large]) == large
    assert CHOICES["follow"]([small, large], face(200, 200, 5, 5)) == large
    for choose in CHOICES.values():
        assert choose([], before) is None
        assert choose([]) is None


def test_the_registry_names_detectors():
    assert set(DETECTORS) == {"mtcnn", "haar"}
    assert all(issubclass(detector, face_detection.Detector) for detector in DETECTORS.values())
