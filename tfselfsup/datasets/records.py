"""What is known of a video, of a face in it, and of what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

REAL, FAKE = 0, 1

VideoKey = tuple[str, str]  # `data_set` and `video_id`, which together name a video


class Video(NamedTuple):
    """A video that a data set lists.

    Attributes:
        path: Its file, whether it is there or not; for a ready crop the image.
        data_set: Name of the data set, such as `dfdc`.
        video_id: Its name, unique in the data set.
        source_id: The `video_id` of the original that a fake was made from; its own if it is real.
        label: `REAL` or `FAKE`.
        actor: Who plays in it, for a fake in its original; empty where that is unknown.
        manipulation: How a fake was made; empty where that is unknown, or nothing was.
        mask: Video of the manipulated region, if the set ships one.
        donor: Whose face, or whose expressions, a fake was given: an actor where `actor` is known,
            and elsewhere the `video_id` of that person's original; empty where that is unknown.
    """

    path: Path
    data_set: str
    video_id: str
    source_id: str
    label: int
    actor: str = ""
    manipulation: str = ""
    mask: Path | None = None
    donor: str = ""

    @property
    def key(self) -> VideoKey:
        """What names the video among those of all data sets."""
        return self.data_set, self.video_id


class Frame(NamedTuple):
    """A decoded frame.

    Attributes:
        index: Its number in the video, from 0.
        seconds: Its time in the video.
        pixels: uint8 [H, W, 3], RGB.
    """

    index: int
    seconds: float
    pixels: object


class Face(NamedTuple):
    """A face that a detector found.

    Attributes:
        x: Left edge, in pixels of the frame.
        y: Upper edge.
        width: Width of the box.
        height: Height of the box.
        confidence: The detector's own, in [0, 1].
    """

    x: float
    y: float
    width: float
    height: float
    confidence: float


class Crop(NamedTuple):
    """A face cut out of a frame, as a manifest lists it.

    Attributes:
        file: The JPEG, relative to the folder of the manifests.
        frame_index: Number of its frame in the video.
        seconds: Time of its frame.
        x: Left edge of the square that was cut out, in pixels of the frame.
        y: Upper edge.
        side: Its side.
        confidence: The detector's.
        faces: Faces that the detector found in the frame.
        sha256: Of the JPEG's bytes, in hexadecimal.
    """

    file: str
    frame_index: int
    seconds: float
    x: int
    y: int
    side: int
    confidence: float
    faces: int
    sha256: str = ""
