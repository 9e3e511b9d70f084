"""Files of weights in Keras' HDF5 layout, matched by the names of layers."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

from tfselfsup.messages import one_line
from tfselfsup.models import trunks
from tfselfsup.runs import written_aside

CACHE = "models"  # below Keras' own folder, where Keras Applications keep their weights


def load(model: tf.keras.Model, path: str | Path) -> None:
    """Reads the weights of all layers of a model; further layers in the file are left alone.

    Args:
        model: The model. It is changed only if everything fits.
        path: A file as `Model.save_weights` or `Model.save` of Keras 2 writes it with the suffix
            `.h5`, or `save`.

    Raises:
        ValueError: If the file is missing or not of this kind, if a layer is not in it, or if a
            shape differs.
    """
    assign(model, read(path), str(path))


def read(path: str | Path) -> dict[str, list[np.ndarray]]:
    """Reads a file of weights.

    Args:
        path: As `load` takes it.

    Returns:
        The arrays of each layer that has any, in the layer's order.

    Raises:
        ValueError: If the file is missing or not of this kind.
    """
    if not Path(path).is_file():
        raise ValueError(f"expected a file of weights, but '{path}' does not exist; check the path")
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"expected an HDF5 file of Keras weights, got '{path}', which is none; a PyTorch "
            "checkpoint has to go through bin/import_torch_weights first"
        )
    try:
        with h5py.File(path, "r") as file:
            root = file
            if "layer_names" not in file.attrs and "model_weights" in file:
                root = file["model_weights"]  # of a whole saved model
            if "layer_names" not in root.attrs:
                raise ValueError(
                    f"expected Keras' layout with the attribute 'layer_names' in '{path}', which "
                    "has none; write the file with Keras 2 and a name that ends in .h5 rather "
                    "than .weights.h5"
                )
            layers = {}
            for name in map(_text, root.attrs["layer_names"]):
                names = map(_text, root[name].attrs["weight_names"])
                layers[name] = [np.asarray(root[name][weight]) for weight in names]
    except (KeyError, OSError, TypeError) as error:
        raise ValueError(
            f"expected Keras weights in '{path}', got a damaged file: {one_line(error)}"
        ) from None
    return {name: arrays for name, arrays in layers.items() if arrays}


def assign(model: tf.keras.Model, arrays: Mapping[str, Sequence[np.ndarray]], source: str) -> None:
    """Sets the weights of all layers of a model.

    Args:
        model: The model. It is changed only if everything fits.
        arrays: For each layer's name its arrays, in the layer's order.
        source: Where they are from, for messages.

    Raises:
        ValueError: If a layer's arrays are missing, or not of its shapes.
    """
    layers = [layer for layer in model.layers if layer.weights]
    missing = [layer.name for layer in layers if layer.name not in arrays]
    if missing:
        raise ValueError(
            f"expected weights of all {len(layers)} layers of '{model.name}' in {source}, got none "
            f"of {_some(missing)} (it has {_some(list(arrays))}); choose the trunk they are of"
        )
    for layer in layers:
        expected = [tuple(weight.shape) for weight in layer.weights]
        got = [np.shape(array) for array in arrays[layer.name]]
        if got != expected:
            raise ValueError(
                f"expected shapes {_shapes(expected)} for layer '{layer.name}' of '{model.name}', "
                f"got {_shapes(got)} from {source}; choose the trunk and input they are of"
            )
    for layer in layers:
        layer.set_weights(arrays[layer.name])


def save(layers: Iterable[tf.keras.layers.Layer], path: str | Path) -> None:
    """Writes the weights of layers to a file that `load`, and Keras by name, can read.

    Args:
        layers: The layers; those without weights are left out.
        path: The file, which is replaced if it is there.
    """
    weighted = [layer for layer in layers if layer.weights]
    with written_aside(Path(path)) as aside, h5py.File(aside, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in weighted]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = tf.__version__.encode()
        for layer in weighted:
            group = file.create_group(layer.name)
            # Numbered, as Keras itself gives some weights of a layer the same name.
            names = [f"{layer.name}/{index}" for index in range(len(layer.weights))]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=array)


def content_hash(model: tf.keras.Model) -> str:
    """Names the weights of a model by their content.

    Args:
        model: The model.

    Returns:
        SHA-256, in hexadecimal digits, over layer names, shapes, types and bytes of all weights.
        The order in which layers were made does not matter.
    """
    digest = hashlib.sha256()
    for layer in sorted(model.layers, key=lambda layer: layer.name):
        for index, array in enumerate(layer.get_weights()):
            digest.update(f"{layer.name}/{index} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def resolve(trunk_name: str, weights: str | Path) -> Path | None:
    """Finds the file that a setting of weights means.

    Args:
        trunk_name: Name of a trunk.
        weights: `random`, `imagenet` or a path. What `imagenet` means is taken from Keras' cache,
            and is downloaded if it is not there.

    Returns:
        An existing file, or None for random weights.

    Raises:
        ValueError: If there is no such trunk or file, or if it cannot be downloaded.
    """
    trunk = trunks.get(trunk_name)
    if weights == "random":
        return None
    if weights != "imagenet":
        if not Path(weights).is_file():
            raise ValueError(
                f"expected weights 'random', 'imagenet' or a file, got '{weights}', which does not "
                f"exist; check the path{_instead(trunk_name, weights)}"
            )
        return Path(weights)
    if trunk.imagenet is None:
        raise ValueError(
            f"expected weights 'random' or a file for trunk '{trunk_name}', got 'imagenet', which "
            f"nobody published for Keras; give a path{_instead(trunk_name, 'FILE.h5')}"
        )
    return _downloaded(trunk_name, trunk.imagenet)


def _instead(trunk_name: str, file: str | Path) -> str:
    """Says what else to do for want of a file: where weights are to be had, and how they get in."""
    trunk = trunks.get(trunk_name)
    if trunk.pytorch is not None:
        out = shlex.quote(str(file)) if Path(file).suffix == ".h5" else "FILE.h5"
        return (
            f", or make the file: take {trunk.pytorch.file}, which {trunk.pytorch.url} has or "
            f"links to, and run bin/import_torch_weights {trunk.pytorch.file} "
            f"--trunk {trunk_name} --out {out}"
        )
    if trunk.imagenet is not None:
        return f", or give 'imagenet' for those of {trunk.imagenet.url}"
    return ""


def _downloaded(trunk_name: str, published: trunks.Published) -> Path:
    """Asks Keras for a file, which takes it from its cache if it is there."""
    try:
        return Path(
            tf.keras.utils.get_file(
                published.file, published.url, cache_subdir=CACHE, file_hash=published.md5
            )
        )
    except Exception as error:  # Keras raises nothing more special than that
        cached = Path(os.path.expanduser("~"), ".keras", CACHE, published.file)
        raise ValueError(
            f"expected to download the weights of '{trunk_name}' from {published.url}, got: "
            f"{one_line(error)}; put the file at {cached}, or give the path of a copy instead of "
            "'imagenet'"
        ) from error


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _some(names: Sequence[str]) -> str:
    """Lists at most three names."""
    listed = ", ".join(f"'{name}'" for name in names[:3]) or "nothing"
    return listed + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _shapes(shapes: Iterable[Sequence[int]]) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes) or "none"
