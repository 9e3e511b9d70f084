"""Rotation: by which right angle was the picture turned?"""

import tensorflow as tf

from tfselfsup.tasks.base import ClassificationTask, Examples


class Rotation(ClassificationTask):
    """Turns each example by 0, 90, 180 or 270 degrees; the class names the angle.

    Class k is k quarter turns counter-clockwise, the same for all frames of an example, drawn
    uniformly. An example that looks the same after half a turn (a blank screen) has weight 0.

    Gidaris, Singh and Komodakis, "Unsupervised representation learning by predicting image
    rotations", ICLR 2018, arXiv:1803.07728. There every image is shown at all four angles; here
    each example of a batch is shown at one.
    """

    num_classes = 4
    square = True

    def transform(self, frames: tf.Tensor, seed: tf.Tensor) -> Examples:
        """Turns the frames; see `Task.transform`."""
        self.check_batch(frames)
        targets = tf.random.stateless_uniform(
            tf.shape(frames)[:1], seed, maxval=self.num_classes, dtype=tf.int32
        )
        weights = tf.cast(_has_an_angle(frames), tf.float32)
        return Examples(_turn(frames, targets), targets, weights)

    def invert(self, frames: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Turns the frames back; see `Task.invert`."""
        return (_turn(frames, -targets % self.num_classes),)


def _has_an_angle(frames):
    """Tells where frames look different after half a turn, hence after any turn: bool [B]."""
    height = frames.shape[2]
    top = frames[:, :, : (height + 1) // 2]
    bottom = frames[:, :, height // 2 :]
    return tf.reduce_any(top != _half_turn(bottom), axis=[1, 2, 3, 4])


def _turn(frames, quarter_turns):
    """Turns frames [B, T, H, H, C] by quarter_turns int32 [B] in [0, 4), counter-clockwise."""
    # Turning each example once, in four groups, is several times faster than choosing per pixel
    # between four turned copies of the batch.
    groups = tf.dynamic_partition(tf.range(tf.shape(frames)[0]), quarter_turns, len(_TURNS))
    turned = [turn(tf.gather(frames, group)) for turn, group in zip(_TURNS, groups, strict=True)]
    return tf.ensure_shape(tf.dynamic_stitch(groups, turned), frames.shape)


def _quarter_turn(frames):
    return _flip_rows(_transpose(frames))


def _half_turn(frames):
    num_frames, height, width, channels = frames.shape[1:]
    # tf.reverse moves one item of the last axis at a time when that axis is not the reversed one.
    pixel_shape = [] if channels == 1 else [channels]
    pixels = tf.reshape(frames, [-1, height * width, *pixel_shape])
    return tf.reshape(tf.reverse(pixels, [1]), [-1, num_frames, height, width, channels])


def _three_quarter_turn(frames):
    return _transpose(_flip_rows(frames))


def _flip_rows(frames):
    num_frames, height, width, channels = frames.shape[1:]
    rows = tf.reshape(frames, [-1, height, width * channels])
    return tf.reshape(tf.reverse(rows, [1]), [-1, num_frames, height, width, channels])


def _transpose(frames):
    return tf.transpose(frames, [0, 1, 3, 2, 4])


_TURNS = (tf.identity, _quarter_turn, _half_turn, _three_quarter_turn)
