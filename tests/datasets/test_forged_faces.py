import pytest
import tensorflow_datasets as tfds

from tests.datasets.prepared import write
from tfselfsup.datasets import forged_faces


def stored(folder):
    """All examples by their key, with the JPEG's bytes in the place of the image."""
    builder = tfds.builder_from_directory(folder)
    examples = builder.as_dataset(
        split=forged_faces.STORED_SPLIT, decoders={"image": tfds.decode.SkipDecoding()}
    )
    found = {}
    for example in examples.as_numpy_iterator():
        example["box"] = tuple(example["box"])
        found[example["video_id"].decode(), example["frame_index"]] = example
    return found


@pytest.fixture
def expected(tmp_path):
    """What was written, as examples."""
    return {
        (manifest.video.video_id, crop.frame_index): {
            "image": (tmp_path / crop.file).read_bytes(),
            "label": manifest.video.label,
            "data_set": b"made",
            "video_id": manifest.video.video_id.encode(),
            "source_id": manifest.video.source_id.encode(),
            "actor": manifest.video.actor.encode(),
            "donor": manifest.video.donor.encode(),
            "manipulation": manifest.video.manipulation.encode(),
            "frame_index": crop.frame_index,
            "seconds": pytest.approx(crop.seconds),
            "box": (crop.x, crop.y, crop.side, crop.side),
            "confidence": pytest.approx(crop.confidence),
            "faces_in_frame": 1,
            "has_mask": manifest.mask,
            "sha256": crop.sha256.encode(),
        }
        for manifest in write(tmp_path)
        for crop in manifest.crops
    }


def test_every_crop_is_stored_byte_by_byte_with_what_is_known_of_it(tmp_path, expected):
    folder = forged_faces.build(tmp_path)
    assert folder == forged_faces.folder(tmp_path)
    assert stored(folder) == expected
    assert tfds.builder_from_directory(folder).info.features["label"].names == ["real", "fake"]
    # Nothing but the data set is left of the building.
    assert {path.name for path in tmp_path.iterdir()} == {"crops", "manifests", "tfds"}


def test_on_beam_the_same_is_stored(tmp_path, expected):
    pytest.importorskip("apache_beam", reason="the extra 'beam' is not installed")
    folder = forged_faces.build(tmp_path, beam_options=["--runner=DirectRunner"])
    assert stored(folder) == expected


def test_only_the_videos_asked_for_are_stored(tmp_path, expected):
    folder = forged_faces.build(tmp_path, videos={("made", "real_1"), ("made", "fake_3")})
    assert {video for video, _ in stored(folder)} == {"real_1", "fake_3"}
    with pytest.raises(ValueError, match="at least one face crop"):
        forged_faces.build(tmp_path, videos={("other", "real_1")})
    assert len(stored(folder)) == 4


def test_building_again_replaces_what_was_built(tmp_path):
    write(tmp_path, sources=4)
    forged_faces.build(tmp_path)
    write(tmp_path, sources=5)
    assert len(stored(forged_faces.build(tmp_path))) == 5 * 4


def test_a_data_set_of_an_earlier_version_is_found_until_it_is_built_anew(tmp_path):
    write(tmp_path)
    built = forged_faces.build(tmp_path)
    built.rename(built.with_name("1.0.0"))
    assert forged_faces.folder(tmp_path) == built.with_name("1.0.0")
    assert forged_faces.build(tmp_path) == built != built.with_name("1.0.0")
    assert [path.name for path in built.parent.iterdir()] == [built.name]


def test_a_building_that_fails_leaves_the_old_data_set(tmp_path):
    manifests = write(tmp_path)
    before = stored(forged_faces.build(tmp_path))
    (tmp_path / manifests[0].crops[0].file).unlink()
    with pytest.raises(OSError):
        forged_faces.build(tmp_path)
    assert stored(forged_faces.folder(tmp_path)) == before


def test_other_data_sets_are_not_replaced(tmp_path):
    write(tmp_path)
    other = tmp_path / "tfds" / "mnist" / "3.0.1" / "dataset_info.json"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(ValueError, match="of its own for the data set, got .*tfds with mnist in"):
        forged_faces.build(tmp_path)
    assert other.exists()


def test_without_a_crop_there_is_no_data_set(tmp_path):
    with pytest.raises(ValueError, match="at least one face crop in .*, got none"):
        forged_faces.build(tmp_path)
    assert not list(tmp_path.iterdir())
