import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfselfsup import tasks

SEED = tf.constant([2, 36], tf.int32)
each_length = pytest.mark.parametrize("num_frames", [2, 3, 4, 5])


def random_frames(batch=32, num_frames=4, channels=1):
    shape = (batch, num_frames, 6, 5, channels)
    return np.random.default_rng(0).integers(1, 256, shape, np.uint8)


def transformed(frames, seed=SEED):
    return tasks.get("arrow_of_time").transform(frames, seed)


def weights(frames):
    return transformed(frames).weights.numpy()


@each_length
@pytest.mark.parametrize("channels", [1, 3])
def test_class_1_is_the_reversal_and_class_0_the_clip_itself(channels, num_frames):
    frames = random_frames(num_frames=num_frames, channels=channels)
    examples = transformed(frames)
    assert examples.targets.dtype == tf.int32
    assert set(examples.targets.numpy()) == {0, 1}
    for before, after, target in zip(frames, examples.frames, examples.targets, strict=True):
        np.testing.assert_array_equal(after, before[::-1] if target else before)


@each_length
def test_the_inverse_of_either_class_is_the_one_input(num_frames):
    task, frames = tasks.get("arrow_of_time"), random_frames(num_frames=num_frames)
    for target, shown in enumerate((frames, frames[:, ::-1])):
        (back,) = task.invert(tf.constant(shown), tf.fill([len(frames)], target))
        np.testing.assert_array_equal(back, frames)


@pytest.mark.parametrize("batches", [1, 100])
def test_classes_are_drawn_uniformly_in_a_batch_and_over_seeds(batches):
    frames = random_frames(batch=8000 // batches, num_frames=2)
    # As an agent's seeds: one number for the run, one for the update.
    draws = [transformed(frames, tf.constant([5, update])).targets for update in range(batches)]
    classes = np.concatenate(draws)
    assert stats.chisquare(np.bincount(classes, minlength=2)).pvalue > 0.01
    # Neighbours in a batch are independent: all 4 pairs are equally frequent.
    pairs = 2 * classes[::2] + classes[1::2]
    assert stats.chisquare(np.bincount(pairs, minlength=4)).pvalue > 0.01


@each_length
@pytest.mark.parametrize("channels", [1, 3])
def test_a_clip_that_moves_has_weight_1(channels, num_frames):
    frames = random_frames(num_frames=num_frames, channels=channels)
    np.testing.assert_array_equal(weights(frames), 1)


@each_length
def test_a_clip_in_which_nothing_moves_has_weight_0(num_frames):
    frames = random_frames(batch=3, num_frames=num_frames)
    frames[1] = frames[1, :1]
    np.testing.assert_array_equal(weights(frames), [1, 0, 1])


@each_length
def test_a_clip_that_goes_the_same_way_there_and_back_has_weight_0(num_frames):
    frames = random_frames(batch=3, num_frames=num_frames)
    for t in range(num_frames // 2):
        frames[1, num_frames - 1 - t] = frames[1, t]
    np.testing.assert_array_equal(weights(frames), [1, 0, 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("place", [(0, 0, 0), (5, 4, -1), (2, 3, 0)])
@each_length
def test_one_pixel_gives_a_clip_an_arrow(num_frames, place, channels):
    frames = random_frames(batch=num_frames, num_frames=num_frames, channels=channels)
    frames[:] = 7
    for t in range(num_frames):
        frames[(t, t, *place)] += 1
    # What happens in the middle happens there backwards, too.
    expected = [float(t != num_frames - 1 - t) for t in range(num_frames)]
    np.testing.assert_array_equal(weights(frames), expected)


def test_two_frames_that_are_the_same_leave_the_others_their_arrow():
    frames = random_frames(batch=2)
    frames[0, 1] = frames[0, 2]
    frames[1, 0] = frames[1, 1]
    np.testing.assert_array_equal(weights(frames), 1)


@pytest.mark.parametrize("padded", [1, 2, 3, 4])
def test_a_stack_padded_with_zeros_has_weight_0(padded):
    frames = random_frames(batch=3)
    # As at an episode's start, where only the newest frames have been seen.
    frames[1, :padded] = 0
    np.testing.assert_array_equal(weights(frames), [1, 0, 1])


def test_only_black_stands_for_padding():
    frames = random_frames(batch=2)
    frames[0, 0] = 255
    frames[1, 0] = 0
    frames[1, 0, 3, 2] = 1
    np.testing.assert_array_equal(weights(frames), 1)


def test_one_frame_has_no_arrow():
    task = tasks.get("arrow_of_time")
    for ask in (
        lambda: task.check((1, 8, 8, 3)),
        lambda: transformed(np.ones((2, 1, 8, 8, 3), np.uint8)),
    ):
        with pytest.raises(ValueError) as error:
            ask()
        message = str(error.value)
        assert "\n" not in message
        assert "'arrow_of_time'" in message and "at least 2 frames" in message


def test_frames_need_not_be_square():
    tasks.get("arrow_of_time").check((2, 60, 80, 3))
