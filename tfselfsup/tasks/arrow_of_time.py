"""Arrow of time: was a clip played forwards or backwards?"""

import tensorflow as tf

from tfselfsup.tasks.base import ClassificationTask, Examples, is_padded


class ArrowOfTime(ClassificationTask):
    """Plays half of the examples backwards; class 1 are those, class 0 the others.

    The question that frame order leaves open, where an order and its reversal share a class. What
    tells the answer is what happens one way only: things fall, break and appear. Where a game has
    none of that the accuracy stays at 0.5.

    The weight is 0 where the clip is the same backwards, as it is where nothing moves, and where a
    frame is all zeros: such padding comes first, at an episode's start, and would tell the answer.

    Pickup et al., "Seeing the arrow of time", CVPR 2014; Misra, Zitnick and Hebert, "Shuffle and
    learn", ECCV 2016, arXiv:1603.08561; Wei et al., "Learning and using the arrow of time", CVPR
    2018. Wei et al. stabilise the camera and read optical flow; here the frames are shown as they
    are.
    """

    num_classes = 2
    min_frames = 2

    def transform(self, frames: tf.Tensor, seed: tf.Tensor) -> Examples:
        """Reverses the frames or not; see `Task.transform`."""
        self.check_batch(frames)
        targets = tf.random.stateless_uniform(
            tf.shape(frames)[:1], seed, maxval=self.num_classes, dtype=tf.int32
        )
        weights = tf.cast(_has_an_arrow(frames), tf.float32)
        return Examples(_played(frames, targets), targets, weights)

    def invert(self, frames: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Reverses the frames again; see `Task.invert`."""
        return (_played(frames, targets),)


def _has_an_arrow(frames):
    """Tells where a clip differs from its reversal and no frame is padding: bool [B]."""
    num_frames = frames.shape[1]
    first, last = frames[:, : num_frames // 2], frames[:, : (num_frames - 1) // 2 : -1]
    return tf.reduce_any(first != last, axis=[1, 2, 3, 4]) & ~is_padded(frames)


def _played(frames, backwards):
    """Reverses the frames of the examples that `backwards`, int32 [B], is 1 for."""
    forward = tf.range(frames.shape[1])
    orders = tf.gather(tf.stack([forward, forward[::-1]]), backwards)
    return tf.gather(frames, orders, batch_dims=1)
