"""SavedModels in TensorFlow Serving's layout, which load with TensorFlow alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfselfsup.serving import layout, warm_up


def save(
    folder: Path,
    signatures: Mapping[str, tf.types.experimental.GenericFunction],
    model: tf.keras.Model,
    description: Mapping[str, Any],
    files: Iterable[Path],
    requests: Iterable[warm_up.Request],
) -> None:
    """Writes a SavedModel.

    Args:
        folder: To write to, that must not be there.
        signatures: For each name a function with an input signature, which returns a dict.
        model: What the functions call.
        description: What the model is; becomes `model.json` in the folder `assets.extra`.
        files: Copied there.
        requests: For warming up.
    """
    root = tf.Module()
    root.kept = _kept(model)
    tf.saved_model.save(
        root,
        str(folder),
        {name: function.get_concrete_function() for name, function in signatures.items()},
    )
    extras = folder / layout.EXTRAS
    extras.mkdir()
    (extras / layout.DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n")
    for file in files:
        (extras / file.name).write_bytes(file.read_bytes())
    warm_up.write(extras, requests)


def check(folder: Path) -> None:
    """Makes sure that a folder holds a SavedModel, without loading it.

    Raises:
        ValueError: If what is there is damaged.
    """
    path, found = folder / "saved_model.pb", saved_model_pb2.SavedModel()
    try:
        found.ParseFromString(path.read_bytes())
    except DecodeError:
        pass
    if not found.meta_graphs:
        raise ValueError(
            f"expected a SavedModel in {path}, got something else; export it again with "
            "bin/export_model"
        )


def _kept(model: tf.keras.Model) -> list[Any]:
    """Lists what functions that call a model need: its variables, and loaded modules inside it.

    Keras' own objects are left out. They would be written with functions of their own for every
    layer, which nobody asks for.
    """
    nodes = tf.train.TrackableView(model).descendants()
    return [node for node in nodes if isinstance(node, tf.Variable) or hasattr(node, "signatures")]
