"""Requests that TensorFlow Serving answers by itself before it lets anybody else ask.

The first request of a model takes longest. TensorFlow Serving replays those it finds beside a
model: a TFRecord file of its message `PredictionLog`
(https://www.tensorflow.org/tfx/serving/saved_model_warmup). The message is written here field by
field, for want of a package that TensorFlow 2.15 brings; a test holds it against one that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

FILE = "tf_serving_warmup_requests"
# Numbers of the fields: PredictionLog.predict_log, PredictLog.request, PredictRequest.model_spec
# and .inputs, ModelSpec.signature_name, and the two of any entry of a map.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS, _SIGNATURE_NAME, _KEY, _VALUE = 6, 1, 1, 2, 3, 1, 2


class Request(NamedTuple):
    """What a client asks.

    Attributes:
        signature: Name of the signature.
        inputs: Its inputs by name; an array of dtype object holds byte strings.
    """

    signature: str
    inputs: Mapping[str, np.ndarray]


def write(folder: Path, requests: Iterable[Request]) -> None:
    """Writes the file of requests into a model's folder `assets.extra`."""
    with tf.io.TFRecordWriter(str(folder / FILE)) as writer:
        for request in requests:
            writer.write(prediction_log(request))


def prediction_log(request: Request) -> bytes:
    """Returns a serialised `PredictionLog` of a request, without an answer."""
    fields = _field(_MODEL_SPEC, _field(_SIGNATURE_NAME, request.signature.encode()))
    for name, value in request.inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        fields += _field(_INPUTS, _field(_KEY, name.encode()) + _field(_VALUE, tensor))
    return _field(_PREDICT_LOG, _field(_REQUEST, fields))


def _field(number: int, content: bytes) -> bytes:
    """Returns a field of Protocol Buffers that has a length: a text or a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
