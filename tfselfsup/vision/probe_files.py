"""Fitted probes on disk: plain arrays, so that a file from elsewhere can run nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from tfselfsup.messages import one_line
from tfselfsup.vision.labelled_features import LabelledFeatures
from tfselfsup.vision.linear_probes import LinearProbe
from tfselfsup.vision.neighbour_probe import NearestNeighbours, NeighbourProbe
from tfselfsup.vision.probe import FittedProbe

_FILE = "probe.npz"


def save(probe: FittedProbe, folder: Path) -> None:
    """Writes a probe into a folder that exists.

    Args:
        probe: A linear probe, or a vote of neighbours with the examples that vote.
        folder: Gets one file of arrays.
    """
    np.savez(folder / _FILE, **_ARRAYS[type(probe)](probe))


def load(folder: Path) -> FittedProbe:
    """Reads a probe.

    Args:
        folder: What `save` wrote to.

    Raises:
        ValueError: If there is none, or the file is damaged.
    """
    path = folder / _FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        make = _from_neighbours if "voters" in arrays else _from_kernel
        return make(arrays)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"expected a fitted probe in {path}, got: {one_line(error)}; train the classifier again"
        ) from error


def _kernel_of(probe: LinearProbe) -> dict[str, np.ndarray]:
    return {
        "kernel": probe.kernel,
        "bias": probe.bias,
        # NaN where there is none: an array has no None.
        "strength": np.float64(np.nan if probe.strength is None else probe.strength),
        "iterations": np.int64(probe.iterations),
        "converged": np.int64(-1 if probe.converged is None else probe.converged),
        "validation_log_loss": np.float64(probe.validation_log_loss),
    }


def _from_kernel(arrays: dict[str, np.ndarray]) -> LinearProbe:
    strength, converged = float(arrays["strength"]), int(arrays["converged"])
    return LinearProbe(
        arrays["kernel"],
        arrays["bias"],
        None if np.isnan(strength) else strength,
        int(arrays["iterations"]),
        None if converged < 0 else bool(converged),
        float(arrays["validation_log_loss"]),
    )


def _neighbours_of(probe: NeighbourProbe) -> dict[str, np.ndarray]:
    return {
        "voters": probe.voters.features,
        "labels": probe.voters.labels,
        "neighbours": np.int64(probe.method.neighbours),
        "temperature": np.float64(probe.method.temperature),
        "validation_log_loss": np.float64(probe.validation_log_loss),
    }


def _from_neighbours(arrays: dict[str, np.ndarray]) -> NeighbourProbe:
    method = NearestNeighbours(int(arrays["neighbours"]), float(arrays["temperature"]))
    voters = LabelledFeatures(arrays["voters"], arrays["labels"])
    return NeighbourProbe(method, voters, float(arrays["validation_log_loss"]))


_ARRAYS = {LinearProbe: _kernel_of, NeighbourProbe: _neighbours_of}
