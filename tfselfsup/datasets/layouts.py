"""The layouts of data sets: where their videos lie, and how a name tells label and source."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tfselfsup.datasets import tables
from tfselfsup.datasets.records import FAKE, REAL, Video

_DFDC_PARTS = "dfdc_train_part_*"
_DFD = "DeepFakeDetection"
_FAKE_NAMES = {
    # 519_515: the target's scene with the face, or the expressions, of another sequence.
    "faceforensics": re.compile(r"(?P<original>\d+)_(?P<donor>\d+)"),
    # 01_02__walking__ABCDEFGH: the target's actor, the actor of the face, and the scene.
    "deepfakedetection": re.compile(r"(?P<actor>\d+)_(?P<donor>\d+)__(?P<scene>.+)__\w+"),
}
_REAL_NAMES = {
    "faceforensics": re.compile(r"\d+"),
    "deepfakedetection": re.compile(r"(?P<actor>\d+)__.+"),
}


class Listing(NamedTuple):
    """What a source holds.

    Attributes:
        videos: The labelled ones, whether their files are there or not, sorted by `video_id`.
        unlabelled: Files that are there, but to which the layout gives no label: an mp4 that no
            metadata.json lists, an image that is not in the CSV, a name that fits no pattern.
        empty: Folders of FaceForensics++ or DFD without a video of the compression; perhaps all
            that there are of one of the two.
    """

    videos: list[Video]
    unlabelled: list[Path]
    empty: list[Path] = []


class Layout(NamedTuple):
    """A way to lay out a data set.

    Attributes:
        expects: What is looked for, in words.
        fits: Tells whether a folder has this layout.
        list: Lists a folder; takes the compression and the manipulations, empty for all.
    """

    expects: str
    fits: Callable[[Path], bool]
    list: Callable[[Path, str, Sequence[str]], Listing]


def recognise(source: str | Path) -> tuple[str, ...]:
    """Names the layouts of a folder: more than one where FaceForensics++ and DFD share it.

    Raises:
        ValueError: If the folder does not exist or has no known layout.
    """
    source = Path(source)
    if not source.is_dir():
        raise ValueError(f"expected the folder of a data set, found no folder {source}")
    names = tuple(name for name, layout in LAYOUTS.items() if layout.fits(source))
    if not names:
        wanted = "; or ".join(f"{layout.expects} ({name})" for name, layout in LAYOUTS.items())
        raise ValueError(f"expected in {source} {wanted}; found none of them")
    return names


def list_videos(
    source: str | Path,
    layout: str | None = None,
    *,
    compression: str,
    manipulations: Sequence[str] = (),
) -> Listing:
    """Lists the videos, or ready crops, of a data set.

    Args:
        source: Its folder.
        layout: One of `LAYOUTS`; without it, all that `recognise` finds, but `crops` beside
            others.
        compression: Of FaceForensics++ and DFD: `raw`, `c23` or `c40`; others have none to choose.
            A `video_id` is the same in all of them.
        manipulations: Lists only the fakes made by these; all if empty. Real videos are always
            listed.

    Returns:
        The listing, in an order that depends on the names only.

    Raises:
        ValueError: If the folder, the layout, the compression or a manipulation is unknown, a
            metadata.json or CSV is malformed, or no listed video is there.
    """
    source = Path(source)
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"expected a layout, one of {', '.join(LAYOUTS)}, got {layout!r}")
    found = recognise(source)
    if layout is not None and layout not in found:
        raise ValueError(
            f"expected in {source} {LAYOUTS[layout].expects} ({layout}); "
            f"it looks like {' and '.join(found)}"
        )
    # A CSV may lie in any folder, so it counts only where nothing else does, or where it is named.
    others = tuple(name for name in found if name != "crops")
    names = (layout,) if layout is not None else others or found
    _check_manipulations(source, names, manipulations)
    listings = [LAYOUTS[name].list(source, compression, manipulations) for name in names]
    videos = [video for listing in listings for video in listing.videos]
    empty = sorted({path for listing in listings for path in listing.empty})
    if empty and not videos:
        raise _none_of_the_compression(compression, empty)
    _check_videos(source, videos)
    return Listing(
        sorted(videos, key=lambda video: video.key),
        sorted({path for listing in listings for path in listing.unlabelled}),
        empty,
    )


def sample(videos: Sequence[Video], real: int | None, fake: int | None, seed: int) -> list[Video]:
    """Draws videos at random from those whose files are there.

    Args:
        videos: A listing's videos.
        real: How many real ones, at least 0; None for all.
        fake: How many fake ones, at least 0; None for all.
        seed: The same seed draws the same videos.

    Returns:
        The drawn videos, in the order of `videos`.

    Raises:
        ValueError: If there are fewer.
    """
    drawn = set()
    for label, count, name in ((REAL, real, "real"), (FAKE, fake, "fake")):
        there = [video for video in videos if video.label == label and video.path.is_file()]
        count = len(there) if count is None else count
        if not 0 <= count <= len(there):
            raise ValueError(f"expected 0 to {len(there)} {name} videos, got {count}; draw fewer")
        drawn |= set(random.Random(f"{seed} {name}").sample(there, count))
    return [video for video in videos if video in drawn]


def _check_manipulations(source: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    folders = _manipulations(source) if set(names) & set(_FAKE_NAMES) else []
    unknown = sorted(set(wanted) - {folder.name for folder in folders})
    if unknown:
        there = ", ".join(folder.name for folder in folders) or "no manipulation by name"
        raise ValueError(f"expected manipulations of {source}, {there}; got {', '.join(unknown)}")


def _check_videos(source: Path, videos: Sequence[Video]) -> None:
    if not videos:
        raise ValueError(f"expected labelled videos in {source}, found none; check the path")
    if not any(video.path.is_file() for video in videos):
        raise ValueError(
            f"expected the {len(videos)} videos that {source} lists, none of them is there; "
            f"the first is {videos[0].path}"
        )
    counts = Counter(video.key for video in videos)
    (_, video_id), count = counts.most_common(1)[0]
    if count > 1:
        raise ValueError(f"expected every video once in {source}, {video_id!r} is listed {count}x")


def _dfdc_folders(source: Path) -> list[Path]:
    """A part may have lost its metadata.json; its videos are then there without a label."""
    parts = sorted(path for path in source.glob(_DFDC_PARTS) if path.is_dir())
    return [*parts, *([source] if (source / "metadata.json").is_file() else [])]


def _list_dfdc(source: Path, compression: str, manipulations: Sequence[str]) -> Listing:
    videos, unlabelled = [], []
    for folder in _dfdc_folders(source):
        metadata = folder / "metadata.json"
        rows = tables.dfdc_metadata(metadata) if metadata.is_file() else []
        videos += [
            Video(folder / row.name, "dfdc", row.video_id, row.source_id, row.label) for row in rows
        ]
        listed = {row.name for row in rows}
        unlabelled += [path for path in _files(folder, "*.mp4") if path.name not in listed]
    return Listing(videos, unlabelled)


def _manipulations(source: Path) -> list[Path]:
    folder = source / "manipulated_sequences"
    return sorted(path for path in folder.glob("*") if path.is_dir())


def _sequences(data_set: str, source: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders of the originals and of the manipulations of one of the two sets."""
    dfd = data_set == "deepfakedetection"
    original = source / "original_sequences" / ("actors" if dfd else "youtube")
    originals = [original] if original.is_dir() else []
    return originals, [path for path in _manipulations(source) if (path.name == _DFD) == dfd]


