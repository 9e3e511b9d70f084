"""What is read of a checkpoint: a folder with TensorFlow's tensors and a state.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfselfsup.messages import one_line

TENSORS, STATE = "tensors", "state.json"


class DamagedCheckpoint(ValueError):
    """A folder that a run saved and that cannot be read; the message names it."""


def load_weights(checkpoint: Path, **models: tf.keras.Model) -> None:
    """Reads only the weights of networks.

    Args:
        checkpoint: The folder, such as `RunDirectory.chosen_checkpoint` returns.
        models: Receive them, by the names that they were saved by; of the same layers as those.

    Raises:
        DamagedCheckpoint: If its weights cannot be read, or do not fit.
    """
    reader = tf.train.Checkpoint(**models)
    with damage_named(checkpoint):
        # Optimisers and whatever else is there are of no use here.
        status = reader.read(str(checkpoint / TENSORS)).expect_partial()
        status.assert_existing_objects_matched()


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Reads what a checkpoint is of.

    Raises:
        DamagedCheckpoint: If it cannot be read.
    """
    with damage_named(checkpoint):
        state = json.loads((checkpoint / STATE).read_text())
        if not isinstance(state, dict):
            raise ValueError(f"expected a JSON object in {STATE}")
        return state


@contextmanager
def damage_named(
    folder: Path,
    damage: str = "is damaged or of another network",
    remedy: str = "delete it to go on without",
) -> Iterator[None]:
    """Turns what may go wrong with a folder's files into one line that names the folder.

    Args:
        folder: A checkpoint, or something else that a run saved.
        damage: What is wrong with it.
        remedy: What to do.

    Raises:
        DamagedCheckpoint: If a file cannot be read.
    """
    try:
        yield
    except DamagedCheckpoint:
        raise
    except (
        *(tf.errors.OpError, AssertionError, KeyError, TypeError, ValueError, OSError),
        EOFError,  # an empty array, of NumPy
    ) as error:
        reason = one_line(error)[:80]
        raise DamagedCheckpoint(f"{folder} {damage} ({reason}); {remedy}") from error
