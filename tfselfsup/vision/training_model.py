"""One network that learns its labels and the tasks beside them, as a Keras model for `fit`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import tensorflow as tf

from tfselfsup.tasks import Task

LABEL = "label"

# Of batch normalisation's running statistics. With Keras' 0.99 more than half of them is, after 60
# steps, still that of the weights the training began with, and a network fine-tuned on few images
# looks as if it had learnt nothing. This is PyTorch's value.
MOST_MOMENTUM = 0.9

# The step of a training is never negative, so that no training example is asked with this seed.
_TEST_STEP = -1


class MultiTaskModel(tf.keras.Model):
    """Minimises the class loss plus w_k times the loss of every task k, in one gradient.

    The class head sees the frames as they are, and every task its own changes of the same frames,
    in a pass of its own. A single pass over all of them together would take less time, but batch
    normalisation would then mix their statistics, and what the class head sees would depend on the
    tasks: jigsaw's shuffled or colourisation's grey frames look different. For the same reason
    (Xie et al. 2020, arXiv:1911.09665, on two kinds of images in one network) the running
    statistics, which the network is used with later, are those of the unchanged frames alone. Their
    momentum is lowered to `MOST_MOMENTUM` where it is larger.

    `fit` and `evaluate` take batches (frames, labels): uint8 [B, T, H, W, C] and int [B]. Metrics
    are named `loss`, the weighted sum; `loss/label`, `accuracy/label` and, for two classes,
    `auc/label`; `loss/NAME` and `accuracy/NAME` for a task; and while training `gradient_norm`.
    They are means over all examples of an epoch; a task's over those that have an answer. Losses
    are in nats.

    Attributes:
        network: The functional model, to save, export or attribute.
        num_classes: Width of the class head; None in a pre-training.
    """

    def __init__(
        self,
        network: tf.keras.Model,
        tasks: Mapping[str, Task],
        weights: Mapping[str, float],
        *,
        seed: int,
        pretrain: bool = False,
    ):
        """Puts losses and metrics beside a network.

        Args:
            network: From uint8 [B, T, H, W, C] to a dict of float32 outputs: logits `label`
                [B, num_classes], and what the head of each task answers, by the task's name.
            tasks: Tasks by name.
            weights: The factor of each task's loss, by the same names.
            seed: Seed of the tasks' transforms; the number of the step is the other half.
            pretrain: Learn the tasks alone. Labels are then not needed, and neither is their head.

        Raises:
            ValueError: If nothing is to be learnt, a head is missing, the weights are not those of
                the tasks or negative, or a task cannot be asked on such frames.
        """
        super().__init__()
        _check_heads(network, tasks if pretrain else (LABEL, *tasks))
        _check_weights(tasks, weights)
        for task in tasks.values():
            task.check(network.input_shape[1:])
        for layer in network.submodules:
            if isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.momentum = min(layer.momentum, MOST_MOMENTUM)
        self.network = network
        self.num_classes = None if pretrain else network.output_shape[LABEL][-1]
        # Keras would wrap a dict in one that does not take every mapping.
        self._questions = tuple((name, task, float(weights[name])) for name, task in tasks.items())
        self._seed = seed
        self._gradient_norm = tf.keras.metrics.Mean("gradient_norm")
        self._measured = _make_metrics(tasks, self.num_classes)

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """All metrics, which `fit` resets at the beginning of an epoch."""
        return [*self._measured.values(), self._gradient_norm]

    @property
    def deciding_loss(self) -> str:
        """Name of the metric that tells how good the network is: the classes', if it has them."""
        return "loss" if self.num_classes is None else f"loss/{LABEL}"

    def call(self, frames: tf.Tensor, training: bool | None = None) -> dict[str, tf.Tensor]:
        """Returns the network's outputs."""
        return self.network(frames, training=training)

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """Takes one step on the weighted sum of all losses."""
        frames, labels = _frames_and_labels(data)
        with tf.GradientTape() as tape:
            loss = self._measure(frames, labels, self.optimizer.iterations, training=True)
        variables = self.network.trainable_variables
        gradients = tape.gradient(loss, variables)
        self._gradient_norm.update_state(tf.linalg.global_norm(gradients))
        # Nothing reaches the head that is not asked, or what only its feature goes through.
        reached = [pair for pair in zip(gradients, variables, strict=True) if pair[0] is not None]
        self.optimizer.apply_gradients(reached)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data) -> dict[str, tf.Tensor]:
        """Measures everything, with the same questions for a batch at every call."""
        frames, labels = _frames_and_labels(data)
        self._measure(frames, labels, _TEST_STEP, training=False)
        return {name: metric.result() for name, metric in self._measured.items()}

    def _measure(self, frames, labels, step, training: bool) -> tf.Tensor:
        """Measures every loss, and returns the weighted sum, a scalar."""
        loss = tf.constant(0.0)
        if self.num_classes is not None:
            loss += self._label_loss(frames, labels, training)
        running = self._running_statistics() if training and self.num_classes else []
        kept = [variable.read_value() for variable in running]
        seed = tf.stack([self._seed, tf.cast(step, tf.int32)])
        for name, task, weight in self._questions:
            # By its name, so that a task asks the same questions whatever stands beside it.
            its_seed = tf.random.experimental.stateless_fold_in(seed, _number(name))
            loss += weight * self._task_loss(name, task, frames, its_seed, training)
        for variable, value in zip(running, kept, strict=True):
            variable.assign(value)
        self._measured["loss"].update_state(loss, tf.shape(frames)[0])
        return loss

    def _label_loss(self, frames, labels, training: bool) -> tf.Tensor:
        logits = self.network(frames, training=training)[LABEL]
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        self._measured[f"loss/{LABEL}"].update_state(losses)
        self._measured[f"accuracy/{LABEL}"].update_state(labels, logits)
        if self.num_classes == 2:
            self._measured[f"auc/{LABEL}"].update_state(labels, tf.nn.softmax(logits)[:, 1])
        return tf.reduce_mean(losses)

    def _task_loss(self, name: str, task: Task, frames, seed, training: bool) -> tf.Tensor:
        examples = task.transform(frames, seed)
        outputs = self.network(examples.frames, training=training)[name]
        answered = tf.reduce_sum(examples.weights)
        loss = tf.math.divide_no_nan(tf.reduce_sum(task.loss(outputs, examples)), answered)
        self._measured[f"loss/{name}"].update_state(loss, answered)
        answerable = tf.math.count_nonzero(examples.weights > 0, dtype=tf.float32)
        for metric, value in task.metrics(outputs, examples).items():
            self._measured[f"{metric}/{name}"].update_state(value, answerable)
        return loss

    def _running_statistics(self) -> list[tf.Variable]:
        # Not `non_trainable_variables`: in a frozen layer these are the kernels as well.
        return [variable for variable in self.network.variables if not variable.trainable]


