import hashlib
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tfselfsup.datasets import leakage, splits
from tfselfsup.datasets.records import FAKE, REAL

EIGHTY = (0.8, 0.1, 0.1)
FACES = Path(__file__).parents[3] / "shared" / "data" / "dfdc_faces"
each_split = pytest.mark.parametrize("split", splits.SPLITS)


def made(rows):
    """Makes an index from rows (video, source, label, actor) of one data set."""
    return pd.DataFrame(
        [
            (f"e{number}", label, "set", video, source, actor, f"hash{number}")
            for number, (video, source, label, actor) in enumerate(rows)
        ],
        columns=splits.COLUMNS,
    )


def faces(sources=40, fakes=2, crops=3):
    """Makes an index of as many real videos, their fakes, and crops of each; 8 actors."""
    return made(
        [
            (f"v{source}_{copy}", f"v{source}_0", FAKE if copy else REAL, f"a{source % 8}")
            for source in range(sources)
            for copy in range(fakes + 1)
            for _ in range(crops)
        ]
    )


def as_sets(group_of_row):
    """Returns a partition as a set of sets of row numbers."""
    rows = {}
    for row, group in enumerate(group_of_row):
        rows.setdefault(group, set()).add(row)
    return set(map(frozenset, rows.values()))


def partition(*groups):
    return {frozenset(group) for group in groups}


def counts(parts):
    return [int((parts == part).sum()) for part in splits.PARTS]


# Two real videos, a and b; a has the fakes c and d, b has the fake e; a and e have two crops.
SMALL = made(
    [
        ("a", "a", REAL, "ann"),
        ("a", "a", REAL, "ann"),
        ("b", "b", REAL, "bob"),
        ("c", "a", FAKE, "bob"),
        ("d", "a", FAKE, "cem"),
        ("e", "b", FAKE, "ann"),
        ("e", "b", FAKE, "ann"),
    ]
)
GROUPS = {
    "random": partition({0}, {1}, {2}, {3}, {4}, {5}, {6}),
    "video": partition({0, 1}, {2}, {3}, {4}, {5, 6}),
    "hard": partition({0, 1, 3, 4}, {2, 5, 6}),
    "actor": partition({0, 1, 5, 6}, {2, 3}, {4}),
}


@each_split
def test_the_groups_by_hand(split):
    assert as_sets(splits.groups(SMALL, split)) == GROUPS[split]


@pytest.mark.parametrize("split", ["video", "hard", "actor"])
def test_ids_are_those_of_their_data_set(split):
    index = made([("a", "a", REAL, "ann"), ("a", "a", REAL, "ann")])
    index["data_set"] = ["one", "other"]
    assert as_sets(splits.groups(index, split)) == partition({0}, {1})


def test_two_ids_are_not_run_together():
    index = made([("b/c", "x", REAL, ""), ("c", "y", REAL, "")])
    index["data_set"] = ["a", "a/b"]
    assert as_sets(splits.groups(index, "video")) == partition({0}, {1})


def test_identical_images_join_groups_also_by_way_of_others():
    # d looks like b, and e like another crop of d's group: all but c are one.
    index = made([(name, name, REAL, name) for name in "abcde"])
    index["sha256"] = ["1", "2", "3", "2", "4"]
    index.loc[len(index)] = ("e5", REAL, "set", "e", "e", "e", "1")
    index.loc[len(index)] = ("e6", REAL, "set", "d", "d", "d", "4")
    joined = partition({0, 1, 3, 4, 5, 6}, {2})
    for split in ("video", "hard", "actor"):
        assert as_sets(splits.groups(index, split)) == joined
    assert as_sets(splits.groups(index, "random")) == partition(*({row} for row in range(7)))


def test_many_copies_of_an_image_stay_together():
    # As many as would overflow a small counter.
    index = made([(f"v{row}", f"v{row}", REAL, "") for row in range(600)])
    index["sha256"] = ["same"] * 512 + [f"hash{row}" for row in range(88)]
    assert sorted(map(len, as_sets(splits.groups(index, "hard")))) == [1] * 88 + [512]


