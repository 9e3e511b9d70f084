"""Trains a network end to end, epoch by epoch, in a run that can be interrupted and repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfselfsup.config import Scalar, TrainingConfig
from tfselfsup.runs import RunDirectory
from tfselfsup.vision.training_callbacks import FiniteLoss, MetricsWriter, ProgressBar
from tfselfsup.vision.training_checkpoints import Checkpointer
from tfselfsup.vision.training_model import MultiTaskModel


class InterruptedTraining(KeyboardInterrupt):
    """Ctrl-C came; the message, one line, says where the run goes on from."""


def train(
    model: MultiTaskModel,
    train_data: Callable[[int], tf.data.Dataset],
    validation_data: tf.data.Dataset | None,
    settings: TrainingConfig,
    run: RunDirectory,
    callbacks: Sequence[tf.keras.callbacks.Callback] = (),
    *,
    hyper_parameters: Mapping[str, Scalar],
    summaries: Sequence[Callable[[], None]] = (),
) -> None:
    """Trains until the last epoch, from the newest checkpoint of the run if it has one.

    A resumed run does the same as one that was not interrupted, in float32 on the same machine,
    unless the network has dropout, whose masks begin anew.

    Args:
        model: Of a network whose weights are as they are to begin with.
        train_data: Returns the batches (frames, labels) of an epoch, counted from 0; see
            `shuffle_seed` and `training_model.frames_and_labels`.
        validation_data: Batches to measure after every epoch; None for none, and no best network.
        settings: Epochs, step size and its schedule, weight decay.
        run: Gets checkpoints, metrics.csv and TensorBoard's file.
        callbacks: More of them, which come after those that write.
        hyper_parameters: What TensorBoard sorts runs by.
        summaries: What else is written to TensorBoard after each epoch; see `MetricsWriter`.

    Raises:
        NonFiniteLossError: If a loss or a gradient becomes infinite or not a number; nothing is
            saved of that epoch.
        InterruptedTraining: If Ctrl-C comes; what was learnt since the last epoch is lost.
        ValueError: If the number of batches is not known, or a checkpoint does not fit.
    """
    steps = _steps_per_epoch(train_data(0))
    total_steps = steps * settings.epochs
    model.compile(optimizer=make_optimizer(model.network, settings, total_steps))
    checkpointer = Checkpointer(run, model)
    start = checkpointer.restore().epoch
    run.rewind_metrics(start, "epoch")
    if start >= settings.epochs:
        return
    progress_bar = ProgressBar(total_steps, start * steps)
    # The checkpoint comes after the row of its epoch: a resumed run begins with the next row.
    own = [
        FiniteLoss(run),
        MetricsWriter(run, hyper_parameters, summaries),
        checkpointer,
        progress_bar,
    ]
    epoch = start
    try:
        for epoch in range(start, settings.epochs):
            # One epoch at a time, because each has batches of its own.
            model.fit(
                train_data(epoch),
                validation_data=validation_data,
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=[*own, *callbacks],
                verbose=0,
            )
    except KeyboardInterrupt as error:
        raise InterruptedTraining(
            f"interrupted in epoch {epoch + 1} of {settings.epochs}; the same command goes on from "
            f"{'the end of epoch ' + str(epoch) if epoch else 'the beginning'}"
        ) from error
    finally:
        progress_bar.close()


def make_optimizer(
    network: tf.keras.Model, settings: TrainingConfig, total_steps: int
) -> tf.keras.optimizers.AdamW:
    """Makes AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with warm-up and cosine decay.

    Args:
        network: Whose weights decay, but not its biases and scales, which have one axis.
        settings: The largest step size, the share of all steps over which it rises to it, linearly,
            and the weight decay.
        total_steps: Steps until the step size is 0.
    """
    warm_up_steps = round(settings.warm_up * total_steps)
    schedule = tf.keras.optimizers.schedules.CosineDecay(
        # The first step is as long as the steps by which it rises: one of length 0 were wasted.
        settings.learning_rate / max(warm_up_steps, 1),
        decay_steps=max(total_steps - warm_up_steps, 1),
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up_steps,
    )
    optimizer = tf.keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay)
    flat = [variable for variable in network.trainable_variables if variable.shape.rank < 2]
    optimizer.exclude_from_weight_decay(var_list=flat)
    return optimizer


def shuffle_seed(seed: int, epoch: int) -> int:
    """Returns the seed of an epoch's order and augmentation, in [0, 2**31).

    Args:
        seed: Of the run, at least 0.
        epoch: Counted from 0.
    """
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0] >> 1)


def _steps_per_epoch(batches: tf.data.Dataset) -> int:
    steps = int(batches.cardinality())
    if steps < 1:
        raise ValueError(
            "expected training data with a known number of batches, at least 1, got "
            f"{ {0: 'none', -1: 'endless ones'}.get(steps, 'an unknown number') }; "
            "use tf.data.experimental.assert_cardinality"
        )
    return steps
