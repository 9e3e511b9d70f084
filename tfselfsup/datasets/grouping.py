"""Which examples belong together, because they share a video, a person or an image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# Kinds of keys, in the order in which groups are numbered.
_VIDEO, _ACTOR, _IMAGE = range(3)


def people(index: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Names everybody in the examples: those who are filmed, and those who were put into fakes.

    Args:
        index: Examples, as `splits` describes them.

    Returns:
        Those who are filmed, named by their original video and, where known, as an actor; and the
        donors, named in the same way. Both are tables of keys (kind, scope, name).
    """
    known = index["actor"] != ""
    filmed = [_keys(index, _VIDEO, "source_id"), _keys(index[known], _ACTOR, "actor")]
    donors = [_donors(index[~known], _VIDEO), _donors(index[known], _ACTOR)]
    return pd.concat(filmed), pd.concat(donors)


def by_example(index: pd.DataFrame) -> np.ndarray:
    """Keeps nothing together."""
    return index.groupby("example_id").ngroup().to_numpy()


def by_video(index: pd.DataFrame) -> np.ndarray:
    """Keeps the examples of a video together."""
    return _connected(index, _keys(index, _VIDEO, "video_id"))


def by_source(index: pd.DataFrame) -> np.ndarray:
    """Keeps a real video, all fakes of it, and all that its person was put into together.

    Whom an actor was put into is left to `by_actor`: that person has many videos.
    """
    return _connected(
        index,
        _keys(index, _VIDEO, "source_id"),
        _donors(index[index["actor"] == ""], _VIDEO),
    )


def by_actor(index: pd.DataFrame) -> np.ndarray:
    """Groups by actor; examples whose actor is unknown, by source, the next best that is known.

    Raises:
        ValueError: If no actor is known.
    """
    known = index["actor"] != ""
    if not known.any():
        raise ValueError(
            "expected actors for the split 'actor', got none in the index; take the split 'hard'"
        )
    named, unnamed = index[known], index[~known]
    return _connected(
        index,
        _keys(named, _ACTOR, "actor"),
        _donors(named, _ACTOR),
        _keys(unnamed, _VIDEO, "source_id"),
        _donors(unnamed, _VIDEO),
    )


# `random` divides videos, and parts fakes from the real crop that they were made of; it is there to
# be compared with the others.
SPLITS: dict[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "random": by_example,
    "video": by_video,
    "hard": by_source,
    "actor": by_actor,
}


def _keys(rows: pd.DataFrame, kind: int, column: str) -> pd.DataFrame:
    """Makes a key for each row: its kind, the data set it holds in, and the name."""
    # Images are compared over all data sets, ids are those of their own.
    scope = "" if kind == _IMAGE else rows["data_set"].astype(str)
    keys = {"kind": kind, "scope": scope, "name": rows[column].astype(str)}
    return pd.DataFrame(keys, index=rows.index)


def _donors(rows: pd.DataFrame, kind: int) -> pd.DataFrame:
    return _keys(rows[rows["donor"] != ""], kind, "donor")


def _connected(index: pd.DataFrame, *keys: pd.DataFrame) -> np.ndarray:
    """Makes one group of the rows that share a key or an image, directly or by way of others.

    Args:
        index: N examples, whose rows are labelled 0 to N - 1.
        *keys: Of the rows; a row may have several, or none.

    Returns:
        The group of each row, int [N].
    """
    shared = pd.concat([*keys, _keys(index, _IMAGE, "sha256")])
    # Numbered in sorted order, so not in that of the rows.
    key = shared.groupby(["kind", "scope", "name"]).ngroup().to_numpy()
    first_row = key.max() + 1
    nodes = first_row + len(index)
    edges = np.ones(len(shared)), (key, first_row + shared.index.to_numpy())
    _, component = connected_components(coo_matrix(edges, (nodes, nodes)), directed=False)
    # Components are numbered by their first node, so in an order that the rows do not change.
    return np.unique(component[first_row:], return_inverse=True)[1]
