"""What one attribution leaves behind: pictures, raw maps, the two checks, a film."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfselfsup.attribution import figures, overlays, pixels, position_maps, sanity, video
from tfselfsup.attribution.questions import Answers
from tfselfsup.attribution.smoothgrad import SmoothGrad

FRAMES_PER_SECOND = 15  # agent steps of 4 frames, at the console's 60 frames per second

# tqdm's own, but for the number of digits: a batch may be worth a part of a map.
_BAR = "{percentage:3.0f}%|{bar}| {n:.1f}/{total} [{elapsed}<{remaining}, {rate_fmt}]"


def computed(maps_of: SmoothGrad, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Computes maps with a progress bar.

    Args:
        maps_of: Computes them.
        images: float32 [N, H, W, C].
        targets: int64 [N].

    Returns:
        float32 [N, H, W, C].
    """
    with tqdm(total=len(images), unit=" maps", dynamic_ncols=True, bar_format=_BAR) as bar:
        return maps_of(images, targets, bar.update)


def write_maps(
    folder: Path, frames: np.ndarray, maps: np.ndarray, names: list[str], targets: np.ndarray
) -> None:
    """Writes a picture of each map, `NUMBER_NAME.png`, and all of them raw, `maps.npz`.

    Args:
        folder: Is there.
        frames: uint8 [N, T, H, W, C].
        maps: float32 [N, H, W, T*C]; stored with the axes of the frames.
        names: Of the N examples.
        targets: int64 [N].
    """
    by_frame = pixels.by_frame(maps, frames.shape[1])
    for number, (name, frame, map_) in enumerate(zip(names, frames, by_frame, strict=True)):
        safe = re.sub(r"\W", "_", name)[-80:]
        picture = overlays.png(overlays.strip(frame, map_))
        (folder / f"{number:03d}_{safe}.png").write_bytes(picture)
    np.savez_compressed(
        folder / "maps.npz",
        frames=frames,
        maps=by_frame,
        names=np.array(names),
        targets=targets,
    )


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Writes settings.json: what the maps are of."""
    (folder / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


def write_checks(
    folder: Path,
    model: tf.keras.Model,
    maps_of: SmoothGrad,
    answers: Answers,
    explained: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Makes both checks of `sanity`; writes a table and a figure of each, and prints the figures.

    Args:
        folder: Is there.
        model: Whose gradients `maps_of` takes.
        maps_of: Computes maps.
        answers: Of the same model.
        explained: Images float32 [N, H, W, C], targets int64 [N], and their maps.
    """
    images, targets, maps = explained
    layers = sanity.randomised_layers(model, lambda: maps_of(images, targets), maps_of.seed)
    curves = sanity.deletion_and_insertion(
        lambda changed: answers.measured(changed, targets), images, maps, seed=maps_of.seed
    )
    measured = answers.question.measured
    for name, table, figure in (
        ("randomised_layers", layers, figures.randomised_layers(layers)),
        ("deletion_insertion", curves, figures.deletion_and_insertion(curves, measured)),
    ):
        table.to_csv(folder / f"{name}.csv", index=False)
        figure.savefig(folder / f"{name}.png", dpi=120)
    print(layers.to_markdown(index=False, floatfmt=".3f"))
    print(sanity.areas(curves).to_markdown(index=False, floatfmt=".3f"))


def write_game(
    path: Path, frames: np.ndarray, maps_of: SmoothGrad, answers: Answers, target: str
) -> None:
    """Films a game: the newest frame of every step, its map, and the map over it.

    The map is the largest value of all frames of a step's stack. One scale serves the whole game,
    so that it does not flicker; of a map no more is kept than what is drawn.

    Args:
        path: The mp4 to write.
        frames: uint8 [N, T, H, W, C], step by step.
        maps_of: Computes maps.
        answers: Of the same model.
        target: As for `Answers.targets`.
    """
    with tqdm(total=len(frames), unit=" steps", dynamic_ncols=True) as bar:
        maps = position_maps.by_batch(
            maps_of, frames, lambda images: answers.targets(target, images), bar.update
        )
    largest = overlays.scale_of(maps)
    pictures = (
        overlays.side_by_side(frame, map_, largest)
        for frame, map_ in zip(frames[:, -1], maps, strict=True)
    )
    video.write(path, pictures, FRAMES_PER_SECOND)
