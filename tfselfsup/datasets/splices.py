"""Splices: forged images made on the spot, from photographs that come with scikit-image.

They let every program run where no face is at hand. Like many forged faces they are made by
blending a region of one picture into another and matching its colours (Li et al., "Face X-ray for
more general face forgery detection", CVPR 2020, arXiv:1912.13458), but they are easier, and show
nothing about faces.

There are eight photographs, so a split by source has eight groups: 6, 1 and 1 of them train,
validate and test at 0.75, 0.125 and 0.125. Crops of one photograph overlap, so that a random split
tests on pixels that it trained on. The region of a fake may come from a photograph of any part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from skimage import data

from tfselfsup.datasets import manifests
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import FAKE, REAL, Crop, Video
from tfselfsup.runs import written_aside

DATA_SET = "splices"
_JPEG_QUALITY = 95  # as of the faces cut out of videos

# Those of scikit-image's colour photographs that are in its wheel; others it would download.
_PHOTOGRAPHS: dict[str, Callable[[], np.ndarray]] = {
    "astronaut": data.astronaut,  # 512x512
    "chelsea": data.chelsea,  # 300x451
    "coffee": data.coffee,  # 400x600
    "hubble_deep_field": data.hubble_deep_field,  # 872x1000
    "immunohistochemistry": data.immunohistochemistry,  # 512x512
    "motorcycle": lambda: data.stereo_motorcycle()[0],  # 500x741
    # 1411x1411, of which this square has no black border; halved, or its crops would be blank.
    "retina": lambda: _resized(data.retina()[256:1156, 256:1156], 450),
    "rocket": data.rocket,  # 427x640
}
SOURCES = tuple(_PHOTOGRAPHS)
_SIDES = range(32, 257)  # the smallest photograph is 300 pixels high


class Splice(NamedTuple):
    """A real or forged image.

    Attributes:
        example_id: Its name, unique among the images of one call of `make`.
        image: uint8 [side, side, 3], RGB.
        label: `REAL` or `FAKE`.
        source_id: The photograph it is a crop of, one of `SOURCES`.
        donor: The photograph that its forged region is from; empty if it is real.
        mask: uint8 [side, side], 1 where more than half of the pixel is the donor's.
    """

    example_id: str
    image: np.ndarray
    label: int
    source_id: str
    donor: str
    mask: np.ndarray


def make(count: int, side: int, seed: int) -> Iterator[Splice]:
    """Makes images, in turn real and forged, each two from the next photograph.

    Image number i depends on i, `side` and `seed` only, so that fewer images are the first of more.

    Args:
        count: How many, at least 1; half are fakes, and if it is odd, one more is real.
        side: Height and width in pixels, in [32, 256].
        seed: The same seed makes the same images; at least 0.

    Returns:
        The images, made one by one.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if count < 1:
        raise ValueError(f"expected at least 1 splice, got count {count}; ask for more")
    if side not in _SIDES:
        raise ValueError(
            f"expected a side of {_SIDES[0]} to {_SIDES[-1]} pixels, got {side}; change it"
        )
    if seed < 0:
        raise ValueError(f"expected a seed of at least 0, got {seed}; change it")
    return (_splice(number, side, seed) for number in range(count))


def write(out: str | Path, count: int, side: int, seed: int) -> list[Video]:
    """Writes images and their manifests as the extraction does for videos; what was there goes.

    Every image is a video of its own, of the data set `splices`.

    Args:
        out: The folder of crops and manifests.
        count: As for `make`.
        side: As for `make`.
        seed: As for `make`.

    Returns:
        The images, as videos of one frame.

    Raises:
        ValueError: As `make` does.
    """
    out, folder = Path(out), Path("crops") / DATA_SET
    images = make(count, side, seed)
    (out / folder).parent.mkdir(parents=True, exist_ok=True)
    with written_aside(out / folder) as aside:
        aside.mkdir()
        written = [_written(splice, aside, folder) for splice in images]
    manifests.write_crops(out, DATA_SET, written)
    return [manifest.video for manifest in written]


