"""From the scores of crops to the score of a video."""

from __future__ import annotations

import numpy as np
import pandas as pd


def per_video(
    labels: np.ndarray, probabilities: np.ndarray, videos: np.ndarray, sources: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Averages the probabilities of a video's crops.

    Args:
        labels: The true class of each of N crops, int [N].
        probabilities: float [N, K].
        videos: Which video each is from, [N], of any type that can be compared. Ids are unique in
            a data set only: number the pairs of data set and id.
        sources: Which source each is from, [N], likewise.

    Returns:
        Labels int [V], probabilities float [V, K] and sources [V] of the videos, which are in the
        order in which they first appear.

    Raises:
        ValueError: If the lengths differ, a crop has no video, or the crops of a video have
            different labels or sources.
    """
    columns = [np.asarray(column) for column in (labels, probabilities, videos, sources)]
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(
            "expected labels, probabilities, videos and sources of as many crops, got "
            f"{', '.join(map(str, lengths))}; give those of the same crops"
        )
    labels, probabilities, videos, sources = columns
    video_of_crop, names = pd.factorize(videos)
    if (video_of_crop < 0).any():
        raise ValueError(
            f"expected a video for every crop, got none for {(video_of_crop < 0).sum()} of "
            f"{len(videos)}; complete the ids"
        )
    _, first = np.unique(video_of_crop, return_index=True)
    for what, values in (("label", labels), ("source", sources)):
        differs = values != values[first][video_of_crop]
        if differs.any():
            crop = int(differs.argmax())
            raise ValueError(
                f"expected one {what} for all crops of a video, got {values[crop]} and "
                f"{values[first[video_of_crop[crop]]]} for video {videos[crop]}; correct the index"
            )
    sums = np.zeros((len(names), probabilities.shape[1]))
    np.add.at(sums, video_of_crop, probabilities)
    return labels[first], sums / np.bincount(video_of_crop)[:, None], sources[first]
