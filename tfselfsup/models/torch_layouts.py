"""How PyTorch's names and orders of axes become those of this package's trunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

POOL5_SIDE = 6  # height and width of the map that AlexNet's first dense layer reads

Arrays = list[np.ndarray]
Tensors = Mapping[str, np.ndarray]


def _convolution(tensors: Tensors, name: str) -> Arrays:
    """OIHW to HWIO."""
    return [tensors[f"{name}.weight"].transpose(2, 3, 1, 0), tensors[f"{name}.bias"]]


def _dense(tensors: Tensors, name: str) -> Arrays:
    """[out, in] to [in, out]; the bias where there is one."""
    return [tensors[f"{name}.weight"].T, *_bias(tensors, name)]


def _dense_on_map(tensors: Tensors, name: str) -> Arrays:
    """As `_dense`; the inputs are a flattened map, channels first there and last here."""
    kernel = tensors[f"{name}.weight"]
    if kernel.ndim != 2 or kernel.shape[1] % POOL5_SIDE**2:
        raise ValueError(
            f"expected a dense layer on a map of {POOL5_SIDE}x{POOL5_SIDE} in '{name}.weight', got "
            f"shape {kernel.shape}; choose the trunk that the checkpoint is of"
        )
    maps = kernel.reshape(len(kernel), -1, POOL5_SIDE, POOL5_SIDE).transpose(2, 3, 1, 0)
    return [maps.reshape(-1, len(kernel)), *_bias(tensors, name)]


def _bias(tensors: Tensors, name: str) -> Arrays:
    return [tensors[f"{name}.bias"]] if f"{name}.bias" in tensors else []


def _batch_norm(tensors: Tensors, name: str) -> Arrays:
    """Scale, shift, mean and variance, in Keras' order."""
    return [tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]


class Source(NamedTuple):
    """Where a layer's weights are: the name before `.weight`, and what turns them."""

    name: str
    turn: Callable[[Tensors, str], Arrays]


# For each trunk, by its layers' names.
LAYOUTS: dict[str, dict[str, Source]] = {
    # torchvision.models.alexnet
    "alexnet": {
        **{
            f"conv{number}": Source(f"features.{index}", _convolution)
            for number, index in enumerate((0, 3, 6, 8, 10), 1)
        },
        "fc6": Source("classifier.1", _dense_on_map),
        "fc7": Source("classifier.4", _dense),
    },
    # architectures/AlexNet.py of github.com/gidariss/FeatureLearningRotNet
    "alexnet_bn": {
        **{
            f"{kind}{number}": Source(f"_feature_blocks.{block}.{place}", turn)
            for number, block in enumerate((0, 2, 4, 5, 6), 1)
            for place, (kind, turn) in enumerate((("conv", _convolution), ("bn", _batch_norm)))
        },
        "fc6": Source("_feature_blocks.8.1", _dense_on_map),
        "bn6": Source("_feature_blocks.8.2", _batch_norm),
        "fc7": Source("_feature_blocks.8.4", _dense),
        "bn7": Source("_feature_blocks.8.5", _batch_norm),
    },
    # No resnet50: torchvision strides in the 3x3 convolution of a block, Keras in the 1x1 before.
}


def convert(tensors: Tensors, trunk: str) -> dict[str, Arrays]:
    """Turns the tensors of a checkpoint into a trunk's weights.

    Args:
        tensors: As `torch_checkpoints.read` returns them; those of a classifier's last layer are
            left out.
        trunk: Name of a trunk.

    Returns:
        For each layer's name its arrays, as `weights.assign` takes them.

    Raises:
        ValueError: If no layout of the trunk is known, or if the checkpoint is not of it.
    """
    if trunk not in LAYOUTS:
        raise ValueError(
            f"expected a trunk among {', '.join(LAYOUTS)} for a PyTorch checkpoint, got '{trunk}'"
        )
    arrays = {}
    for layer, source in LAYOUTS[trunk].items():
        try:
            arrays[layer] = source.turn(tensors, source.name)
        except KeyError as missing:
            known = ", ".join(list(tensors)[:3])
            raise ValueError(
                f"expected a tensor {missing} in a checkpoint of '{trunk}', got {known} and so on; "
                "choose the trunk that it is of"
            ) from None
    return arrays
