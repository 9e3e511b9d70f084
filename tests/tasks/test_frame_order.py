import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfselfsup import tasks

SEED = tf.constant([1, 41], tf.int32)

# The classes of Agarwal, Sinha and Ayush (2019): the report's four, and two more of its code.
REPORT = ["0123 3210", "0213 3120", "0321 1230", "1302 2031"]
CODE = [*REPORT, "2310 0132", "1320 0231"]
# All 24 orders: those whose first number is below their last, in lexicographic order, each with
# its reversal.
GENERAL = [
    "0123 3210",
    "0132 2310",
    "0213 3120",
    "0231 1320",
    "0312 2130",
    "0321 1230",
    "1023 3201",
    "1032 2301",
    "1203 3021",
    "1302 2031",
    "2013 3102",
    "2103 3012",
]
TABLES = {
    classes: [{tuple(map(int, order)) for order in line.split()} for line in lines]
    for classes, lines in ((4, REPORT), (6, CODE), (12, GENERAL))
}
each_table = pytest.mark.parametrize("classes", TABLES)


def numbered(batch):
    """Makes stacks whose frame t is filled with t + 1, so that pixels tell the order."""
    frames = np.arange(1, 5, dtype=np.uint8).reshape(1, 4, 1, 1, 1)
    return np.broadcast_to(frames, (batch, 4, 2, 3, 1))


def random_frames(batch=48, channels=1):
    shape = (batch, 4, 6, 5, channels)
    return np.random.default_rng(0).integers(1, 256, shape, np.uint8)


def drawn(classes, batch, seed=SEED):
    """Returns the orders drawn for a batch, as rows p with out[k] = in[p[k]], and the targets."""
    examples = tasks.get("frame_order", classes=classes).transform(numbered(batch), seed)
    return examples.frames.numpy()[:, :, 0, 0, 0].astype(int) - 1, examples.targets.numpy()


def weights(frames):
    return tasks.get("frame_order").transform(frames, SEED).weights.numpy()


@each_table
def test_the_table_of_classes(classes):
    task = tasks.get("frame_order", classes=classes)
    assert task.num_classes == classes == len(task.orders)
    assert [set(map(tuple, pair)) for pair in task.orders] == TABLES[classes]


def test_12_classes_cover_each_of_the_24_orders_once():
    orders = [order for pair in tasks.get("frame_order", classes=12).orders for order in pair]
    assert sorted(orders) == sorted(itertools.permutations(range(4)))


def test_the_general_rule_is_the_default():
    assert tasks.get("frame_order").num_classes == 12


@each_table
def test_every_class_and_both_of_its_orders_are_drawn(classes):
    orders, targets = drawn(classes, 40 * classes)
    assert targets.dtype == np.int32
    seen = [set() for _ in range(classes)]
    for order, target in zip(orders, targets, strict=True):
        seen[target].add(tuple(order))
    assert seen == TABLES[classes]


@each_table
def test_an_order_and_its_reversal_share_a_class(classes):
    orders, targets = drawn(classes, 40 * classes)
    class_of = {tuple(order): target for order, target in zip(orders, targets, strict=True)}
    assert len(class_of) == 2 * classes
    for order, target in class_of.items():
        assert class_of[order[::-1]] == target


@pytest.mark.parametrize("channels", [1, 3])
def test_frame_k_of_the_output_is_frame_p_k_of_the_input(channels):
    orders, numbered_targets = drawn(12, 48)
    frames = random_frames(channels=channels)
    examples = tasks.get("frame_order").transform(frames, SEED)
    # The same seed draws the same orders, whatever the frames show.
    np.testing.assert_array_equal(examples.targets, numbered_targets)
    # Not all are their own inverse, so that in[k] = out[p[k]] is something else.
    assert any(np.any(order[order] != range(4)) for order in orders)
    for before, after, order in zip(frames, examples.frames, orders, strict=True):
        for k in range(4):
            np.testing.assert_array_equal(after[k], before[order[k]])


