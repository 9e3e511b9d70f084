"""Frame order: how were the frames of a clip permuted?"""

import itertools
from collections.abc import Sequence

import tensorflow as tf

from tfselfsup.tasks.base import ClassificationTask, Examples, is_padded

# The published classes, in their order: the first four are the report's, all six the code's.
_PUBLISHED = (
    ((0, 1, 2, 3), (3, 2, 1, 0)),
    ((0, 2, 1, 3), (3, 1, 2, 0)),
    ((0, 3, 2, 1), (1, 2, 3, 0)),
    ((1, 3, 0, 2), (2, 0, 3, 1)),
    ((2, 3, 1, 0), (0, 1, 3, 2)),
    ((1, 3, 2, 0), (0, 2, 3, 1)),
)
_ALL = tuple((p, p[::-1]) for p in itertools.permutations(range(4)) if p < p[::-1])
_CLASSES = {4: _PUBLISHED[:4], 6: _PUBLISHED, 12: _ALL}


class FrameOrder(ClassificationTask):
    """Permutes the four frames of each example; the class names the order.

    An order and its reversal share a class, because a clip played backwards is a valid clip too;
    both are drawn equally often, and so are all classes. The weight is 0 where two frames are
    identical, so that their order is undefined, and where a frame is all zeros, as the padding at
    an episode's start is.

    Misra, Zitnick and Hebert, "Shuffle and learn", ECCV 2016, arXiv:1603.08561; Lee et al.,
    "Unsupervised representation learning by sorting sequences", ICCV 2017, arXiv:1708.01246, which
    has the 12 classes. The subsets are those of Agarwal, Sinha and Ayush, "Is Self-Supervision
    Helpful?" (2019).

    Attributes:
      orders: the two orders of each class; order p means out[k] = in[p[k]].
    """

    min_frames = 4

    def __init__(self, classes: int = 12):
        """Makes the task.

        Args:
          classes: 12 for all 24 orders, in lexicographic order of the smaller member of each
            class; 4 for the classes of the 2019 report; 6 for those of its code.

        Raises:
          ValueError: `classes` is something else.
        """
        # 12.0 equals 12, and would only fail later, as a shape.
        is_valid = type(classes) is int and classes in _CLASSES
        expected = f"one of {', '.join(map(str, _CLASSES))}"
        self.check_option("classes", classes, is_valid, expected)
        self.num_classes = classes
        self.orders = _CLASSES[classes]

    def check(self, frame_shape: Sequence[int]) -> None:
        """Checks that there are exactly four frames; see `Task.check`."""
        super().check(frame_shape)
        if frame_shape[0] != 4:
            raise ValueError(
                f"task {self.name!r} needs exactly 4 frames per example, got {frame_shape[0]}; "
                "stack 4 frames"
            )

    def transform(self, frames: tf.Tensor, seed: tf.Tensor) -> Examples:
        """Permutes the frames; see `Task.transform`."""
        self.check_batch(frames)
        drawn = tf.random.stateless_uniform(
            tf.shape(frames)[:1], seed, maxval=2 * self.num_classes, dtype=tf.int32
        )
        orders = tf.gather(tf.reshape(self.orders, [-1, 4]), drawn)
        permuted = tf.gather(frames, orders, batch_dims=1)
        return Examples(permuted, drawn // 2, tf.cast(_has_an_order(frames), tf.float32))

    def invert(self, frames: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Undoes either order of the class; see `Task.invert`."""
        inverses = tf.gather(tf.argsort(self.orders), targets)
        return tuple(
            tf.gather(frames, inverse, batch_dims=1) for inverse in tf.unstack(inverses, axis=1)
        )


def _has_an_order(frames):
    """Tells where the four frames differ from each other and none is padding: bool [B]."""
    differ = [
        tf.reduce_any(one != other, axis=[1, 2, 3])
        for one, other in itertools.combinations(tf.unstack(frames, axis=1), 2)
    ]
    return tf.reduce_all(tf.stack(differ), axis=0) & ~is_padded(frames)
