"""Which examples train, validate and test, computed from their ids.

An index of examples is a pandas DataFrame with one row per crop and the columns `COLUMNS`:

- `example_id`: str, unique.
- `label`: the class, int; to balance, `records.REAL` or `records.FAKE`.
- `data_set`, `video_id`, `source_id`: str, as in `records.Video`. Ids are unique in a data set
  only, so that an id is always read together with its data set.
- `actor`: str, empty where unknown.
- `donor`: str, whom a fake shows besides: an actor where `actor` is known, and elsewhere a
  `source_id`. Empty where unknown; the column may be absent.
- `sha256`: str, of the bytes of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from tfselfsup.datasets import records
from tfselfsup.datasets.grouping import SPLITS

COLUMNS = ("example_id", "label", "data_set", "video_id", "source_id", "actor", "sha256")
DONOR = "donor"
PARTS = ("train", "validation", "test")
LEFT_OUT = ""

# The columns that together name a video, a source, an actor, an image.
VIDEO = ["data_set", "video_id"]
SOURCE = ["data_set", "source_id"]
ACTOR = ["data_set", "actor"]
IMAGE = ["sha256"]


def assign(
    index: pd.DataFrame,
    split: str,
    fractions: Sequence[float],
    seed: int,
    balance: bool = False,
) -> np.ndarray:
    """Says for every example which part it belongs to.

    A group of examples (see `groups`) is never divided. The groups, shuffled and the largest
    first, go one by one to the part that is then furthest behind its share, by Sainte-Laguë's
    rule; groups of every size are thus spread over all parts. The same examples are assigned
    alike in whatever order the index lists them.

    Args:
        index: N examples; see above.
        split: Which examples belong together, a name in `SPLITS`.
        fractions: Shares of the examples that train, validate and test; they sum to 1.
            Validation may be 0.
        seed: Seeds the shuffling, and what balancing leaves out; at least 0.
        balance: Leave out examples of the larger of two classes, until each part has as many real
            examples as fakes. Sources lose theirs evenly, and so do the videos of a source.

    Returns:
        Names in `PARTS`, or `LEFT_OUT`: str [N].

    Raises:
        ValueError: If the index or an argument is none of the above, if no actor is known in a
            split by actor, if a part would be empty, or if a part to balance has other than two
            classes.
    """
    if seed < 0:
        raise ValueError(f"expected a seed of at least 0, got {seed}; change it")
    targets = checked_fractions(fractions) * len(index)
    group_of_row = groups(index, split)
    random = np.random.default_rng(seed)
    part_of_group = _spread(np.bincount(group_of_row), targets, random)
    parts = np.array(PARTS)[part_of_group[group_of_row]]
    for part, fraction in zip(PARTS, fractions, strict=True):
        if fraction > 0 and part not in parts:
            raise ValueError(
                f"expected enough groups for a {part} part of {fraction:g}, got "
                f"{len(part_of_group)} in split {split!r}; raise its fraction, take more data or "
                "another split"
            )
    if balance:
        # By id, so that what is left out does not depend on the order of the index either.
        order = np.argsort(index["example_id"].to_numpy(str))
        for part in np.unique(parts):
            parts[_surplus(index, order[parts[order] == part], part, random)] = LEFT_OUT
    return parts


def groups(index: pd.DataFrame, split: str) -> np.ndarray:
    """Numbers the groups of examples that a split keeps on one side.

    Args:
        index: N examples, see above.
        split: A name in `SPLITS`.

    Returns:
        The group of each example, int [N], from 0. In every split but `random`, groups that share
        an identical image are one, and in `hard` and `actor` those that share a person, because
        one has the donor of a fake of the other.

    Raises:
        ValueError: If the index is not as described above, the split is unknown, or no actor is
            known in a split by actor.
    """
    _check(index)
    if split not in SPLITS:
        raise ValueError(f"expected a split among {', '.join(SPLITS)}, got {split!r}")
    return SPLITS[split](with_donors(index).reset_index(drop=True))


def with_donors(index: pd.DataFrame) -> pd.DataFrame:
    """Returns an index that has the column `donor`, empty if it had none."""
    return index if DONOR in index else index.assign(**{DONOR: ""})


def coincide(index: pd.DataFrame, one: str, other: str) -> bool:
    """Tells whether two splits keep the same examples together.

    Of images with one crop per video, for instance, `random` and `video` do, unless some of the
    images are identical.

    Args:
        index: Examples, see above.
        one: A name in `SPLITS`.
        other: Another.

    Returns:
        Whether their groups are the same.

    Raises:
        ValueError: As `groups`.
    """
    first, second = (pd.factorize(groups(index, split))[0] for split in (one, other))
    return np.array_equal(first, second)


def _spread(sizes, targets, random):
    """Gives each group a part, an index into `targets`: int [number of groups]."""
    shuffled = random.permutation(len(sizes))
    part_of_group = np.empty(len(sizes), int)
    filled = [0] * len(targets)
    wanted = [part for part, target in enumerate(targets) if target > 0]
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        half = sizes[group] / 2
        part = min(wanted, key=lambda part: (filled[part] + half) / targets[part])
        part_of_group[group] = part
        filled[part] += sizes[group]
    return part_of_group


def _surplus(index, rows, part, random):
    """Chooses the rows of a part that balancing leaves out."""
    labels = index["label"].to_numpy(int)[rows]
    others = labels[~np.isin(labels, (records.REAL, records.FAKE))]
    if len(others):
        raise ValueError(
            f"expected labels {records.REAL} (real) and {records.FAKE} (fake) to balance in the "
            f"{part} part, got {others[0]}; do not balance"
        )
    counts = np.bincount(labels, minlength=2)
    if not counts.all():
        raise ValueError(
            f"expected real and fake examples to balance in the {part} part, got "
            f"{counts[records.REAL]} real and {counts[records.FAKE]} fake; do not balance"
        )
    larger = random.permutation(rows[labels == counts.argmax()])
    for columns in (VIDEO, SOURCE):
        # First one of every video or source, then a second one of each, and so on.
        turns = index.iloc[larger].groupby(columns, observed=True).cumcount()
        larger = larger[np.argsort(turns.to_numpy(), kind="stable")]
    return larger[counts.min() :]


def checked_fractions(fractions: Sequence[float]) -> np.ndarray:
    """Returns the shares of the parts as an array, float64 [3].

    Raises:
        ValueError: If they are not three, not positive (validation may be 0) or do not sum to 1.
    """
    shares = np.asarray(fractions, float)
    # Written so that NaN does not pass.
    if not (
        shares.shape == (3,)
        and shares[0] > 0
        and shares[1] >= 0
        and shares[2] > 0
        and math.isclose(shares.sum(), 1, abs_tol=1e-6)
    ):
        raise ValueError(
            "expected three fractions (train, validation, test) that are positive and sum to 1 "
            f"(validation may be 0), got {fractions}; such as 0.8, 0.1, 0.1"
        )
    return shares


def _check(index):
    missing = [column for column in COLUMNS if column not in index]
    if missing:
        raise ValueError(
            f"expected an index with the columns {', '.join(COLUMNS)}, got none named "
            f"{', '.join(missing)}; add them"
        )
    if index.empty:
        raise ValueError("expected an index of examples, got an empty one; prepare some first")
    for column in (*COLUMNS, *({DONOR} & set(index))):
        # Rows with the same empty id would become one group.
        may_be_empty = column in ("actor", DONOR)
        if index[column].isna().any() or (not may_be_empty and (index[column] == "").any()):
            raise ValueError(
                f"expected a value of {column} for every example, got an empty one; fill it in"
            )
    repeated = index["example_id"][index["example_id"].duplicated()]
    if len(repeated):
        raise ValueError(
            f"expected unique values of example_id, got {repeated.iloc[0]!r} twice; rename one"
        )
