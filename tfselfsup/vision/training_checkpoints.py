"""Checkpoints of a training: after every epoch, and the best by the validation."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from tfselfsup.models import checkpoints
from tfselfsup.models.checkpoints import STATE, TENSORS, damage_named
from tfselfsup.runs import RunDirectory, written_aside
from tfselfsup.vision.training_model import MultiTaskModel


@dataclass(frozen=True)
class State:
    """What a checkpoint is of.

    Attributes:
        epoch: Epochs finished.
        loss: The deciding loss on the validation data; None without such data.
    """

    epoch: int = 0
    loss: float | None = None


class Checkpointer(tf.keras.callbacks.Callback):
    """Saves the network and the optimiser after every epoch, and keeps the newest only.

    Where there are validation data, the network of the epoch with the lowest deciding loss on them
    is kept as well; of equal ones the earlier.
    """

    def __init__(self, run: RunDirectory, model: MultiTaskModel):
        """Takes what is to be saved.

        Args:
            run: Where to.
            model: Compiled.
        """
        super().__init__()
        self._run = run
        # Without slots there would be nothing to read a checkpoint into.
        model.optimizer.build(model.network.trainable_variables)
        self._all = tf.train.Checkpoint(network=model.network, optimizer=model.optimizer)
        self._network = tf.train.Checkpoint(network=model.network)
        self._deciding = f"val_{model.deciding_loss}"

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        """Saves. The best comes first: a kill in between costs an epoch, but no best network."""
        state = State(epoch + 1, logs.get(self._deciding))
        checkpoint = self._run.checkpoint(state.epoch)
        if state.loss is not None and state.loss < self._best_loss():
            with written_aside(self._run.best) as folder:
                _write(folder, self._network, state)
        with written_aside(checkpoint) as folder:
            _write(folder, self._all, state)
        self._run.keep_checkpoints(1)

    def restore(self) -> State:
        """Reads the newest checkpoint, if there is one.

        Returns:
            Where the run is; its beginning without a checkpoint.

        Raises:
            ValueError: If the checkpoint cannot be read, or is of another network.
        """
        saved = self._run.checkpoints()
        if not saved:
            return State()
        with damage_named(saved[-1]):
            # Partial only in that TensorFlow is not to list what is missing on top of the error.
            status = self._all.read(str(saved[-1] / TENSORS)).expect_partial()
            status.assert_consumed()
            return read_state(saved[-1])

    def _best_loss(self) -> float:
        best = self._run.best
        return read_state(best).loss if best.exists() else float("inf")


def read_state(checkpoint: Path) -> State:
    """Reads what a checkpoint is of.

    Raises:
        ValueError: If it cannot be read.
    """
    with damage_named(checkpoint):
        return State(**checkpoints.read_state(checkpoint))


def load_weights(network: tf.keras.Model, checkpoint: Path) -> None:
    """Reads the network's weights of a checkpoint.

    Args:
        network: Receives them; has the same trunk and heads as the one that was trained.
        checkpoint: The folder, such as `RunDirectory.chosen_checkpoint` returns.

    Raises:
        ValueError: If its weights cannot be read, or do not fit.
    """
    checkpoints.load_weights(checkpoint, network=network)


def _write(folder: Path, tensors: tf.train.Checkpoint, state: State) -> None:
    folder.mkdir(parents=True)
    tensors.write(str(folder / TENSORS))
    (folder / STATE).write_text(json.dumps(dataclasses.asdict(state)))