def test_merging_agrees_with_repeated_relabelling():
    random = np.random.default_rng(0)
    index = made([(str(video), "s", REAL, "") for video in random.integers(60, size=150)])
    index["sha256"] = random.integers(120, size=150).astype(str)
    label, before = np.arange(150), None
    while not np.array_equal(label, before):
        before = label.copy()
        for column in ("video_id", "sha256"):
            label = pd.Series(label).groupby(index[column].to_numpy()).transform("min").to_numpy()
    assert as_sets(splits.groups(index, "video")) == as_sets(label)


def test_an_unknown_actor_is_replaced_by_the_source():
    rows = [("a", "a", REAL, "ann"), ("b", "b", REAL, ""), ("c", "b", FAKE, "")]
    index = made([*rows, ("d", "d", REAL, ""), ("e", "a", FAKE, "ann")])
    assert as_sets(splits.groups(index, "actor")) == partition({0, 4}, {1, 2}, {3})


def with_donors(rows, donors):
    return made(rows).assign(donor=donors)


def test_a_fake_joins_its_source_and_the_source_of_its_donor():
    # As in FaceForensics++: a and b were swapped both ways, and so were c and d; e was not.
    rows = [(name, name, REAL, "") for name in "abcde"]
    rows += [(f"{a}_{b}", a, FAKE, "") for a, b in ("ab", "ba", "cd", "dc")]
    index = with_donors(rows, [""] * 5 + list("badc"))
    pairs = partition({0, 1, 5, 6}, {2, 3, 7, 8}, {4})
    assert as_sets(splits.groups(index, "hard")) == pairs
    assert as_sets(splits.groups(index, "video")) == partition(*({row} for row in range(9)))
    # The same names in another data set are other people's.
    index.loc[5:, "data_set"] = "other"
    alone = partition({0}, {1}, {2}, {3}, {4}, {5, 6}, {7, 8})
    assert as_sets(splits.groups(index, "hard")) == alone


def test_a_chain_of_donors_is_one_group_and_says_so_where_it_cannot_be_divided():
    names = "abcdef"
    rows = [(name, name, REAL, "") for name in names]
    rows += [(f"{name}_next", name, FAKE, "") for name in names]
    index = with_donors(rows, [""] * 6 + list("bcdef") + [""])
    assert as_sets(splits.groups(index, "hard")) == partition(range(12))
    with pytest.raises(ValueError, match="got 1 in split 'hard'.*take more data or another split"):
        splits.assign(index, "hard", (0.5, 0, 0.5), seed=0)
    # Cut in the middle, it is two.
    index.loc[8, "donor"] = ""
    assert as_sets(splits.groups(index, "hard")) == partition(
        {0, 1, 2, 6, 7, 8}, {3, 4, 5, 9, 10, 11}
    )


def test_a_donor_that_is_not_filmed_joins_the_fakes_it_was_put_into():
    rows = [(name, name, REAL, "") for name in "abc"] + [(f"{n}_", n, FAKE, "") for n in "abc"]
    index = with_donors(rows, ["", "", "", "x", "x", "y"])
    assert as_sets(splits.groups(index, "hard")) == partition({0, 1, 3, 4}, {2, 5})


def test_where_actors_are_known_the_donor_is_one_of_them():
    # As in DeepFakeDetection: b's fake has the face of ann, who plays in a1 and a2.
    rows = [
        ("a1", "a1", REAL, "ann"),
        ("a2", "a2", REAL, "ann"),
        ("b", "b", REAL, "bob"),
        ("b_", "b", FAKE, "bob"),
        ("c", "c", REAL, "cem"),
        # Here nobody knows the actors, and the donor is a source; no actor is called d.
        ("d", "d", REAL, ""),
        ("e_", "e", FAKE, ""),
    ]
    index = with_donors(rows, ["", "", "", "ann", "", "", "d"])
    assert as_sets(splits.groups(index, "actor")) == partition({0, 1, 2, 3}, {4}, {5, 6})
    # By source, ann's own videos stay apart from the fake.
    assert as_sets(splits.groups(index, "hard")) == partition({0}, {1}, {2, 3}, {4}, {5, 6})


