"""Keras callbacks of a training: its guard, metrics.csv, TensorBoard, and the progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tqdm import tqdm

from tfselfsup.config import Scalar
from tfselfsup.runs import RunDirectory


class NonFiniteLossError(ArithmeticError):
    """A loss or its gradient became infinite or not a number."""


class FiniteLoss(tf.keras.callbacks.Callback):
    """Stops a training as soon as something it measures is infinite or not a number.

    It comes before the callbacks that write, so that nothing is saved of such an epoch.
    """

    def __init__(self, run: RunDirectory):
        """Takes the run, whose last good checkpoint the error names."""
        super().__init__()
        self._run = run
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        """Notes the epoch."""
        del logs
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        """Checks the means so far; one step that is not finite makes them so."""
        self._check(logs, f"at step {batch + 1} of epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        """Checks the validation, which is after the last step."""
        self._check(logs, f"after epoch {epoch + 1}")

    def _check(self, logs: dict[str, float], when: str) -> None:
        for name, value in logs.items():
            if not math.isfinite(value):
                good = self._run.checkpoints()
                raise NonFiniteLossError(
                    f"expected finite losses and gradients, got {name} {value} {when}; lower the "
                    f"learning rate; the last good checkpoint is {good[-1] if good else 'none'}"
                )


class MetricsWriter(tf.keras.callbacks.Callback):
    """Writes a row of metrics.csv after each epoch, and the same to TensorBoard.

    Beside what the model measures there are `epoch` and `step`, both counted over the whole run,
    the `learning_rate` of the last step, and `steps_per_second` of training without validation.
    """

    def __init__(
        self,
        run: RunDirectory,
        hyper_parameters: Mapping[str, Scalar],
        summaries: Sequence[Callable[[], None]],
    ):
        """Opens TensorBoard's file.

        Args:
            run: The run to write to.
            hyper_parameters: What TensorBoard sorts runs by.
            summaries: What else is written to TensorBoard after each epoch: they are called with
                its writer and the step as the default.
        """
        super().__init__()
        self._run = run
        self._summaries = summaries
        self._writer = tf.summary.create_file_writer(str(run.path))
        with self._writer.as_default():
            hparams.hparams(dict(hyper_parameters))
        self._started = self._ended = 0.0
        self._steps = 0

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        """Starts the clock."""
        del epoch, logs
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        """Stops the clock; the last time counts."""
        del logs
        self._steps = batch + 1
        self._ended = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        """Writes."""
        optimizer = self.model.optimizer
        step = int(optimizer.iterations.numpy())
        row = {
            "epoch": epoch + 1,
            "step": step,
            "learning_rate": float(optimizer.learning_rate),
            "steps_per_second": self._steps / (self._ended - self._started),
            **logs,
        }
        row = {name: _rounded(value) for name, value in row.items()}
        self._run.append_metrics(row)
        with self._writer.as_default(step=epoch + 1):
            for name, value in row.items():
                tf.summary.scalar(name, value)
            for summary in self._summaries:
                summary()
        self._writer.flush()


def _rounded(value: float | int) -> float | int:
    return value if isinstance(value, int) else float(f"{value:.6g}")


class ProgressBar(tf.keras.callbacks.Callback):
    """Shows how far a run is: rate, time left, losses."""

    def __init__(self, total_steps: int, step: int):
        """Opens the bar.

        Args:
            total_steps: Steps of the whole run.
            step: Where the run begins.
        """
        super().__init__()
        self._bar = tqdm(
            total=total_steps, initial=step, unit=" steps", dynamic_ncols=True, mininterval=0.5
        )
        self._validation = ""

    def on_train_batch_end(self, batch: int, logs=None) -> None:
        """Moves the bar."""
        del batch
        self._bar.set_postfix_str(f"loss={logs['loss']:.3f}{self._validation}", refresh=False)
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        """Takes over what the validation gave."""
        if "val_loss" in logs:
            self._validation = f", epoch {epoch + 1}: val_loss={logs['val_loss']:.3f}"

    def close(self) -> None:
        """Leaves the bar as it is, so that what is printed next has a line of its own."""
        self._bar.close()
