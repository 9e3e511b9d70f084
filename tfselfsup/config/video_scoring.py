"""The settings of scoring videos with a trained classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jsonargparse.typing import PositiveInt

from tfselfsup.config.faces import ExtractionConfig


@dataclass(frozen=True)
class VideoScoring:
    """From videos to scores.

    Attributes:
        checkpoint: Which one of the model, ``last`` or ``best``; as its config.yaml if not given.
        workers: Processes that extract faces.
        resamples: Of the bootstrap over frames that gives a video's interval.
        extraction: How faces are cut out of videos; as for the model's training data.
    """

    checkpoint: Literal["last", "best"] | None = None
    workers: PositiveInt = 2
    resamples: PositiveInt = 1000
    extraction: ExtractionConfig = ExtractionConfig()
