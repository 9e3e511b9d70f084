import csv
import json
from pathlib import Path

import pytest

from tfselfsup.datasets import layouts
from tfselfsup.datasets.records import FAKE, REAL, Video

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here")


def list_videos(source, layout=None, compression="c23", **chosen):
    return layouts.list_videos(source, layout, compression=compression, **chosen)


def touch(root, *files):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def dfdc(root, parts=("dfdc_train_part_0", "dfdc_train_part_10")):
    write_json(
        root / parts[0] / "metadata.json",
        {
            "b.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"},
            "a.mp4": {"label": "REAL", "split": "train", "original": None},
        },
    )
    write_json(root / parts[1] / "metadata.json", {"c.mp4": {"label": "REAL", "split": "train"}})
    return touch(root, f"{parts[0]}/a.mp4", f"{parts[0]}/b.mp4", f"{parts[1]}/stray.mp4")


def sequences(root):
    return touch(
        root,
        "original_sequences/youtube/c23/videos/519.mp4",
        "original_sequences/youtube/c40/videos/519.mp4",
        "original_sequences/youtube/c23/videos/notes.mp4",
        "manipulated_sequences/Deepfakes/c23/videos/519_515.mp4",
        "manipulated_sequences/Deepfakes/c40/videos/519_515.mp4",
        "manipulated_sequences/Deepfakes/masks/videos/519_515.mp4",
        "manipulated_sequences/FaceSwap/c23/videos/519_515.mp4",
    )


def actors(root):
    return touch(
        root,
        "original_sequences/actors/c23/videos/01__walking_outside.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking_outside__ABCDEFGH.mp4",
    )