def _written(splice: Splice, aside: Path, folder: Path) -> Manifest:
    content = cv2.imencode(
        ".jpg", splice.image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    )[1].tobytes()
    name = f"{splice.example_id}.jpg"
    (aside / name).write_bytes(content)
    video = Video(folder / name, DATA_SET, splice.example_id, splice.source_id, splice.label)
    side = len(splice.image)
    digest = hashlib.sha256(content).hexdigest()
    crop = Crop(str(folder / name), 0, 0.0, 0, 0, side, 1.0, 0, digest)
    # The mask is not written; it can be had from `make`.
    return Manifest(video, "done", frames=1, crops=(crop,))


def _splice(number, side, seed):
    random = np.random.default_rng([seed, number])
    pair, label = divmod(number, 2)
    source = SOURCES[pair % len(SOURCES)]
    image, alpha, donor = _crop(_photograph(source), side, random), np.zeros((side, side)), ""
    if label == FAKE:
        donor = random.choice([name for name in SOURCES if name != source]).item()
        alpha = _region(side, random)
        patch = _matched(_patch(_photograph(donor), side, random), image, alpha, random)
        blended = image + alpha[..., None] * (patch - image)
        image = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    mask = (alpha > 0.5).astype(np.uint8)
    return Splice(f"splice_{number:06d}", image, (REAL, FAKE)[label], source, donor, mask)


@cache
def _photograph(name):
    photograph = _PHOTOGRAPHS[name]()
    photograph.setflags(write=False)  # it is shared by all calls
    return photograph


def _resized(image, side):
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)


def _crop(photograph, side, random):
    """Cuts a square out, shrinks it by a factor of 1 to 2, and mirrors half of them."""
    height, width = photograph.shape[:2]
    window = random.integers(side, min(2 * side, height, width), endpoint=True)
    top = random.integers(height - window, endpoint=True)
    left = random.integers(width - window, endpoint=True)
    crop = _resized(photograph[top : top + window, left : left + window], side)
    return np.ascontiguousarray(crop[:, :: random.choice([1, -1])])


def _region(side, random):
    """Draws an irregular blob: its share of each pixel, float64 [side, side] in [0, 1]."""
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    waves = np.arange(2, 5)[:, None]
    phases = random.uniform(0, 2 * np.pi, (3, 1))
    heights = random.uniform(0, 0.2, (3, 1)) / (waves - 1)
    radius = 1 + (heights * np.cos(waves * angles + phases)).sum(axis=0)
    axes = random.uniform(0.18, 0.32, 2) * side
    centre = random.uniform(0.35, 0.65, 2) * side
    outline = centre + axes * (radius * np.stack([np.cos(angles), np.sin(angles)])).T
    alpha = np.zeros((side, side))
    cv2.fillPoly(alpha, [np.rint(outline).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(alpha, (0, 0), random.uniform(0.008, 0.02) * side)


def _patch(photograph, side, random):
    """Takes a turned and scaled square out of a photograph: uint8 [side, side, 3]."""
    height, width = photograph.shape[:2]
    centre = random.uniform(0.25, 0.75, 2) * (width, height)
    turn = cv2.getRotationMatrix2D(centre, random.uniform(-45, 45), random.uniform(0.7, 1.4))
    turn[:, 2] += side / 2 - centre
    return cv2.warpAffine(
        photograph, turn, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _matched(patch, image, alpha, random):
    """Gives the region of a patch roughly the colours of what it covers: float64 [side, side, 3].

    Without this, fakes would have more contrast than real images, and that alone would tell them
    apart.
    """
    inside = alpha > 0.5
    covered, covering = image[inside].astype(float), patch[inside].astype(float)
    # Little contrast is not blown up without limit, or it would be noise.
    contrast = np.clip(covered.std(axis=0) / (covering.std(axis=0) + 1), 0.4, 2.5)
    shift = random.normal(0, 6, 3)
    return (patch - covering.mean(axis=0)) * contrast + covered.mean(axis=0) + shift