@pytest.mark.parametrize("split", ["hard", "actor"])
def test_donors_agree_with_repeated_relabelling(split):
    random = np.random.default_rng(0)
    actor = "p" if split == "actor" else ""
    names = random.integers(50, size=(60, 2)).astype(str)
    rows = [(f"v{row}", own, FAKE, actor and own) for row, (own, _) in enumerate(names)]
    donors = np.where(random.random(60) < 0.3, names[:, 1], "")
    index = with_donors(rows, donors)
    group = {name: name for name in names.ravel()}
    for _ in range(60):
        for (own, _), donor in zip(names, donors, strict=True):
            for name in (own, donor or own):
                group[name] = min(group[own], group[donor or own], group[name])
    expected = as_sets([group[own] for own, _ in names])
    assert as_sets(splits.groups(index, split)) == expected


def test_an_index_without_donors_is_as_one_with_empty_ones():
    for split in splits.SPLITS:
        parts = splits.assign(faces(), split, (0.5, 0.25, 0.25), 3).tolist()
        assert (
            splits.assign(faces().assign(donor=""), split, (0.5, 0.25, 0.25), 3).tolist() == parts
        )


@each_split
@pytest.mark.parametrize("fractions", [EIGHTY, (0.5, 0.25, 0.25), (0.7, 0, 0.3)])
def test_no_group_is_divided_and_the_counts_follow_the_fractions(split, fractions):
    index = faces()
    parts = splits.assign(index, split, fractions, seed=3)
    for rows in as_sets(splits.groups(index, split)):
        assert len(set(parts[list(rows)])) == 1
    # Not farther off than by one group; all groups of a split have one size here.
    size = {"random": 1, "video": 3, "hard": 9, "actor": 45}[split]
    targets = 360 * np.array(fractions)
    assert np.all(np.abs(counts(parts) - targets) <= size)
    assert sum(counts(parts)) == 360


def test_8000_examples_are_divided_exactly():
    index = made([(f"v{row}", f"v{row}", row % 2, "") for row in range(8000)])
    assert counts(splits.assign(index, "hard", EIGHTY, seed=0)) == [6400, 800, 800]


def test_eight_equal_groups_by_hand():
    # Sainte-Laguë with 6.4, 0.8 and 0.8 seats: train's seats cost 0.5 / 6.4, 1.5 / 6.4 and so on,
    # the sixth 0.86, the seventh 1.02; a first seat of the others costs 0.625, a second 1.875.
    index = made([(f"v{row}", f"v{row % 8}", REAL, "") for row in range(80)])
    assert counts(splits.assign(index, "hard", EIGHTY, seed=5)) == [60, 10, 10]


def test_a_large_group_goes_where_it_fits():
    # 60 and 50 would fill a part of 21 more than twice.
    sources = ["a"] * 60 + ["b"] * 50 + [f"c{row}" for row in range(100)]
    index = made([(f"v{row}", source, REAL, "") for row, source in enumerate(sources)])
    for seed in range(5):
        parts = splits.assign(index, "hard", (0.9, 0, 0.1), seed)
        assert counts(parts) == [189, 0, 21]


def test_groups_of_every_size_are_in_every_part():
    sizes = [size for size in range(1, 6) for _ in range(30)]
    sources = np.repeat(np.arange(150), sizes)
    index = made([(f"v{row}", f"s{source}", REAL, "") for row, source in enumerate(sources)])
    parts = splits.assign(index, "hard", (0.6, 0.2, 0.2), seed=1)
    for part, size in itertools.product(splits.PARTS, range(1, 6)):
        groups = set(sources[parts == part])
        assert sum(sizes[group] == size for group in groups) >= 3


@each_split
@pytest.mark.parametrize("balance", [False, True])
def test_the_order_of_the_rows_does_not_matter(split, balance):
    index = faces()
    parts = splits.assign(index, split, (0.5, 0.25, 0.25), 7, balance)
    order = np.random.default_rng(1).permutation(len(index))
    shuffled = splits.assign(index.iloc[order], split, (0.5, 0.25, 0.25), 7, balance)
    np.testing.assert_array_equal(shuffled, parts[order])