def crops(root, rows, images=()):
    touch(root, *images)
    with (root / "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["filename", "label", "original"], *rows])
    return root


def facts(listing):
    return [tuple(video)[2:7] for video in listing.videos]


def test_dfdc(tmp_path):
    listing = list_videos(dfdc(tmp_path))
    assert layouts.recognise(tmp_path) == ("dfdc",)
    # c is listed although it is not there; stray is there although it is not listed.
    assert facts(listing) == [
        ("a", "a", REAL, "", ""),
        ("b", "a", FAKE, "", ""),
        ("c", "c", REAL, "", ""),
    ]
    assert listing.videos[2].path == tmp_path / "dfdc_train_part_10" / "c.mp4"
    assert listing.unlabelled == [tmp_path / "dfdc_train_part_10" / "stray.mp4"]
    assert {video.data_set for video in listing.videos} == {"dfdc"}


def test_one_part_of_dfdc_alone(tmp_path):
    listing = list_videos(dfdc(tmp_path) / "dfdc_train_part_0")
    assert [video.video_id for video in listing.videos] == ["a", "b"]


def test_a_part_without_its_metadata_is_not_lost(tmp_path):
    touch(dfdc(tmp_path), "dfdc_train_part_3/d.mp4")
    assert tmp_path / "dfdc_train_part_3/d.mp4" in list_videos(tmp_path).unlabelled


def test_faceforensics(tmp_path):
    listing = list_videos(sequences(tmp_path))
    assert layouts.recognise(tmp_path) == ("faceforensics",)
    assert facts(listing) == [
        ("519", "519", REAL, "", ""),
        ("Deepfakes/519_515", "519", FAKE, "", "Deepfakes"),
        ("FaceSwap/519_515", "519", FAKE, "", "FaceSwap"),
    ]
    # The second number is the original of the one whose face was put in.
    assert [video.donor for video in listing.videos] == ["", "515", "515"]
    mask = tmp_path / "manipulated_sequences/Deepfakes/masks/videos/519_515.mp4"
    assert [video.mask for video in listing.videos] == [None, mask, None]
    assert [path.name for path in listing.unlabelled] == ["notes.mp4"]


def test_another_compression_has_the_same_names(tmp_path):
    sequences(tmp_path)
    names = [video.video_id for video in list_videos(tmp_path, compression="c40").videos]
    assert names == ["519", "Deepfakes/519_515"]


def test_chosen_manipulations(tmp_path):
    listing = list_videos(sequences(tmp_path), manipulations=["FaceSwap"])
    assert [video.video_id for video in listing.videos] == ["519", "FaceSwap/519_515"]


def test_a_folder_without_a_video_of_the_compression_is_named(tmp_path):
    sequences(tmp_path)  # FaceSwap has no c40
    folder = tmp_path / "manipulated_sequences" / "FaceSwap"
    assert list_videos(tmp_path, compression="c40").empty == [folder]
    assert list_videos(tmp_path).empty == []
    with pytest.raises(ValueError, match="'c40' in .*FaceSwap, found c23; name another one"):
        list_videos(tmp_path, compression="c40", manipulations=["FaceSwap"])


def test_deepfakedetection(tmp_path):
    listing = list_videos(actors(tmp_path))
    fake = "DeepFakeDetection/01_02__walking_outside__ABCDEFGH"
    assert facts(listing) == [
        ("01__walking_outside", "01__walking_outside", REAL, "01", ""),
        (fake, "01__walking_outside", FAKE, "01", "DeepFakeDetection"),
    ]
    assert [video.donor for video in listing.videos] == ["", "02"]  # an actor, as `actor` is


def test_two_data_sets_of_one_root(tmp_path):
    actors(sequences(tmp_path))
    assert layouts.recognise(tmp_path) == ("faceforensics", "deepfakedetection")
    both = list_videos(tmp_path).videos
    apart = [list_videos(tmp_path, name).videos for name in layouts.recognise(tmp_path)]
    assert sorted(both) == sorted(apart[0] + apart[1])
    assert [len(videos) for videos in apart] == [3, 2]


def test_a_data_set_without_the_compression_does_not_stop_the_others(tmp_path):
    sequences(tmp_path)  # in c23 and c40
    actors(tmp_path)  # in c23 only
    listing = list_videos(tmp_path, compression="c40")
    assert [video.data_set for video in listing.videos] == ["faceforensics"] * 2
    of_actors = ["manipulated_sequences/DeepFakeDetection", "original_sequences/actors"]
    assert {tmp_path / name for name in of_actors} < set(listing.empty)
    with pytest.raises(ValueError, match="'c40' in .*DeepFakeDetection, .*actors, found c23;"):
        list_videos(tmp_path, "deepfakedetection", compression="c40")
    with pytest.raises(ValueError, match="'raw' in .*Deepfakes, .*youtube, found c23, c40;"):
        list_videos(tmp_path, compression="raw")
    # A manipulation of the one says nothing of the other.
    chosen = list_videos(tmp_path, compression="c40", manipulations=["Deepfakes"])
    assert [video.video_id for video in chosen.videos] == ["519", "Deepfakes/519_515"]


@pytest.mark.parametrize("folder", ["", "faces/"])
def test_ready_crops(tmp_path, folder):
    rows = [["b.jpg", "FAKE", "a.mp4"], ["a.jpg", "REAL", ""], ["gone.jpg", "REAL", ""]]
    images = [f"{folder}{name}" for name in ("a.jpg", "b.jpg", "stray.png")]
    listing = list_videos(crops(tmp_path / "mine", rows, images))
    assert facts(listing) == [
        ("a", "a", REAL, "", ""),
        ("b", "a", FAKE, "", ""),
        ("gone", "gone", REAL, "", ""),
    ]
    assert {video.data_set for video in listing.videos} == {"mine"}
    assert listing.videos[0].path == tmp_path / "mine" / f"{folder}a.jpg"
    assert listing.unlabelled == [tmp_path / "mine" / f"{folder}stray.png"]


def test_a_listing_does_not_depend_on_the_order_of_the_table(tmp_path):
    rows = [["a.jpg", "REAL", ""], ["b.jpg", "FAKE", "a.jpg"]]
    once = list_videos(crops(tmp_path, rows, ["a.jpg", "b.jpg"]))
    assert list_videos(crops(tmp_path, rows[::-1])) == once


@pytest.mark.parametrize(
    "content, problem",
    [
        ("{", "expected JSON"),
        ("[]", "got list"),
        ('{"a.mp4": 1}', "'a.mp4'"),
        ('{"a.mp4": {"label": "real"}}', "got 'real'"),
        ('{"a.mp4": {}}', "got None"),
        ('{"a.mp4": {"label": "FAKE"}}', "original"),
        ('{"a.mp4": {"label": ["FAKE"]}}', "REAL or FAKE"),
        ('{"a.mp4": {"label": "FAKE", "original": 3}}', "relative"),
        ('{"a.mp4": {"label": "FAKE", "original": "../b.mp4"}}', "relative"),
        ('{"../a.mp4": {"label": "REAL"}}', "relative"),
        ('{"/a.mp4": {"label": "REAL"}}', "relative"),
        ('{"": {"label": "REAL"}}', "relative"),
    ],
)
def test_a_malformed_metadata_is_named(tmp_path, content, problem):
    (tmp_path / "metadata.json").write_text(content)
    with pytest.raises(ValueError, match=problem) as error:
        list_videos(tmp_path)
    assert str(tmp_path / "metadata.json") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"", "lacks 'filename'"),
        (b"filename,label\na.jpg,REAL\n", "lacks 'original'"),
        (b"filename,label,original\na.jpg,TRUE,\n", "got 'TRUE'"),
        (b"filename,label,original\na.jpg\n", "got None"),
        (b"filename,label,original\na.mp4,REAL,\n", "got 'a.mp4'"),
        (b'filename,label,original\n"a.jpg,REAL,\n', "expected a CSV"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_malformed_table_is_named(tmp_path, content, problem):
    (tmp_path / "metadata.csv").write_bytes(content)
    with pytest.raises(ValueError, match=problem) as error:
        list_videos(tmp_path)
    assert str(tmp_path / "metadata.csv") in str(error.value)


def test_a_wrong_source_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match="found no folder"):
        list_videos(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="metadata.json.*youtube.*actors.*metadata.csv"):
        layouts.recognise(tmp_path)
    with pytest.raises(ValueError, match="one of dfdc, .*got 'celeb'"):
        list_videos(dfdc(tmp_path), "celeb")
    with pytest.raises(ValueError, match="looks like dfdc"):
        list_videos(tmp_path, "crops")


