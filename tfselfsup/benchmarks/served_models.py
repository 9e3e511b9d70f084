"""How fast a classifier answers, over HTTP and without, and whether all get their own answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tfselfsup.serving import load, served_model
from tfselfsup.serving.load import Answer, Body

MALFORMED = 10  # one request in so many
_KIND = "image/jpeg"
_OUTPUT = "logits"  # which tell images apart also where all probabilities are close to 0 or 1
_TOLERANCE = 1e-4  # of a logit, absolute and relative; what other sizes of a batch change


class Measured(NamedTuple):
    """What came of one way of asking.

    Attributes:
        seconds: In all.
        latencies: Of each image that was answered, in seconds.
        refused: Malformed requests that were answered with a reason.
        lost: Requests that were not answered, or wrongly refused or accepted.
        mixed_up: Images with an answer that is not the direct one.
        deviation: The largest difference of a logit from the direct answer, in those that are.
    """

    seconds: float
    latencies: tuple[float, ...]
    refused: int = 0
    lost: int = 0
    mixed_up: int = 0
    deviation: float = 0.0

    def row(self, how: str) -> dict[str, str]:
        """Writes a row of the table."""
        median, late = np.percentile(self.latencies or (np.nan,), (50, 95)) * 1000
        return {
            "asked": how,
            "images/s": f"{len(self.latencies) / self.seconds:.1f}",
            "median, ms": f"{median:.1f}",
            "95th percentile, ms": f"{late:.1f}",
            "refused": str(self.refused),
            "lost": str(self.lost),
            "mixed up": str(self.mixed_up),
        }


class ServingLoad:
    """Requests to a classifier, some of them malformed, and what it answers when asked directly."""

    def __init__(self, folder: Path, count: int, seed: int = 0):
        """Makes the requests and loads the model.

        Args:
            folder: Of the version of a classifier.
            count: Requests, of which one in `MALFORMED` is malformed.
            seed: Of the images, and of which requests are malformed.

        Raises:
            ValueError: If it is no classifier.
        """
        self._model = served_model.load(folder)
        if self._model.kind != "classifier":
            raise ValueError(f"expected a classifier in {folder}, got an {self._model.kind}")
        random = np.random.default_rng(seed)
        side, channels = (self._model.description[name] for name in ("side", "channels"))
        self._files = [_jpeg(random, side, channels) for _ in range(count)]
        self._is_good = np.ones(count, bool)
        # Not every tenth: with an even number of clients some would never send one.
        self._is_good[random.permutation(count)[: count // MALFORMED]] = False
        self._direct = np.zeros(0)

    @property
    def bodies(self) -> list[Body]:
        """What the clients send, in the order of the requests."""
        return [
            Body(file if is_good else _malformed(file, row), _KIND)
            for row, (file, is_good) in enumerate(zip(self._files, self._is_good, strict=True))
        ]

    def directly(self, batch_size: int) -> Measured:
        """Asks the model itself about the images of good requests, from the file to the answer.

        Args:
            batch_size: Images of a call; each waits until all of its batch are answered. With 1 the
                answers are kept, as those that others are compared with.
        """
        files = [file for file, good in zip(self._files, self._is_good, strict=True) if good]
        self._ask(files[:batch_size])  # the first call of a size takes longest
        latencies, answers = [], []
        for at in range(0, len(files), batch_size):
            begun = time.perf_counter()
            answers += self._ask(files[at : at + batch_size])
            taken = time.perf_counter() - begun
            latencies += [taken] * len(files[at : at + batch_size])
        seconds = sum(latencies[::batch_size])
        if batch_size == 1:
            self._direct = np.array(answers)
        return Measured(seconds, tuple(latencies), **self._compared(answers))

    def over_http(self, url: str, clients: int) -> Measured:
        """Asks a server from several clients at the same time; `directly(1)` comes before.

        Args:
            url: Of the model, with `:predict`.
            clients: Each waits for an answer before it asks again.
        """
        url, bodies = f"{url}?outputs={_OUTPUT}", self.bodies
        load.ask(url, bodies[: 2 * clients], clients)  # the first ones take longest
        answers, seconds = load.ask(url, bodies, clients)
        good = [answer for answer, good in zip(answers, self._is_good, strict=True) if good]
        bad = [answer for answer, good in zip(answers, self._is_good, strict=True) if not good]
        refused = sum(400 <= answer.status < 500 and "error" in answer.content for answer in bad)
        compared = self._compared([_logits(answer) for answer in good])
        compared["lost"] += len(bad) - refused
        latencies = tuple(answer.seconds for answer in good if _logits(answer) is not None)
        return Measured(seconds, latencies, refused=refused, **compared)

    def apart(self) -> float:
        """Returns how far the direct answers of the two images that are most alike are apart.

        Only what is further apart than the tolerance can be told to be mixed up.
        """
        distances = np.abs(self._direct[:, np.newaxis] - self._direct).max(-1)
        return float(distances[~np.eye(len(distances), dtype=bool)].min())

    def _ask(self, files: Sequence[bytes]) -> list[np.ndarray]:
        answers = self._model.answer([self._model.of_file(file) for file in files])
        return [answer[_OUTPUT] for answer in answers]

    def _compared(self, answers: Sequence[Sequence[float] | None]) -> dict[str, float | int]:
        """Compares answers, None for a lost one, with the direct ones of the same images."""
        lost, mixed_up, deviation = 0, 0, 0.0
        for answer, direct in zip(answers, self._direct, strict=True):
            if answer is None:
                lost += 1
            elif np.allclose(answer, direct, rtol=_TOLERANCE, atol=_TOLERANCE):
                deviation = max(deviation, float(np.abs(np.subtract(answer, direct)).max()))
            else:
                mixed_up += 1
        return {"lost": lost, "mixed_up": mixed_up, "deviation": deviation}


def _logits(answer: Answer) -> list[float] | None:
    """Reads the answer about an image; None if there is none."""
    predictions = answer.content.get("predictions", ())
    is_one = answer.status == 200 and len(predictions) == 1
    return predictions[0].get(_OUTPUT) if is_one else None


def _jpeg(random: np.random.Generator, side: int, channels: int) -> bytes:
    """Makes a file of patches of colour, a little larger than what the model looks at."""
    size = side + int(random.integers(side // 2 + 1))
    patches = random.integers(0, 256, (4, 4, channels), np.uint8)
    image = cv2.resize(patches, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", image)[1].tobytes()


def _malformed(file: bytes, row: int) -> bytes:
    """Spoils a file in one of several ways."""
    return (b"", b"no image", file[: len(file) // 2], b"\x89PNG\r\n\x1a\n" + file)[row % 4]
