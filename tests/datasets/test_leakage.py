import numpy as np
import pandas as pd
import pytest
from tabulate import tabulate

from tfselfsup.datasets import leakage, splits

COLUMNS = ["part", "example_id", "label", "data_set", "video_id", "source_id", "actor", "sha256"]
# Video a is in all parts, b in train and test, c in validation only, and another set's a in test.
ROWS = pd.DataFrame(
    [
        ("train", "0", 0, "set", "a", "a", "ann", "h0"),
        ("train", "1", 0, "set", "a", "a", "ann", "h1"),
        ("train", "2", 1, "set", "b", "a", "bob", "h2"),
        ("validation", "3", 0, "set", "a", "a", "ann", "h0"),
        ("validation", "4", 1, "set", "c", "a", "", "h3"),
        ("test", "5", 0, "set", "a", "a", "ann", "h0"),
        ("test", "6", 1, "set", "b", "a", "bob", "h4"),
        ("test", "7", 0, "other", "a", "a", "ann", "h5"),
        ("test", "8", 0, "set", "d", "d", "dan", "h6"),
        ("", "9", 0, "set", "d", "d", "dan", "h6"),
    ],
    columns=COLUMNS,
)
# In both, and in all of the second part.
BY_HAND = {
    ("train", "validation", "sources"): (1, 1),
    ("train", "validation", "videos"): (1, 2),
    ("train", "validation", "actors"): (1, 1),
    ("train", "validation", "identical images"): (1, 2),
    ("train", "test", "sources"): (1, 3),
    ("train", "test", "videos"): (2, 4),
    ("train", "test", "actors"): (2, 4),
    ("train", "test", "identical images"): (1, 4),
    ("validation", "test", "sources"): (1, 3),
    ("validation", "test", "videos"): (1, 4),
    ("validation", "test", "actors"): (1, 4),
    ("validation", "test", "identical images"): (1, 4),
    ("train", "validation", "donors"): (0, 0),
    ("train", "test", "donors"): (0, 0),
    ("validation", "test", "donors"): (0, 0),
}


def audited(index, parts):
    return {
        (row["part"], row["against"], row["of"]): (row["in both"], row["in all"])
        for row in leakage.audit(index, parts)
    }


def test_the_counts_by_hand():
    assert audited(ROWS, ROWS["part"].to_numpy()) == BY_HAND


def test_the_share_is_that_of_the_second_part():
    rows = [row for row in leakage.audit(ROWS, ROWS["part"].to_numpy()) if row["in all"]]
    assert len(rows) == 12
    for row in rows:
        assert row["share"] == row["in both"] / row["in all"]


def test_actors_that_nobody_knows_have_no_share():
    rows = leakage.audit(ROWS.assign(actor=""), ROWS["part"].to_numpy())
    actors = [row for row in rows if row["of"] == "actors"]
    assert [(row["in both"], row["in all"], row["share"]) for row in actors] == [(0, 0, None)] * 3


def test_donors_on_the_other_side_by_hand():
    index = pd.DataFrame(
        [
            ("train", "0", 0, "set", "a", "a", "", "h0", ""),
            ("train", "1", 1, "set", "a_b", "a", "", "h1", "b"),  # b is tested
            ("train", "2", 1, "set", "a_x", "a", "", "h2", "x"),  # x is nowhere filmed
            ("train", "3", 0, "dfd", "01__w", "01__w", "01", "h3", ""),
            ("test", "4", 0, "set", "b", "b", "", "h4", ""),
            ("test", "5", 1, "set", "b_x", "b", "", "h5", "x"),  # x is a donor in training too
            ("test", "6", 1, "set", "b_c", "b", "", "h6", "c"),  # c is nowhere else
            ("test", "7", 1, "dfd", "02_01__w", "02__w", "02", "h7", "01"),  # an actor in training
            ("test", "8", 1, "other", "q_a", "q", "", "h8", "a"),  # another set's a
        ],
        columns=[*COLUMNS, "donor"],
    )
    # b, x, c, 01 and the other set's a stand in test, of these b, x and 01 in training too.
    counted = audited(index, index["part"].to_numpy())
    assert counted["train", "test", "donors"] == (3, 5)
    assert counted["train", "test", "sources"] == (0, 3)
    # Seen from the other side, as many stand in both: b, x and 01.
    swapped = index["part"].map({"train": "test", "test": "train"}).to_numpy()
    assert audited(index, swapped)["train", "test", "donors"] == (3, 3)


def test_the_parts_go_with_the_rows_whatever_these_are_called():
    index = ROWS.set_index(np.arange(10) * 7 % 10)
    assert audited(index, ROWS["part"].to_numpy()) == BY_HAND


def test_a_split_without_validation():
    parts = ROWS["part"].replace("validation", "train").to_numpy()
    assert {row[:2] for row in audited(ROWS, parts)} == {("train", "test")}


def test_what_each_split_keeps_apart():
    rows = [
        (
            f"{video}-{crop}",
            int(video > source),
            "set",
            str(video),
            str(source),
            f"a{source // 6 % 5}",
            f"a{(source // 6 + 1) % 2}" if video > source and source // 6 % 5 < 2 else "",
        )
        for source in range(0, 60, 3)
        for video in range(source, source + 3)
        for crop in range(4)
    ]
    index = pd.DataFrame(rows, columns=[*COLUMNS[1:-1], "donor"])
    index["sha256"] = index["example_id"]
    # Pairs of sources share an image; they have one actor.
    index.loc[index.index % 24 == 0, "sha256"] = index.loc[index.index % 24 == 12, "sha256"].array
    apart = {
        "random": set(),
        "video": {"videos", "identical images"},
        "hard": {"videos", "sources", "identical images"},
        "actor": {"videos", "sources", "actors", "donors", "identical images"},
    }
    for split, kept_apart in apart.items():
        parts = splits.assign(index, split, (0.5, 0, 0.5), seed=0)
        clean = {name[2] for name, (both, _) in audited(index, parts).items() if both == 0}
        assert clean == kept_apart, split


def test_the_rows_can_be_printed():
    table = tabulate(leakage.audit(ROWS, ROWS["part"].to_numpy()), headers="keys", floatfmt=".2f")
    lines = [line.split() for line in table.splitlines()]
    assert lines[0] == ["part", "against", "of", "in", "both", "in", "all", "share"]
    assert ["train", "test", "videos", "2", "4", "0.50"] in lines


@pytest.mark.parametrize(
    "parts, message",
    [
        (["train"] * 9, "a part for each of 10 examples, got an array of shape .9,."),
        (["train"] * 9 + ["dev"], "parts among train, validation, test, got 'dev'"),
    ],
)
def test_wrong_parts(parts, message):
    with pytest.raises(ValueError, match=message):
        leakage.audit(ROWS, np.array(parts))