def test_an_empty_table_is_an_error(tmp_path):
    write_json(tmp_path / "none" / "metadata.json", {})
    with pytest.raises(ValueError, match="found none"):
        list_videos(tmp_path / "none")
    write_json(tmp_path / "gone" / "metadata.json", {"a.mp4": {"label": "REAL"}})
    with pytest.raises(ValueError, match="none of them is there"):
        list_videos(tmp_path / "gone")
    with pytest.raises(ValueError, match="compression 'c0' .* found c23, c40"):
        list_videos(sequences(tmp_path / "sequences"), compression="c0")


def test_an_unknown_manipulation_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="Deepfakes, FaceSwap; got Faceswap"):
        list_videos(sequences(tmp_path / "sequences"), manipulations=["Faceswap"])
    with pytest.raises(ValueError, match="no manipulation by name; got Deepfakes"):
        list_videos(dfdc(tmp_path / "dfdc"), manipulations=["Deepfakes"])


def test_a_video_that_is_listed_twice_is_an_error(tmp_path):
    entry = {"a.mp4": {"label": "REAL"}}
    for part in (0, 1):
        write_json(tmp_path / f"dfdc_train_part_{part}" / "metadata.json", entry)
    touch(tmp_path, "dfdc_train_part_0/a.mp4")
    with pytest.raises(ValueError, match="'a' is listed 2x"):
        list_videos(tmp_path)


def many(root, count=20):
    names = [f"{number:02}.mp4" for number in range(count)]
    touch(root, *names)
    videos = [
        Video(root / name, "made", name, name, FAKE if number % 2 else REAL)
        for number, name in enumerate(names)
    ]
    return [*videos, Video(root / "gone.mp4", "made", "gone", "gone", REAL)]


def test_a_sample_has_the_numbers_that_were_asked_for(tmp_path):
    videos = many(tmp_path)
    drawn = layouts.sample(videos, real=4, fake=3, seed=1)
    assert [video.label for video in drawn].count(REAL) == 4
    assert [video.label for video in drawn].count(FAKE) == 3
    assert drawn == [video for video in videos if video in drawn]
    assert len(set(drawn)) == 7


def test_a_sample_is_its_seeds_and_never_what_is_missing(tmp_path):
    videos = many(tmp_path)
    draws = {tuple(layouts.sample(videos, 3, 3, seed)) for seed in range(20)}
    assert len(draws) > 15
    drawn = [video.video_id for video in layouts.sample(videos, 3, 3, 7)]
    assert drawn == ["01.mp4", "08.mp4", "12.mp4", "15.mp4", "16.mp4", "19.mp4"]
    # Those of one label are drawn whatever is asked of the other.
    fakes = [video for video in layouts.sample(videos, 3, 3, 7) if video.label == FAKE]
    assert layouts.sample(videos, 0, 3, 7) == fakes
    assert layouts.sample(videos, 10, 10, 0) == layouts.sample(videos, None, None, 1) == videos[:20]


@pytest.mark.parametrize("real, fake", [(11, 0), (0, 11), (-1, 0)])
def test_a_sample_of_too_many_is_an_error(tmp_path, real, fake):
    with pytest.raises(ValueError, match="expected 0 to 10"):
        layouts.sample(many(tmp_path), real, fake, 0)


@needs_data
def test_the_real_layouts():
    listing = list_videos(DATA / "videos" / "dfdc")
    there = {video.video_id for video in listing.videos if video.path.is_file()}
    assert there == {"brtujopkby", "lynaeydofd", "widuwuoiur", "yhffcuhhjy"}
    assert len(listing.videos) == 7 and not listing.unlabelled
    listing = list_videos(DATA / "videos" / "faceforensics")
    assert [video.label for video in listing.videos] == [REAL] * 3 + [FAKE] * 4
    listing = list_videos(DATA / "dfdc_faces")
    assert [sum(video.label == label for video in listing.videos) for label in (0, 1)] == [4000] * 2
    assert {video.data_set for video in listing.videos} == {"dfdc_faces"}
    assert not listing.unlabelled


@pytest.mark.parametrize("original", ["id0.0000.jpg", "id0.0000"])
def test_an_original_is_found_with_and_without_its_ending(tmp_path, original):
    rows = [["id0.0000.jpg", "REAL", ""], ["id0.0001.jpg", "FAKE", original]]
    listing = list_videos(crops(tmp_path, rows, ["id0.0000.jpg", "id0.0001.jpg"]))
    assert {video.source_id for video in listing.videos} == {"id0.0000"}


def test_a_csv_beside_a_data_set_is_not_another_one(tmp_path):
    dfdc(tmp_path)
    (tmp_path / "report.csv").write_text("video_id,status\n")
    assert {video.data_set for video in list_videos(tmp_path).videos} == {"dfdc"}
    with pytest.raises(ValueError, match="report.csv, lacks 'filename'"):
        list_videos(tmp_path, "crops")
