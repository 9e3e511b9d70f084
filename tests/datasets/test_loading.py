import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.datasets.prepared import picture, write
from tfselfsup.datasets import forged_faces, manifests, splits
from tfselfsup.datasets.augmentation import Augmentation
from tfselfsup.datasets.loading import FaceData

SOURCES = 6
EXAMPLES = SOURCES * 4


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    write(folder, SOURCES)
    forged_faces.build(folder)
    return FaceData(folder)


def loaded(data, chosen=None, **settings) -> dict[str, np.ndarray]:
    everything = np.ones(len(data), bool)
    settings = {"side": 24, "batch_size": 5, **settings}
    batches = list(
        data.images(everything if chosen is None else chosen, **settings).as_numpy_iterator()
    )
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_the_index_tells_all_but_the_pictures(data):
    assert len(data) == EXAMPLES and set(splits.COLUMNS) <= set(data.index.columns)
    row = data.index.set_index("example_id").loc["made/fake_2/1"]
    assert (row["label"], row["source_id"], row["actor"]) == (1, "real_2", "actor 0")
    assert (row["frame_index"], row["manipulation"], row["has_mask"]) == (1, "blend", True)
    assert data.index["example_id"].is_unique
    assert (data.index["sha256"].str.len() == 64).all()


def test_pictures_labels_and_rows_belong_together(data):
    batch = loaded(data)
    np.testing.assert_array_equal(batch["row"], np.arange(EXAMPLES))
    np.testing.assert_array_equal(batch["label"], data.index["label"])
    assert batch["image"].shape == (EXAMPLES, 24, 24, 3) and batch["image"].dtype == np.uint8
    for image, (_, row) in zip(batch["image"], data.index.iterrows(), strict=True):
        number = 4 * int(row["video_id"][-1]) + 2 * row["label"] + row["frame_index"]
        # OpenCV wrote blue, green and red; the two halves are of one colour each.
        difference = np.abs(image.astype(int) - picture(number)[..., ::-1])
        # JPEG mixes the colours of a few rows where they meet.
        assert difference[[*range(8), *range(16, 24)]].max() < 16


def test_only_what_is_chosen_is_read(data):
    parts = splits.assign(data.index, "hard", (0.5, 0.25, 0.25), seed=0)
    chosen = parts == "test"
    assert 0 < chosen.sum() < EXAMPLES
    batch = loaded(data, chosen, shuffle_seed=1)
    np.testing.assert_array_equal(np.sort(batch["row"]), np.flatnonzero(chosen))
    assert data.images(chosen, side=8, batch_size=5).cardinality() == -(-chosen.sum() // 5)


def test_the_order_depends_on_the_seed_only(data):
    one, again, other = (loaded(data, shuffle_seed=seed)["row"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and (one != np.arange(EXAMPLES)).any()
    assert sorted(one) == sorted(other) == list(range(EXAMPLES))


def test_each_iteration_has_an_order_and_changes_of_its_own_which_can_be_repeated(data):
    def two_iterations():
        images = data.images(
            np.ones(len(data), bool),
            side=24,
            batch_size=EXAMPLES,
            shuffle_seed=3,
            augmentation=Augmentation(flip=True, colour=0.5),
        )
        return [next(images.as_numpy_iterator()) for _ in range(2)]

    first, second = two_iterations()
    for one, again in zip((first, second), two_iterations(), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], again[name], err_msg=name)
    assert (first["row"] != second["row"]).any()
    by_row = [batch["image"][np.argsort(batch["row"])] for batch in (first, second)]
    assert (by_row[0] != by_row[1]).any()


def test_pictures_are_scaled_as_asked(data):
    small = loaded(data, side=12)["image"]
    assert small.shape == (EXAMPLES, 12, 12, 3)
    whole = loaded(data)["image"]
    expected = [cv2.resize(image, (12, 12), interpolation=cv2.INTER_AREA) for image in whole]
    # TensorFlow's antialiased triangle is a little wider than the area it stands for.
    assert np.abs(small.astype(int) - np.array(expected)).mean() < 6


def test_pngs_are_decoded_too(tmp_path):
    (manifest, *_) = write(tmp_path, sources=1)
    crop = manifest.crops[0]
    cv2.imwrite(str(tmp_path / "crops" / "made.png"), picture(7))
    manifests.write(tmp_path, manifest._replace(crops=[crop._replace(file="crops/made.png")]))
    forged_faces.build(tmp_path, videos={("made", manifest.video.video_id)})
    images = loaded(FaceData(tmp_path))["image"]
    np.testing.assert_array_equal(images, picture(7)[np.newaxis, ..., ::-1])


def test_without_a_data_set_the_program_that_makes_one_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected a data set in .* bin/prepare_faces"):
        FaceData(tmp_path)


@pytest.mark.parametrize("file", ["dataset_info.json", "features.json", "*.tfrecord*"])
@pytest.mark.parametrize("content", [b"", b"{"])
def test_a_damaged_data_set_is_named_with_the_remedy(data, tmp_path, file, content):
    folder = Path(data._builder.data_dir)
    copy = tmp_path / folder.relative_to(folder.parents[2])
    shutil.copytree(folder, copy)
    (damaged,) = copy.glob(file)
    damaged.write_bytes(content)
    with pytest.raises(ValueError, match="expected a whole data set in .*bin/prepare_faces"):
        FaceData(tmp_path)


def test_a_part_without_examples_is_refused(data):
    with pytest.raises(ValueError, match="expected at least one of 24 examples, got 0"):
        data.images(np.zeros(EXAMPLES, bool), side=8, batch_size=4)


def test_augmentation_needs_a_seed(data):
    with pytest.raises(ValueError, match="shuffle_seed"):
        data.images(
            np.ones(EXAMPLES, bool), side=8, batch_size=4, augmentation=Augmentation(flip=True)
        )


def test_what_any_data_set_tells(data):
    assert data.label_names == ("real", "fake") and data.channels == 3


def test_parts_are_those_of_the_splits(data):
    for settings in (("hard", (0.5, 0.25, 0.25), 3), ("random", (0.6, 0, 0.4), 4, True)):
        parts = data.parts(*settings)
        np.testing.assert_array_equal(parts, splits.assign(data.index, *settings))
        assert "test" in parts


def test_the_fingerprint_depends_on_contents_and_not_on_the_place(tmp_path, data):
    write(tmp_path, SOURCES)
    forged_faces.build(tmp_path)
    moved = FaceData(tmp_path)
    assert moved.fingerprint() == data.fingerprint() and len(data.fingerprint()) == 64
    found = {data.fingerprint()}
    for column in ("example_id", "label", "sha256", "video_id", "source_id", "actor", "donor"):
        original = moved.index[column].copy()
        # Two examples exchange what they have there.
        first, second = 0, (original != original[0]).argmax()
        moved.index.loc[[first, second], column] = original[[second, first]].to_numpy()
        found.add(moved.fingerprint())
        moved.index[column] = original
    original = moved.index
    moved.index = original.assign(data_set="another")
    found.add(moved.fingerprint())
    moved.index = original.iloc[::-1]
    found.add(moved.fingerprint())
    assert len(found) == 10
