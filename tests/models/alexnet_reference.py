"""Weights and pictures that the reference in PyTorch and the test of this package's AlexNet share.

Weights of a whole AlexNet are 240 MB, so they are made by rule rather than kept in a file.
"""

import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("alexnet_reference.json")
CHECKPOINTS = Path(__file__).with_name("checkpoints")
# Widths of the convolutions and of the dense layers: those published, and an eighth.
WIDTHS = {"thin": ((8, 24, 48, 32, 32), 64), "full": ((64, 192, 384, 256, 256), 4096)}
KERNELS = (11, 5, 3, 3, 3)
FEATURES = ("map", "fc6", "pooled")


def pictures():
    """Two pictures of coloured squares, uint8 [2, 224, 224, 3]."""
    squares = np.random.default_rng(1).integers(0, 256, (2, 14, 14, 3), np.uint8)
    return squares.repeat(16, axis=1).repeat(16, axis=2)


def _shapes(layout, width):
    """Names in the checkpoint and shapes of kernels, in order."""
    convolutions, dense = WIDTHS[width]
    places = {"alexnet": (0, 3, 6, 8, 10), "alexnet_bn": (0, 2, 4, 5, 6)}[layout]
    before = 3
    for place, filters, kernel in zip(places, convolutions, KERNELS, strict=True):
        name = f"features.{place}" if layout == "alexnet" else f"_feature_blocks.{place}.0"
        yield name, (filters, before, kernel, kernel)
        before = filters
    names = ("classifier.1", "classifier.4")
    if layout == "alexnet_bn":
        names = ("_feature_blocks.8.1", "_feature_blocks.8.4")
    yield names[0], (dense, before * 36)
    yield names[1], (dense, dense)


def weights(layout, width):
    """A checkpoint's tensors by name, such that features neither fade nor grow."""
    rng = np.random.default_rng(0)
    tensors = {}

    def between(low, high, shape):
        return (low + (high - low) * rng.random(shape, np.float32)).astype(np.float32)

    for name, shape in _shapes(layout, width):
        bound = np.sqrt(6 / np.prod(shape[1:]))
        tensors[f"{name}.weight"] = between(-bound, bound, shape)
        if layout == "alexnet" or len(shape) == 4:
            tensors[f"{name}.bias"] = between(-0.2, 0.2, shape[0])
        if layout == "alexnet_bn":
            *block, place = name.split(".")
            norm = ".".join([*block, str(int(place) + 1)])
            tensors[f"{norm}.weight"] = between(0.5, 1.5, shape[0])
            tensors[f"{norm}.bias"] = between(-0.3, 0.3, shape[0])
            tensors[f"{norm}.running_mean"] = between(-0.5, 0.5, shape[0])
            tensors[f"{norm}.running_var"] = between(0.5, 1.5, shape[0])
    return tensors


def excerpt(feature):
    """What is kept of a feature [2, ...], channels last: some values, and the norm of all."""
    flat = np.asarray(feature, np.float64).reshape(2, -1)
    places = np.linspace(0, flat.shape[1] - 1, 32).astype(int)
    return {
        "values": flat[:, places].tolist(),
        "norms": np.linalg.norm(flat, axis=1).tolist(),
    }


def kept():
    """The reference: by layout, width and feature, what `excerpt` gave of PyTorch's."""
    return json.loads(FILE.read_text())
