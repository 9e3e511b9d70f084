"""The settings of the way from videos to a data set of faces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    restricted_number_type,
)

JpegQuality = restricted_number_type("JpegQuality", int, [(">=", 1), ("<=", 100)])
SearchedSide = restricted_number_type("SearchedSide", int, (">=", 24))
SpliceSide = restricted_number_type("SpliceSide", int, [(">=", 32), ("<=", 256)])


@dataclass(frozen=True)
class ExtractionConfig:
    """How faces are cut out of videos.

    Attributes:
        frames_per_video: So many frames, evenly over the video, where `frames_per_second` is not
            given.
        frames_per_second: So many frames per second instead.
        detector: What finds the faces.
        longest_side: Frames are scaled down to this for the search, in pixels; at least 24.
        margin: Side of the square crop, as a multiple of the face's longer side.
        choose: Where there are several faces, the largest, or the one that follows the previous
            frame's.
        jpeg_quality: Of the crops, 1 to 100.
    """

    frames_per_video: PositiveInt = 10
    frames_per_second: PositiveFloat | None = None
    detector: Literal["mtcnn", "haar"] = "mtcnn"
    longest_side: SearchedSide = 640  # pixels
    margin: PositiveFloat = 1.3
    choose: Literal["largest", "follow"] = "largest"
    jpeg_quality: JpegQuality = 95


@dataclass(frozen=True)
class FacePreparation:
    """From videos, or ready crops, to a data set of faces.

    Attributes:
        layout: How the source is laid out; recognised if it is not given.
        compression: Of FaceForensics++ and DeepFakeDetection.
        manipulations: Names of folders of FaceForensics++ and DeepFakeDetection; all if empty.
        real: Real videos to draw at random from those that are there; all if it is not given.
        fake: Manipulated videos to draw likewise.
        limit: Prepares only the first so many of the listed, or drawn, videos.
        seed: Of what is drawn at random, and of the splits that are audited.
        fractions: Shares of the training, validation and test part in these splits.
        workers: Processes that extract faces.
        splices: How many images the source `splices` makes; of what stands above only `seed` and
            `fractions` matter to it.
        splice_side: Their height and width, in pixels; 32 to 256.
        extraction: How faces are cut out of videos.
    """

    layout: Literal["dfdc", "faceforensics", "deepfakedetection", "crops"] | None = None
    compression: Literal["raw", "c23", "c40"] = "c23"
    manipulations: tuple[str, ...] = ()
    real: NonNegativeInt | None = None
    fake: NonNegativeInt | None = None
    limit: PositiveInt | None = None
    seed: NonNegativeInt = 0
    fractions: tuple[ClosedUnitInterval, ClosedUnitInterval, ClosedUnitInterval] = (0.7, 0.1, 0.2)
    workers: PositiveInt = 2
    splices: PositiveInt = 2000
    splice_side: SpliceSide = 128  # pixels
    extraction: ExtractionConfig = ExtractionConfig()