@pytest.mark.parametrize("batches", [1, 250])
@each_table
def test_orders_are_drawn_uniformly_in_a_batch_and_over_seeds(classes, batches):
    # As an agent's seeds: one number for the run, one for the update.
    seeds = [tf.constant([5, update]) for update in range(batches)]
    draws = [drawn(classes, 8000 // batches, seed)[0] for seed in seeds]
    _, counts = np.unique(np.concatenate(draws), axis=0, return_counts=True)
    assert len(counts) == 2 * classes
    assert stats.chisquare(counts).pvalue > 0.01


def test_the_inverse_by_hand():
    # Class 3 of 12 is 0231 and 1320; let the output be a, b, c, d = 1, 2, 3, 4.
    # By 0231: a = in[0], b = in[2], c = in[3], d = in[1], so the input was a, d, b, c.
    # By 1320: a = in[1], b = in[3], c = in[2], d = in[0], so the input was d, a, c, b.
    inputs = tasks.get("frame_order").invert(tf.constant(numbered(1)), tf.constant([3]))
    orders = [tuple(value.numpy()[0, :, 0, 0, 0]) for value in inputs]
    assert sorted(orders) == [(1, 4, 2, 3), (4, 1, 3, 2)]


@each_table
def test_the_inverse_is_every_input_of_which_an_order_of_the_class_makes_the_output(classes):
    task, frames = tasks.get("frame_order", classes=classes), random_frames()
    examples = task.transform(frames, SEED)
    one, other = (value.numpy() for value in task.invert(examples.frames, examples.targets))
    assert one.dtype == other.dtype == np.uint8
    for before, after, target, *inputs in zip(
        frames, examples.frames.numpy(), examples.targets.numpy(), one, other, strict=True
    ):
        assert any(np.array_equal(found, before) for found in inputs)
        assert not np.array_equal(*inputs)
        for found in inputs:
            made = [found[list(order)] for order in TABLES[classes][target]]
            assert any(np.array_equal(output, after) for output in made)


@pytest.mark.parametrize("channels", [1, 3])
def test_four_different_frames_have_weight_1(channels):
    np.testing.assert_array_equal(weights(random_frames(channels=channels)), 1)


def test_blank_frames_of_different_colours_have_an_order():
    # Only black stands for padding.
    np.testing.assert_array_equal(weights(numbered(2)), 1)


@pytest.mark.parametrize("one, other", list(itertools.combinations(range(4), 2)))
def test_two_identical_frames_have_weight_0(one, other):
    frames = random_frames(batch=3)
    frames[1, one] = frames[1, other]
    np.testing.assert_array_equal(weights(frames), [1, 0, 1])


@pytest.mark.parametrize("padded", [1, 2, 3, 4])
def test_a_stack_padded_with_zeros_has_weight_0(padded):
    frames = random_frames(batch=3)
    # As at an episode's start, where only the newest frames have been seen.
    frames[1, :padded] = 0
    np.testing.assert_array_equal(weights(frames), [1, 0, 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("place", [(0, 0, 0), (5, 4, -1), (2, 3, 0)])
def test_one_pixel_tells_two_frames_apart_and_a_frame_from_padding(place, channels):
    frames = random_frames(batch=2, channels=channels)
    frames[0, 2] = frames[0, 1]
    frames[1, 0] = 0
    np.testing.assert_array_equal(weights(frames), [0, 0])
    frames[(0, 2, *place)] ^= 1
    frames[(1, 0, *place)] = 1
    np.testing.assert_array_equal(weights(frames), [1, 1])


@pytest.mark.parametrize("classes", [0, 5, 24, -4, "12", None, True, 4.0])
def test_a_wrong_number_of_classes_is_told_the_valid_ones(classes):
    with pytest.raises(ValueError) as error:
        tasks.get("frame_order", classes=classes)
    message = str(error.value)
    assert "\n" not in message
    for word in ("'classes'", "'frame_order'", "4, 6, 12", repr(classes)):
        assert word in message


@pytest.mark.parametrize(
    "num_frames, message", [(3, "at least 4 frames.*got 3"), (5, "exactly 4 frames.*got 5")]
)
def test_there_must_be_exactly_four_frames(num_frames, message):
    task = tasks.get("frame_order")
    with pytest.raises(ValueError, match=message):
        task.check((num_frames, 8, 8, 1))
    with pytest.raises(ValueError, match=message):
        task.transform(np.ones((2, num_frames, 8, 8, 1), np.uint8), SEED)


def test_frames_need_not_be_square():
    tasks.get("frame_order").check((4, 60, 80, 3))
    assert drawn(12, 2)[0].shape == (2, 4)
