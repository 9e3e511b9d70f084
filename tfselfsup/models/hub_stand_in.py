"""A small TF-Hub module with BigBiGAN's signatures and random weights.

It stands in where the published module is out of reach: every step that reads one can be run, while
what comes of it says nothing about BigBiGAN. A file in the module marks it, so that nobody takes
one for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from tfselfsup.runs import written_aside

LATENT_WIDTH = 120
_ENCODER_SIDE = 256  # pixels
_GENERATOR_SIDE = 128  # pixels
_MARKER = Path("assets.extra") / "STAND_IN"
# The message by which TensorFlow Hub knows its first format: its field 1 has the value 3.
_FORMAT_FILE, _FORMAT = "tfhub_module.pb", b"\x08\x03"


def is_stand_in(directory: str | Path) -> bool:
    """Tells whether the module in a directory was written by `write_stand_in`."""
    return (Path(directory) / _MARKER).is_file()


def write_stand_in(directory: str | Path, feature_width: int = 64, seed: int = 0) -> None:
    """Writes a module in TF-Hub's first format, which BigBiGAN was published in.

    Its signatures are `encode`, `generate`, `discriminate` and `default`, with BigBiGAN's names and
    shapes.

    Args:
        directory: To write to. A stand-in that is there is replaced.
        feature_width: Width of `avepool_feat`; `bn_crelu_feat` is twice as wide.
        seed: Of the weights. Same seed and width, same weights.

    Raises:
        ValueError: If something else is there, or a width is not positive.
    """
    directory = Path(directory)
    if feature_width < 1:
        raise ValueError(f"expected a positive feature_width, got {feature_width}")
    if directory.exists() and not is_stand_in(directory):
        raise ValueError(
            f"expected no directory or a stand-in at '{directory}', got something else; "
            "name another directory"
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(directory) as aside:
        _write_graph(aside, feature_width, seed)
        (aside / _FORMAT_FILE).write_bytes(_FORMAT)
        (aside / _MARKER).parent.mkdir()
        (aside / _MARKER).write_text("Random weights, in the format of BigBiGAN's module.\n")


def _write_graph(directory: Path, feature_width: int, seed: int) -> None:
    # The first format knows graphs and sessions only.
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        layers = _Layers(seed)
        x = v1.placeholder(tf.float32, (None, _ENCODER_SIDE, _ENCODER_SIDE, 3))
        small_x = v1.placeholder(tf.float32, (None, _GENERATOR_SIDE, _GENERATOR_SIDE, 3))
        z = v1.placeholder(tf.float32, (None, LATENT_WIDTH))
        encoded = _encode(layers, x, feature_width)
        signatures = {
            "default": ({"x": x}, {"default": encoded["default"]}),
            "encode": ({"x": x}, encoded),
            "generate": ({"z": z}, _generate(layers, z)),
            "discriminate": ({"x": small_x, "z": z}, _discriminate(layers, small_x, z)),
        }
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            tags=[],  # by which TF-Hub's first format knows the graph that does not train
            signature_def_map={
                name: v1.saved_model.build_signature_def(_described(inputs), _described(outputs))
                for name, (inputs, outputs) in signatures.items()
            },
        )
        builder.save()


def _described(tensors: Mapping[str, tf.Tensor]) -> dict[str, TensorInfo]:
    return {
        name: TensorInfo(
            name=tensor.name,
            dtype=tensor.dtype.as_datatype_enum,
            tensor_shape=tensor.shape.as_proto(),
        )
        for name, tensor in tensors.items()
    }


class _Layers:
    """Makes layers; their weights depend on the seed and on how many were made before only."""

    def __init__(self, seed: int):
        self._seed = seed
        self._made = 0

    def _kernel(self, shape: tuple[int, ...]) -> tf.Tensor:
        self._made += 1
        fan_in = tf.math.reduce_prod(shape[:-1])
        values = tf.random.stateless_normal(shape, (self._seed, self._made))
        initial = values * tf.math.rsqrt(tf.cast(fan_in, tf.float32) / 2.0)
        return tf.compat.v1.get_variable(f"kernel_{self._made}", initializer=initial)

    def convolution(self, x: tf.Tensor, filters: int, side: int, stride: int = 1) -> tf.Tensor:
        kernel = self._kernel((side, side, x.shape[-1], filters))
        return tf.nn.conv2d(x, kernel, stride, "SAME")

    def dense(self, x: tf.Tensor, units: int) -> tf.Tensor:
        return x @ self._kernel((x.shape[-1], units))


def _encode(layers: _Layers, x: tf.Tensor, feature_width: int) -> dict[str, tf.Tensor]:
    for filters, side, stride in ((16, 7, 4), (24, 3, 2), (32, 3, 2), (feature_width, 3, 2)):
        x = tf.nn.relu(layers.convolution(x, filters, side, stride))
    average = tf.reduce_mean(x, axis=(1, 2))
    # Every feature around zero, for want of the moments that training would have collected.
    centred = average - tf.reduce_mean(average, axis=1, keepdims=True)
    mean = layers.dense(average, LATENT_WIDTH)
    deviation = tf.nn.softplus(layers.dense(average, LATENT_WIDTH))
    return {
        "avepool_feat": average,
        "bn_crelu_feat": tf.nn.relu(tf.concat((centred, -centred), axis=1)),
        "default": tf.identity(mean),
        "z_mean": mean,
        "z_stdev": deviation,
        "z_sample": mean + deviation * tf.random.normal(tf.shape(mean)),
    }


def _generate(layers: _Layers, z: tf.Tensor) -> dict[str, tf.Tensor]:
    x = tf.reshape(tf.nn.relu(layers.dense(z, 8 * 8 * 8)), (-1, 8, 8, 8))
    x = tf.nn.relu(layers.convolution(tf.repeat(tf.repeat(x, 4, 1), 4, 2), 8, 3))
    x = tf.tanh(layers.convolution(tf.repeat(tf.repeat(x, 4, 1), 4, 2), 3, 3))
    return {"default": x, "upsampled": tf.repeat(tf.repeat(x, 2, 1), 2, 2)}


def _discriminate(layers: _Layers, x: tf.Tensor, z: tf.Tensor) -> dict[str, tf.Tensor]:
    for filters in (8, 16):
        x = tf.nn.relu(layers.convolution(x, filters, 3, 4))
    seen = tf.reduce_mean(x, axis=(1, 2))
    guessed = tf.nn.relu(layers.dense(z, 16))
    both = tf.concat((seen, guessed), axis=1)
    parts = {"score_x": seen, "score_z": guessed, "score_xz": both}
    return {name: layers.dense(part, 1)[:, 0] for name, part in parts.items()}