@each_split
def test_the_seed_decides(split):
    def parts(seed):
        return splits.assign(faces(), split, (0.5, 0.25, 0.25), seed).tolist()

    assert parts(1) == parts(1)
    assert parts(1) != parts(2)


def test_every_group_is_as_likely_to_be_tested():
    index = made([(f"v{row}", f"v{row}", REAL, "") for row in range(20)])
    tested = [splits.assign(index, "video", (0.5, 0.25, 0.25), s) == "test" for s in range(400)]
    # 100 of 400 are expected, with a standard deviation below 9.
    assert np.all(np.abs(np.sum(tested, axis=0) - 100) < 36)


@each_split
def test_balance_leaves_out_examples_of_the_larger_class_only(split):
    index = faces()
    plain = splits.assign(index, split, (0.5, 0.25, 0.25), 2)
    parts = splits.assign(index, split, (0.5, 0.25, 0.25), 2, balance=True)
    kept = parts != splits.LEFT_OUT
    np.testing.assert_array_equal(parts[kept], plain[kept])
    labels = index["label"].to_numpy()
    for part in splits.PARTS:
        # Two thirds are fakes, and there is a majority of them in every part.
        real, fake = np.bincount(labels[parts == part])
        assert real == fake == (labels[plain == part] == REAL).sum()


def test_balance_leaves_out_evenly_among_sources_and_their_videos():
    # Each source has 4 real crops and 4 fakes of 3 crops, so that 4 of 12 stay: one of each fake.
    rows = []
    for source in range(12):
        rows += [(f"v{source}", f"v{source}", REAL, "")] * 4
        rows += [(f"v{source}_{fake % 4}", f"v{source}", FAKE, "") for fake in range(12)]
    index = made(rows)
    parts = splits.assign(index, "hard", (0.5, 0.25, 0.25), 4, balance=True)
    kept = index[(parts != splits.LEFT_OUT) & (index["label"] == FAKE)]
    assert set(kept.groupby("source_id").size()) == {4}
    assert kept["video_id"].is_unique and len(kept) == 48


def test_balance_can_leave_out_real_examples():
    index = made([(f"v{row}", f"v{row}", FAKE if row % 4 == 0 else REAL, "") for row in range(80)])
    parts = splits.assign(index, "random", (0.5, 0.25, 0.25), 0, balance=True)
    assert np.all(parts[index["label"] == FAKE] != splits.LEFT_OUT)
    assert (parts[index["label"] == REAL] != splits.LEFT_OUT).sum() == 20


def test_splits_coincide_where_they_group_alike():
    single = faces(fakes=0, crops=1)
    assert splits.coincide(single, "random", "video")
    assert splits.coincide(single, "hard", "video")
    assert not splits.coincide(single, "actor", "video")
    assert not splits.coincide(faces(), "random", "video")
    assert not splits.coincide(faces(), "hard", "video")
    assert splits.coincide(faces(fakes=0), "hard", "video")


def test_identical_images_keep_splits_from_coinciding():
    index = faces(fakes=0, crops=1)
    index.loc[1, "sha256"] = index.loc[0, "sha256"]
    assert not splits.coincide(index, "random", "video")


@pytest.mark.parametrize(
    "fractions",
    [
        (0.8, 0.1),
        (0.8, 0.1, 0.2),
        (0, 0.5, 0.5),
        (1, 0, 0),
        (1.2, -0.4, 0.2),
        (float("nan"), 0.5, 0.5),
    ],
)
def test_wrong_fractions(fractions):
    with pytest.raises(ValueError, match="expected three fractions .* got .*; such as"):
        splits.assign(SMALL, "video", fractions, 0)


def test_an_unknown_split_is_told_the_valid_ones():
    with pytest.raises(ValueError, match="among random, video, hard, actor, got 'soft'"):
        splits.assign(SMALL, "soft", EIGHTY, 0)


