from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from tfselfsup.datasets import leakage, splits
from tfselfsup.datasets.augmentation import Augmentation
from tfselfsup.datasets.digits import DigitData

USPS = Path(__file__).parents[3] / "shared" / "data" / "usps" / "usps.h5"
FRACTIONS = (0.6, 0.2, 0.2)
# How many zeros, ones, ... train in the file made below; a quarter of them validates.
TRAINING = np.array([40, 8, 9, 10, 11, 12, 13, 14, 15, 16])
TESTING = np.full(10, 2)
TRAINED = TRAINING.sum()


def contents(seed=0):
    random = np.random.default_rng(seed)
    return {
        f"{part}/{name}": values
        for part, counts in (("train", TRAINING), ("test", TESTING))
        for name, values in (
            ("data", random.uniform(size=(counts.sum(), 256)).astype(np.float32)),
            ("target", random.permutation(np.repeat(np.arange(10, dtype=np.int32), counts))),
        )
    }


def write(path, arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return DigitData(write(tmp_path_factory.mktemp("digits") / "usps.h5", contents()))


def loaded(data, chosen=None, **settings):
    everything = np.ones(len(data), bool)
    settings = {"side": 16, "batch_size": 50, **settings}
    batches = list(
        data.images(everything if chosen is None else chosen, **settings).as_numpy_iterator()
    )
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_pictures_labels_and_rows_are_those_of_the_file(data):
    batch, arrays = loaded(data), contents()
    pixels = np.concatenate([arrays["train/data"], arrays["test/data"]])
    assert batch["image"].shape == (len(data), 16, 16, 1) and batch["image"].dtype == np.uint8
    # Rows of the picture one after another, 1 as 255, to the nearest grey level.
    error = np.abs(batch["image"].astype(float)[..., 0] / 255 - pixels.reshape(-1, 16, 16))
    assert error.max() < 0.5001 / 255
    labels = np.concatenate([arrays["train/target"], arrays["test/target"]])
    np.testing.assert_array_equal(batch["label"], labels)
    np.testing.assert_array_equal(batch["row"], np.arange(len(data)))
    assert batch["label"].dtype == batch["row"].dtype == np.int64


def test_the_extremes_of_the_range_are_black_and_white(tmp_path):
    arrays = contents()
    arrays["train/data"][0, :2] = (0, 1)
    image = loaded(DigitData(write(tmp_path / "usps.h5", arrays)))["image"][0]
    assert image[0, :2, 0].tolist() == [0, 255]


def test_the_index_is_one_that_splits_and_leakage_understand(data):
    assert set(splits.COLUMNS) <= set(data.index.columns) and len(data) == TRAINED + TESTING.sum()
    assert data.index["example_id"].is_unique and data.index["sha256"].is_unique
    first, last = data.index.iloc[0], data.index.iloc[-1]
    assert (first["example_id"], first["data_set"]) == ("usps/train/0", "usps")
    assert (last["source_id"], last["video_id"], last["actor"]) == ("test/19", "test/19", "")
    parts = data.parts("official", FRACTIONS, seed=0)
    assert not any(row["in both"] for row in leakage.audit(data.index, parts))


def test_what_any_data_set_tells(data):
    assert data.channels == 1 and data.label_names[7] == "7" and len(data.label_names) == 10


def test_the_order_depends_on_the_seed_and_the_iteration(data):
    def rows(seed):
        images = data.images(np.ones(len(data), bool), side=16, batch_size=500, shuffle_seed=seed)
        return [next(images.as_numpy_iterator())["row"].tolist() for _ in range(2)]

    first, second = rows(1)
    assert [first, second] == rows(1)
    assert first != second and first != rows(2)[0] and first != sorted(first)
    assert sorted(first) == sorted(second) == list(range(len(data)))


def test_only_what_is_chosen_is_read_with_its_own_picture_and_label(data):
    chosen = data.index["label"].to_numpy() == 3
    whole, some = loaded(data), loaded(data, chosen, batch_size=4, shuffle_seed=5)
    assert sorted(some["row"]) == np.flatnonzero(chosen).tolist()
    for name in whole:
        np.testing.assert_array_equal(some[name], whole[name][some["row"]])
    assert data.images(chosen, side=16, batch_size=5).cardinality() == 3


def test_pictures_are_scaled_linearly(tmp_path):
    # A ramp from left to right stays one, but for the repeated outermost pixels.
    arrays = contents()
    arrays["train/data"][0] = np.tile(np.arange(16, dtype=np.float32) * 16 / 255, 16)
    data = DigitData(write(tmp_path / "usps.h5", arrays))
    wide = loaded(data, side=32)["image"]
    assert wide.shape == (len(data), 32, 32, 1)
    # Centres of the new pixels lie a quarter of an old one from the old centres.
    np.testing.assert_array_equal(wide[0, 5, 1:-1, 0], np.arange(4, 240, 8))
    # Halved with a triangle of full width 4: weights 1, 3, 3 and 1 of 8 are symmetric about the
    # middle of two pixels.
    narrow = loaded(data, side=8)["image"]
    np.testing.assert_array_equal(narrow[0, 3, 1:-1, 0], np.arange(40, 220, 32))


def test_the_part_to_test_is_the_files_and_every_class_validates_alike(data):
    parts = data.parts("official", FRACTIONS, seed=3)
    np.testing.assert_array_equal(parts == "test", data.index["stored_part"] == "test")
    counts = pd.crosstab(parts, data.index["label"])
    # A quarter of 40, 8, 9, 10, ...; 2.5 and 3.5 are rounded to the even neighbour.
    assert counts.loc["validation"].tolist() == [10, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    np.testing.assert_array_equal(counts.loc["train"] + counts.loc["validation"], TRAINING)


def test_the_seed_chooses_who_validates(data):
    one, again, other = (data.parts("official", FRACTIONS, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    # Over many seeds everyone of a class has the same chance: a quarter of the zeros.
    zeros = data.index["label"].to_numpy()[:TRAINED] == 0
    often = sum(
        data.parts("official", FRACTIONS, seed)[:TRAINED][zeros] == "validation"
        for seed in range(200)
    )
    assert 25 < often.min() and often.max() < 76  # 50 on average, 4 standard deviations are 25


def test_without_validation_all_others_train(data):
    parts = data.parts("official", (0.8, 0, 0.2), seed=0)
    np.testing.assert_array_equal(parts, data.index["stored_part"])


def test_balancing_leaves_equally_many_of_every_class(data):
    plain = data.parts("official", FRACTIONS, seed=3)
    parts = data.parts("official", FRACTIONS, seed=3, balance=True)
    counts = pd.crosstab(parts, data.index["label"])
    for part, least in (("train", 6), ("validation", 2), ("test", 2)):
        assert counts.loc[part].tolist() == [least] * 10
    kept = parts != splits.LEFT_OUT
    np.testing.assert_array_equal(parts[kept], plain[kept])


@pytest.mark.parametrize("split", ["random", "hard", "Official", ""])
def test_other_splits_are_refused(data, split):
    with pytest.raises(ValueError, match=f"expected the split official of digits, got '{split}'"):
        data.parts(split, FRACTIONS, seed=0)


@pytest.mark.parametrize(
    "fractions, balance, message",
    [
        ((0.5, 0.5, 0.5), False, "sum to 1"),
        ((0.8999, 0.0001, 0.1), False, "expected digits in the validation part, got none"),
        ((0.005, 0.79, 0.205), False, "expected digits in the train part, got none"),
        ((0.75, 0.05, 0.2), True, "every digit in the validation part to balance, got no 1"),
    ],
)
def test_parts_that_cannot_be_made(data, fractions, balance, message):
    with pytest.raises(ValueError, match=message):
        data.parts("official", fractions, 0, balance)


def test_no_choice_is_refused(data):
    with pytest.raises(ValueError, match=f"at least one of {len(data)} examples, got 0"):
        data.images(np.zeros(len(data), bool), side=16, batch_size=4)


def test_digits_are_not_changed_at_random(data):
    everything = np.ones(len(data), bool)
    settings = {"side": 16, "batch_size": 4, "shuffle_seed": 1}
    with pytest.raises(ValueError, match="expected no augmentation of digits, got .*flip=True"):
        data.images(everything, augmentation=Augmentation(flip=True), **settings)
    data.images(everything, augmentation=Augmentation(), **settings)


def test_the_fingerprint_tells_contents_apart(tmp_path, data):
    def fingerprint(name, arrays):
        return DigitData(write(tmp_path / name, arrays)).fingerprint()

    assert fingerprint("elsewhere.h5", contents()) == data.fingerprint()
    pixel, label, swapped = contents(), contents(), contents()
    pixel["test/data"][3, 100] = 1 - np.round(pixel["test/data"][3, 100])
    label["train/target"][0] = (label["train/target"][0] + 1) % 10
    for name in ("data", "target"):
        swapped[f"test/{name}"][:2] = swapped[f"test/{name}"][1::-1].copy()
    changed = {
        fingerprint(f"{number}.h5", each) for number, each in enumerate([pixel, label, swapped])
    }
    assert len(changed | {data.fingerprint()}) == 4


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("test/target", None, "expected an array test/target in .*, got none"),
        ("train/data", np.zeros((138, 64), np.float32), "train/data .N, 256..*, got .138, 64."),
        ("train/data", np.zeros(138, np.float32), "got .138. and .148."),
        ("test/target", np.zeros(19, int), "got .20, 256. and .19."),
        ("test/data", np.zeros((20, 256), np.uint8), "floats from 0 to 1 in test/data .* uint8"),
        ("test/data", np.full((20, 256), -1.0), "floats from 0 to 1 .* got -1.0 to -1.0"),
        ("test/data", np.full((20, 256), 1.01), "floats from 0 to 1 .* got 1.01 to 1.01"),
        ("test/data", np.full((20, 256), np.nan), "floats from 0 to 1 .* got nan to nan"),
        ("test/target", np.full(20, 10), "whole numbers from 0 to 9 in test/target .* 10 to 10"),
        ("test/target", np.full(20, -1), "whole numbers from 0 to 9 .* got -1 to -1"),
        ("test/target", np.full(20, 1.5), "whole numbers from 0 to 9 .* got float64"),
        ("test/target", np.full(20, b"seven"), "whole numbers from 0 to 9 .* got .S5"),
    ],
)
def test_other_contents_are_refused(tmp_path, name, values, message):
    arrays = contents()
    if values is None:
        del arrays[name]
    else:
        arrays[name] = values
    with pytest.raises(ValueError, match=message) as caught:
        DigitData(write(tmp_path / "usps.h5", arrays))
    assert "\n" not in str(caught.value)


def test_a_group_in_the_place_of_an_array_is_refused(tmp_path):
    arrays = contents()
    arrays["train/data/pixels"] = arrays.pop("train/data")
    with pytest.raises(ValueError, match="expected an array train/data in "):
        DigitData(write(tmp_path / "usps.h5", arrays))


def test_files_that_are_no_hdf5(tmp_path):
    (tmp_path / "usps.h5").write_text("no digits")
    (tmp_path / "cut.h5").write_bytes(write(tmp_path / "all.h5", contents()).read_bytes()[:3000])
    for name in ("usps.h5", "cut.h5"):
        with pytest.raises(ValueError, match="got a file that HDF5 cannot read at .*; give"):
            DigitData(tmp_path / name)
    for path in (tmp_path / "none.h5", tmp_path):
        with pytest.raises(ValueError, match="expected an HDF5 file of digits, got no file at"):
            DigitData(path)


@pytest.mark.skipif(not USPS.is_file(), reason="the digits of shared/data are not here")
def test_the_published_file():
    data = DigitData(USPS)
    parts = data.parts("official", (0.72, 0.08, 0.2), seed=0)
    assert dict(zip(*np.unique(parts, return_counts=True), strict=True)) == {
        "train": 6562,
        "validation": 729,  # of 7,291, a tenth of each class
        "test": 2007,
    }
    assert not any(row["in both"] for row in leakage.audit(data.index, parts))
    # A class' mean image recognises most digits, so pictures, rows and labels belong together.
    batch = loaded(data, batch_size=1000)
    images = batch["image"].reshape(len(data), -1).astype(float)
    means = np.array(
        [images[(parts == "train") & (batch["label"] == k)].mean(0) for k in range(10)]
    )
    tested = parts == "test"
    distances = ((images[tested, np.newaxis] - means) ** 2).sum(axis=2)
    assert (distances.argmin(axis=1) == batch["label"][tested]).mean() > 0.75
