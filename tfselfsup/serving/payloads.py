"""What clients send to a served model: checked and decoded, each by itself, before it is batched.

The JSON is that of TensorFlow Serving (https://www.tensorflow.org/tfx/serving/api_rest, row
format), so that a client need not know which of both answers: `{"instances": [{"image_bytes":
{"b64": "..."}}]}`, or, as there is one input only, `{"instances": [{"b64": "..."}]}`.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfselfsup.datasets.labelled_images import decoded
from tfselfsup.serving.layout import BYTES, FRAMES

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 50_000_000  # of an image; a small file can unfold to more than there is memory


class Refused(Exception):
    """A request that is not answered.

    Attributes:
        status: Of HTTP, 4xx.
        reason: In one line, for the client.
    """

    def __init__(self, status: int, reason: str):
        """Takes what the client is told."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


def instances(body: bytes, most: int) -> list[Any]:
    """Reads the instances of a request in JSON.

    Args:
        body: Of the request.
        most: Instances that are allowed.

    Raises:
        Refused: If the body is something else.
    """
    try:
        found = json.loads(body)["instances"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(400, 'expected JSON such as {"instances": [...]}') from error
    if not isinstance(found, list) or not 0 < len(found) <= most:
        count = len(found) if isinstance(found, list) else type(found).__name__
        raise Refused(400, f"expected a list of 1 to {most} instances, got {count}")
    return found


def image_of(instance: Any) -> bytes:
    """Reads the file of an instance.

    Raises:
        Refused: If it is none in base64.
    """
    value = instance.get(BYTES, instance) if isinstance(instance, Mapping) else instance
    encoded = value.get("b64") if isinstance(value, Mapping) else None
    try:
        return base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise Refused(
            400, f'expected an image as {{"{BYTES}": {{"b64": "..."}}}}, in base64'
        ) from error


def decoded_image(content: bytes, side: int, channels: int) -> np.ndarray:
    """Decodes a file, and scales it as the model itself would.

    Args:
        content: JPEG or PNG.
        side: Height and width of the result, in pixels.
        channels: Of the result.

    Returns:
        uint8 [side, side, channels].

    Raises:
        Refused: If it cannot be decoded, or is too large.
    """
    try:
        height, width = _size(content)
        if height * width > MOST_PIXELS:
            raise Refused(
                413, f"expected an image of at most {MOST_PIXELS} pixels, got {width}x{height}"
            )
        return decoded(content, side, channels).numpy()
    except (tf.errors.InvalidArgumentError, struct.error) as error:
        raise Refused(400, "the image is damaged and cannot be decoded") from error


def _size(content: bytes) -> tuple[int, int]:
    """Reads height and width off a file's header, before memory is taken for its pixels."""
    if content.startswith(_JPEG):
        height, width, _ = tf.io.extract_jpeg_shape(content).numpy()
        return int(height), int(width)
    if content.startswith(_PNG):
        width, height = struct.unpack_from(">II", content, 16)
        return height, width
    raise Refused(400, f"expected a JPEG or PNG file, got {len(content)} bytes of something else")


def frames_of(instance: Any, shape: Sequence[int]) -> np.ndarray:
    """Reads the frames of an instance.

    Args:
        instance: Nested lists of whole numbers from 0 to 255, or these as `frames`.
        shape: (H, W, T*C) that is expected.

    Returns:
        uint8, of this shape.

    Raises:
        Refused: If it is something else.
    """
    value = instance.get(FRAMES) if isinstance(instance, Mapping) else instance
    expected = f"expected {FRAMES} as lists {list(shape)} of whole numbers from 0 to 255"
    try:
        frames = np.asarray(value)
    except ValueError as error:
        raise Refused(400, f"{expected}, got lists of several lengths") from error
    if frames.shape != tuple(shape) or frames.dtype.kind != "i":
        raise Refused(400, f"{expected}, got {frames.dtype} {list(frames.shape)}")
    if frames.min() < 0 or frames.max() > 255:
        raise Refused(400, f"{expected}, got {frames.min()} to {frames.max()}")
    return frames.astype(np.uint8)
