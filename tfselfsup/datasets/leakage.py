"""What stands on both sides of a split, and so may flatter a classifier."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from tfselfsup.datasets import grouping, splits

_COMPARED = {
    "sources": splits.SOURCE,
    "videos": splits.VIDEO,
    "actors": splits.ACTOR,
    "identical images": splits.IMAGE,
}


def audit(index: pd.DataFrame, parts: np.ndarray) -> list[dict]:
    """Counts what every two parts of a split have in common.

    Args:
        index: N examples; see `splits`.
        parts: The part of each, str [N], as `splits.assign` returns; examples that were left out
            are not counted.

    Returns:
        Rows of a table, as `tabulate(rows, headers="keys")` prints it: for train against
        validation, train against test and validation against test, as far as there are such parts,
        one each for sources, videos, known actors, known donors and identical images. `in both` is
        how many stand in both parts, `in all` how many there are in the second (`against`), and
        `share` the one over the other; None where there are none, as of actors that nobody knows.
        A donor, who was put into a fake of either part, stands wherever a fake of theirs does, or
        they themselves do as source or actor.

    Raises:
        ValueError: If there is not a part for every example, or one of no known name.
    """
    parts = np.asarray(parts)
    if parts.shape != (len(index),):
        raise ValueError(
            f"expected a part for each of {len(index)} examples, got an array of shape "
            f"{parts.shape}; assign the parts of this index"
        )
    unknown = set(parts.tolist()) - {*splits.PARTS, splits.LEFT_OUT}
    if unknown:
        raise ValueError(
            f"expected parts among {', '.join(splits.PARTS)}, got {min(unknown)!r}; assign the "
            "parts of this index"
        )
    index = splits.with_donors(index)
    present = [part for part in splits.PARTS if part in parts]
    return [
        {"part": one, "against": other, "of": what, **_common(seen, met)}
        for one, other in combinations(present, 2)
        for what, (seen, met) in _standing(index[parts == one], index[parts == other])
    ]


def _standing(one: pd.DataFrame, other: pd.DataFrame) -> Iterator[tuple[str, tuple[set, set]]]:
    """Yields, of everything that is compared, which of it stands in each of two parts."""
    for what, columns in _COMPARED.items():
        yield what, (_names(one[columns]), _names(other[columns]))
    people = [grouping.people(examples) for examples in (one, other)]
    donors = _names(pd.concat([lent for _, lent in people]))
    seen, met = (donors & _names(pd.concat(everybody)) for everybody in people)
    yield "donors", (seen, met)


def _common(seen: set, met: set) -> dict[str, float | None]:
    both = len(seen & met)
    return {"in both": both, "in all": len(met), "share": both / len(met) if met else None}


def _names(keys: pd.DataFrame) -> set[tuple]:
    """Collects what the columns name, save what is unknown and therefore empty."""
    return {name for name in keys.itertuples(index=False, name=None) if name[-1]}