def frames_and_labels(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Turns the batches of a data set of images into those that `MultiTaskModel` takes.

    Args:
        batches: With `image` uint8 [B, H, W, C] and `label` int64 [B].

    Returns:
        Pairs of frames uint8 [B, 1, H, W, C], and labels.
    """
    return batches.map(lambda batch: (batch["image"][:, tf.newaxis], batch["label"]))


def _frames_and_labels(data) -> tuple[tf.Tensor, tf.Tensor | None]:
    frames, labels, _ = tf.keras.utils.unpack_x_y_sample_weight(data)
    return frames, labels


def _number(name: str) -> int:
    return zlib.crc32(name.encode()) & 0x7FFFFFFF


def _make_metrics(
    tasks: Mapping[str, Task], num_classes: int | None
) -> dict[str, tf.keras.metrics.Metric]:
    metrics = [tf.keras.metrics.Mean("loss")]
    if num_classes is not None:
        metrics.append(tf.keras.metrics.Mean(f"loss/{LABEL}"))
        metrics.append(tf.keras.metrics.SparseCategoricalAccuracy(f"accuracy/{LABEL}"))
    if num_classes == 2:
        metrics.append(tf.keras.metrics.AUC(name=f"auc/{LABEL}"))
    for name, task in tasks.items():
        measured = ("loss", *task.metric_names)
        metrics += [tf.keras.metrics.Mean(f"{metric}/{name}") for metric in measured]
    return {metric.name: metric for metric in metrics}


def _check_heads(network: tf.keras.Model, wanted) -> None:
    if not wanted:
        raise ValueError("expected at least one task to pre-train with, got none; name a task")
    heads = list(network.output_shape)
    missing = [name for name in wanted if name not in heads]
    if missing:
        raise ValueError(
            f"expected a network with the heads {', '.join(wanted)}, got one with "
            f"{', '.join(heads)}; add {', '.join(missing)}"
        )


def _check_weights(tasks: Mapping[str, Task], weights: Mapping[str, float]) -> None:
    if set(weights) != set(tasks):
        raise ValueError(
            f"expected a weight for each task, {', '.join(tasks) or 'none'}, got weights for "
            f"{', '.join(weights) or 'none'}; give every task one"
        )
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"expected a weight of at least 0 for task '{name}', got {weight}")
