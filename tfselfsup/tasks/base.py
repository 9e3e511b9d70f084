"""What a self-supervised task is: a question about frames whose answer comes free with them."""

import abc
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class Examples(NamedTuple):
    """A batch of questions with their answers.

    Attributes:
      frames: uint8 [B, T, H, W, C], what the network sees.
      targets: [B, ...], what it has to say; for a classification task the class, int32 [B].
      weights: float32 [B]; 0 where the question has no answer.
    """

    frames: tf.Tensor
    targets: tf.Tensor
    weights: tf.Tensor


class Task(abc.ABC):
    """A self-supervised task on stacks of frames (Atari: T=4, C=1; a photo: T=1, C=3).

    A subclass has a file of its own in this folder, whose name is the name of the task.

    Attributes:
      min_frames: the fewest frames T the task can work with.
      square: whether height and width must be equal.
      is_random: whether `transform` depends on its seed.
      metric_names: the keys of `metrics`, known before there are any examples.
    """

    min_frames: int = 1
    square: bool = False
    is_random: bool = True
    metric_names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name by which `tasks.get` finds the task: that of its module."""
        return type(self).__module__.rpartition(".")[2]

    def check_option(self, option: str, value: object, is_valid: bool, expected: str) -> None:
        """Checks an option of the task.

        Args:
          option: its name.
          value: what it was set to.
          is_valid: whether the task can work with that.
          expected: what it may be set to.

        Raises:
          ValueError: it is not valid.
        """
        if not is_valid:
            raise ValueError(
                f"option {option!r} of task {self.name!r} must be {expected}, got {value!r}"
            )

    def check(self, frame_shape: Sequence[int]) -> None:
        """Checks that the task can be asked on frames of this shape.

        Args:
          frame_shape: (T, H, W, C), the shape of one example.

        Raises:
          ValueError: the shape is not completely known, or not what the task needs.
        """
        shape = tuple(frame_shape)
        if len(shape) != 4 or None in shape:
            raise ValueError(
                f"task {self.name!r} needs frames of a known shape (T, H, W, C), got {shape}; "
                "give all frames one size and stack them"
            )
        num_frames, height, width, _ = shape
        if num_frames < self.min_frames:
            raise ValueError(
                f"task {self.name!r} needs at least {self.min_frames} frames per example, "
                f"got {num_frames}; stack {self.min_frames} frames or choose another task"
            )
        if self.square and height != width:
            raise ValueError(
                f"task {self.name!r} needs square frames, got height {height} and width {width}; "
                "crop or resize the frames to a square"
            )

    def check_batch(self, frames: tf.Tensor) -> None:
        """Checks that the task can be asked on this batch.

        Args:
          frames: what `transform` is given.

        Raises:
          ValueError: the frames are not uint8, or their shape is not what the task needs.
        """
        if frames.dtype != tf.uint8:
            raise ValueError(
                f"task {self.name!r} needs uint8 frames, got {tf.as_dtype(frames.dtype).name}; "
                "hand over the frames before they are scaled"
            )
        self.check(frames.shape[1:])

    @abc.abstractmethod
    def transform(self, frames: tf.Tensor, seed: tf.Tensor) -> Examples:
        """Asks the task's question: changes frames at random and notes the answer.

        A pure function: works eagerly, in a tf.function and in tf.data, and gives the same examples
        for the same frames and seed.

        Args:
          frames: uint8 [B, T, H, W, C]; B may be unknown, the other sizes are known.
          seed: int32 [2], for TensorFlow's stateless random numbers.

        Returns:
          The examples; their frames keep rank, dtype and C.

        Raises:
          ValueError: the frames are not what the task needs; see `check_batch`.
        """

    @abc.abstractmethod
    def head(self) -> tf.keras.layers.Layer:
        """Makes a fresh layer that answers the question from the features of a trunk.

        Returns:
          A layer whose attribute `reads` says what it takes from the trunk: 'pooled' for [B, d] or
          'map' for [B, h, w, c]. Its output is float32, under a mixed precision policy too.
        """

    @abc.abstractmethod
    def loss(self, outputs: tf.Tensor, examples: Examples) -> tf.Tensor:
        """Measures how wrong the answers are.

        Args:
          outputs: the head's output for `examples.frames`.
          examples: what `transform` returned.

        Returns:
          float32 [B], the loss of every example already multiplied by its weight. The loss to
          minimise is their sum, divided by the sum of the weights.
        """

    @abc.abstractmethod
    def metrics(self, outputs: tf.Tensor, examples: Examples) -> dict[str, tf.Tensor]:
        """Scores the answers, for people to read.

        Args:
          outputs: the head's output for `examples.frames`.
          examples: what `transform` returned.

        Returns:
          float32 scalars by name, one for each of `metric_names`, over the examples with a weight
          above 0; 0 where there are none.
        """

    def invert(self, frames: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Leads transformed frames back to what they were made of, where the targets tell.

        Args:
          frames: uint8 [B, T, H, W, C], transformed.
          targets: [B, ...], the targets that belong to them.

        Returns:
          Every input the targets allow, each uint8 [B, T, H, W, C]: one where a target stands for
          one transformation, more where the task has a symmetry, none where it has no inverse.
        """
        del frames, targets
        return ()