def _list_sequences(
    data_set: str, source: Path, compression: str, manipulations: Sequence[str]
) -> Listing:
    originals, fakes = _sequences(data_set, source)
    if manipulations:
        fakes = [folder for folder in fakes if folder.name in manipulations]
    videos, unlabelled, empty = [], [], []
    for folder in (*originals, *fakes):
        paths = _files(folder / compression / "videos", "*.mp4")
        if not paths:
            empty.append(folder)
        pattern = (_REAL_NAMES if folder in originals else _FAKE_NAMES)[data_set]
        for path in paths:
            name = pattern.fullmatch(path.stem)
            if name is None:
                unlabelled.append(path)
            elif folder in originals:
                actor = name.groupdict().get("actor", "")
                videos.append(Video(path, data_set, path.stem, path.stem, REAL, actor))
            else:
                videos.append(_fake(data_set, path, folder, name.groupdict()))
    asked_for = [folder for folder in empty if manipulations and folder in fakes]
    if asked_for:
        raise _none_of_the_compression(compression, asked_for)
    return Listing(videos, unlabelled, empty)


def _none_of_the_compression(compression: str, folders: Sequence[Path]) -> ValueError:
    videos = [path for folder in folders for path in folder.glob("*/videos")]
    there = ", ".join(sorted({path.parent.name for path in videos} - {"masks"}))
    return ValueError(
        f"expected videos of compression {compression!r} in {', '.join(map(str, folders))}, found "
        f"{there or 'no compression at all'}; name another one"
    )


def _fake(data_set: str, path: Path, folder: Path, name: dict[str, str]) -> Video:
    actor = name.get("actor", "")
    original = f"{actor}__{name['scene']}" if actor else name["original"]
    mask = folder / "masks" / "videos" / path.name
    return Video(
        path,
        data_set,
        f"{folder.name}/{path.stem}",
        original,
        FAKE,
        actor,
        folder.name,
        mask if mask.is_file() else None,
        name["donor"],
    )


def _table(source: Path) -> Path | None:
    """The CSV of ready crops: metadata.csv, or the only one."""
    if (source / "metadata.csv").is_file():
        return source / "metadata.csv"
    found = list(source.glob("*.csv"))
    return found[0] if len(found) == 1 else None


def _list_crops(source: Path, compression: str, manipulations: Sequence[str]) -> Listing:
    images = source / "faces" if (source / "faces").is_dir() else source
    rows = tables.crops_table(_table(source))
    data_set = source.resolve().name
    videos = [
        Video(images / row.name, data_set, row.video_id, row.source_id, row.label) for row in rows
    ]
    listed = {video.path for video in videos}
    there = [
        path
        for path in _files(images, "**/*")
        if path.suffix.lower() in tables.IMAGE_ENDINGS and path not in listed
    ]
    return Listing(videos, there)


def _files(folder: Path, pattern: str) -> Iterable[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


LAYOUTS = {
    "dfdc": Layout(
        f"a metadata.json, or folders {_DFDC_PARTS}",
        lambda source: bool(_dfdc_folders(source)),
        _list_dfdc,
    ),
    "faceforensics": Layout(
        "original_sequences/youtube or manipulated_sequences/MANIPULATION",
        lambda source: any(_sequences("faceforensics", source)),
        lambda *arguments: _list_sequences("faceforensics", *arguments),
    ),
    "deepfakedetection": Layout(
        f"original_sequences/actors or manipulated_sequences/{_DFD}",
        lambda source: any(_sequences("deepfakedetection", source)),
        lambda *arguments: _list_sequences("deepfakedetection", *arguments),
    ),
    "crops": Layout(
        "a metadata.csv, or a single other CSV, of ready crops",
        lambda source: _table(source) is not None,
        _list_crops,
    ),
}