def test_an_index_without_actors_cannot_be_split_by_them():
    index = SMALL.assign(actor="")
    with pytest.raises(ValueError, match="expected actors .*; take the split 'hard'"):
        splits.assign(index, "actor", EIGHTY, 0)


def test_a_part_that_would_be_empty():
    with pytest.raises(ValueError, match="validation part of 0.1, got 2 in split 'hard'; raise"):
        splits.assign(SMALL, "hard", EIGHTY, 0)


def test_three_classes_are_divided_by_source():
    two = faces()
    three = two.assign(label=np.arange(len(two)) % 3)
    parts = splits.assign(three, "hard", EIGHTY, seed=0)
    np.testing.assert_array_equal(parts, splits.assign(two, "hard", EIGHTY, seed=0))
    assert counts(parts) == [288, 36, 36]
    assert three.assign(part=parts).groupby("source_id")["part"].nunique().eq(1).all()
    assert all(set(three["label"][parts == part]) == {0, 1, 2} for part in splits.PARTS)


def test_three_classes_cannot_be_balanced():
    index = faces().assign(label=lambda rows: np.arange(len(rows)) % 3)
    with pytest.raises(ValueError) as error:
        splits.assign(index, "hard", EIGHTY, 0, balance=True)
    assert str(error.value) == (
        "expected labels 0 (real) and 1 (fake) to balance in the test part, got 2; do not balance"
    )


def test_a_part_with_one_class_cannot_be_balanced():
    index = SMALL.assign(label=REAL)
    with pytest.raises(ValueError, match="expected real and fake .* 0 fake; do not balance"):
        splits.assign(index, "random", (0.5, 0, 0.5), 0, balance=True)


@pytest.mark.parametrize(
    "index, message",
    [
        (SMALL.iloc[:0], "got an empty one"),
        (SMALL.drop(columns=["actor", "sha256"]), "got none named actor, sha256"),
        (SMALL.assign(sha256=""), "value of sha256"),
        (SMALL.assign(actor=None), "value of actor"),
        (SMALL.assign(donor=None), "value of donor"),
        (SMALL.assign(video_id=["a", None, "b", "c", "d", "e", "e"]), "value of video_id"),
        (SMALL.assign(example_id=list("abcdefa")), "unique values of example_id, got 'a' twice"),
    ],
)
def test_a_wrong_index(index, message):
    with pytest.raises(ValueError, match=message) as error:
        splits.assign(index, "video", EIGHTY, 0)
    assert "\n" not in str(error.value)


def test_a_seed_is_not_negative():
    with pytest.raises(ValueError, match="a seed of at least 0, got -1; change it"):
        splits.assign(faces(), "video", EIGHTY, -1)


@pytest.mark.skipif(not FACES.is_dir(), reason="the face crops of shared/data are not here")
def test_the_sources_of_real_face_crops_stay_on_one_side():
    table = pd.read_csv(FACES / "metadata.csv", keep_default_na=False)
    video = table["filename"].str.rsplit(".", n=1).str[0]
    source = table["original"].str.rsplit(".", n=1).str[0]
    index = pd.DataFrame(
        {
            "example_id": video,
            "label": (table["label"] == "FAKE").astype(int),
            "data_set": "dfdc_faces",
            "video_id": video,
            "source_id": source.where(source != "", video),
            "actor": "",
            "sha256": [
                hashlib.sha256((FACES / "faces" / name).read_bytes()).hexdigest()
                for name in table["filename"]
            ],
        }
    )
    parts = splits.assign(index, "hard", EIGHTY, seed=0)
    assert np.all(np.abs(np.subtract(counts(parts), [6400, 800, 800])) <= 2)
    shared = {row["of"]: row["in both"] for row in leakage.audit(index, parts)}
    assert shared == {"sources": 0, "videos": 0, "actors": 0, "donors": 0, "identical images": 0}
    # Of a source's two crops one is tested and the other trained on, 2 * 0.8 * 0.1 of the time.
    rows = leakage.audit(index, splits.assign(index, "random", EIGHTY, seed=0))
    both = {(row["part"], row["against"], row["of"]): row["in both"] for row in rows}
    assert 560 < both["train", "test", "sources"] < 720