class ClassificationTask(Task):
    """A task whose answer is one of a few classes, of the example or of each of its positions.

    Attributes:
      num_classes: how many; targets are int32 [B] or, one for each position, [B, ...], in
        [0, num_classes).
    """

    num_classes: int
    metric_names = ("accuracy",)

    def head(self) -> tf.keras.layers.Layer:
        """Makes a fresh `ClassificationHead` of `num_classes`."""
        return ClassificationHead(self.num_classes)

    def loss(self, outputs: tf.Tensor, examples: Examples) -> tf.Tensor:
        """Computes the weighted softmax cross entropy, in nats, of logits [B, ..., num_classes].

        Of several positions it is the mean.
        """
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(examples.targets, outputs)
        return mean_over_positions(cross_entropy) * examples.weights

    def metrics(self, outputs: tf.Tensor, examples: Examples) -> dict[str, tf.Tensor]:
        """Computes 'accuracy', the share in [0, 1] of answers that are correct.

        They are those to answerable examples, for each of its positions if it has several.
        """
        correct = tf.argmax(outputs, axis=-1, output_type=tf.int32) == examples.targets
        answerable = tf.cast(examples.weights > 0, tf.float32)
        accuracy = tf.math.divide_no_nan(
            tf.reduce_sum(mean_over_positions(tf.cast(correct, tf.float32)) * answerable),
            tf.reduce_sum(answerable),
        )
        return {"accuracy": accuracy}


@tf.keras.utils.register_keras_serializable(package="tfselfsup")
class ClassificationHead(tf.keras.layers.Layer):
    """A hidden layer and one logit per class, on pooled features [B, d].

    On features [B, ..., d] it answers for every position alike.

    The default hidden width is that of Agarwal, Sinha and Ayush, "Is Self-Supervision Helpful?"
    (2019).
    """

    reads = "pooled"

    def __init__(self, num_classes: int, hidden_units: int = 256, **kwargs):
        """Makes the layer.

        Args:
          num_classes: width of the output.
          hidden_units: width of the hidden layer, which is followed by a ReLU.
          **kwargs: those of every Keras layer.
        """
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.hidden_units = hidden_units
        self.hidden = tf.keras.layers.Dense(hidden_units, activation="relu", name="hidden")
        # A softmax in bfloat16 loses the small probabilities, whatever the policy in force.
        self.logits = tf.keras.layers.Dense(num_classes, dtype="float32", name="logits")

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Turns features [B, ..., d] into logits, float32 [B, ..., num_classes]."""
        return self.logits(self.hidden(features))

    def get_config(self) -> dict:
        """Returns what `from_config` needs to make the layer again."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden_units": self.hidden_units,
        }


def mean_over_positions(values: tf.Tensor) -> tf.Tensor:
    """Averages what was measured at each position of an example.

    Args:
      values: float32 [B, ...].

    Returns:
      float32 [B]; the values themselves where an example has one.
    """
    return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))


def is_padded(frames: tf.Tensor) -> tf.Tensor:
    """Tells which examples have a frame of zeros, as those at an episode's start are.

    Args:
      frames: uint8 [B, T, H, W, C].

    Returns:
      bool [B].
    """
    return tf.reduce_any(tf.reduce_all(frames == 0, axis=[2, 3, 4]), axis=1)
