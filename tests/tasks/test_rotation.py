import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfselfsup import tasks

SEED = tf.constant([2, 71], tf.int32)
each_channels = pytest.mark.parametrize("channels", [1, 3])


def random_frames(batch=64, num_frames=4, size=5, channels=1):
    shape = (batch, num_frames, size, size, channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def half_turned(frames):
    return np.rot90(frames, 2, axes=(2, 3))


def half_turn_symmetric(**shape):
    """Makes random frames, each of which half a turn leaves as it is, and no other change."""
    frames = random_frames(batch=6, **shape) // 2
    return frames + half_turned(frames)


def weights(frames):
    return tasks.get("rotation").transform(frames, SEED).weights.numpy()


def test_quarter_turns_counter_clockwise_by_hand():
    picture = np.array([[1, 2], [3, 4]], np.uint8)
    turned = {
        0: [[1, 2], [3, 4]],
        1: [[2, 4], [1, 3]],
        2: [[4, 3], [2, 1]],
        3: [[3, 1], [4, 2]],
    }
    frames = np.broadcast_to(picture[:, :, None], (32, 1, 2, 2, 1))
    examples = tasks.get("rotation").transform(frames, SEED)
    assert set(examples.targets.numpy()) == set(turned)
    for got, target in zip(examples.frames, examples.targets.numpy(), strict=True):
        np.testing.assert_array_equal(got[0, :, :, 0], turned[target])


# Odd and even sizes: with and without a middle row.
@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("num_frames", [1, 4])
@each_channels
def test_class_k_is_numpys_rot90_by_k(channels, num_frames, size):
    frames = random_frames(num_frames=num_frames, size=size, channels=channels)
    examples = tasks.get("rotation").transform(frames, SEED)
    assert examples.targets.dtype == tf.int32
    assert set(examples.targets.numpy()) == {0, 1, 2, 3}
    for before, after, target in zip(frames, examples.frames, examples.targets, strict=True):
        # Frame by frame: all frames of an example are turned alike, and none changes its place.
        for picture, turned in zip(before, after, strict=True):
            np.testing.assert_array_equal(turned, np.rot90(picture, target))


@each_channels
def test_the_inverse_of_every_class_is_the_one_input(channels):
    task, frames = tasks.get("rotation"), random_frames(channels=channels)
    for k in range(4):
        turned = np.rot90(frames, k, axes=(2, 3))
        (back,) = task.invert(tf.constant(turned), tf.fill([len(frames)], k))
        np.testing.assert_array_equal(back, frames)


@pytest.mark.parametrize("batches", [1, 250])
def test_classes_are_drawn_uniformly_in_a_batch_and_over_seeds(batches):
    task = tasks.get("rotation")
    frames = random_frames(batch=8000 // batches, num_frames=1, size=2)
    # As an agent's seeds: one number for the run, one for the update.
    draws = [task.transform(frames, tf.constant([5, update])).targets for update in range(batches)]
    classes = np.concatenate(draws)
    assert stats.chisquare(np.bincount(classes, minlength=4)).pvalue > 0.01
    # Neighbours in a batch are independent: all 16 pairs are equally frequent.
    pairs = 4 * classes[::2] + classes[1::2]
    assert stats.chisquare(np.bincount(pairs, minlength=16)).pvalue > 0.01


@each_channels
def test_a_picture_with_an_angle_has_weight_1(channels):
    np.testing.assert_array_equal(weights(random_frames(channels=channels)), 1)


@pytest.mark.parametrize("colour", [0, 7, 255])
def test_a_blank_picture_has_weight_0(colour):
    np.testing.assert_array_equal(weights(np.full((3, 4, 6, 6, 1), colour, np.uint8)), 0)


# With three channels and four frames that all differ: half a turn moves pixels, and neither
# channels nor frames.
@pytest.mark.parametrize("size", [5, 6])
@each_channels
def test_a_picture_that_half_a_turn_leaves_as_it_is_has_weight_0(channels, size):
    frames = half_turn_symmetric(size=size, channels=channels)
    np.testing.assert_array_equal(frames, half_turned(frames))
    assert not np.array_equal(frames[:, 0], frames[:, 1])
    np.testing.assert_array_equal(weights(frames), 0)


@pytest.mark.parametrize("size", [5, 6])
@each_channels
def test_one_pixel_gives_a_symmetric_picture_an_angle(channels, size):
    symmetric = half_turn_symmetric(size=size, channels=channels)[:1]
    places = [
        (t, row, column, c)
        for t in (0, 3)
        for row in range(size)
        for column in range(size)
        for c in range(channels)
    ]
    frames = np.repeat(symmetric, len(places), axis=0)
    for example, place in zip(frames, places, strict=True):
        example[place] ^= 1
    # The very middle of an odd size is its own place after half a turn; no other pixel is.
    middle = [(row, column) == ((size - 1) / 2,) * 2 for _, row, column, _ in places]
    assert sum(middle) == (2 * channels if size == 5 else 0)
    np.testing.assert_array_equal(weights(frames), 1 - np.array(middle))


def test_a_mirror_image_of_itself_has_an_angle():
    frames = random_frames() // 2
    np.testing.assert_array_equal(weights(frames + frames[:, :, :, ::-1]), 1)
    np.testing.assert_array_equal(weights(frames + frames[:, :, ::-1]), 1)


def test_an_example_without_an_angle_leaves_the_others_their_weight():
    frames = random_frames(batch=5)
    frames[[1, 4]] = 9
    np.testing.assert_array_equal(weights(frames), [1, 0, 1, 1, 0])
