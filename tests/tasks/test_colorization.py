import cv2
import numpy as np
import pytest
import tensorflow as tf
from skimage import color, data

from tfselfsup import tasks
from tfselfsup.tasks.colorization import MEAN_CHROMA, CellsHead, rgb_to_lab

SEED = tf.constant([1, 61], tf.int32)


def random_frames(batch=4, num_frames=1, size=(16, 16)):
    """Makes noise that is coarse enough to be colourful in the mean of a cell."""
    generator = np.random.default_rng(0)
    shape = (batch, num_frames, -(-size[0] // 4), -(-size[1] // 4), 3)
    coarse = generator.integers(0, 256, shape, np.uint8)
    return np.repeat(np.repeat(coarse, 4, 2), 4, 3)[:, :, : size[0], : size[1]]


def transformed(frames, **options):
    return tasks.get("colorization", **options).transform(frames, SEED)


def weights(frames):
    return transformed(frames).weights.numpy()


def classes_of(picture, task):
    """Finds the class of each cell of uint8 [H, W, 3] with the help of OpenCV and scikit-image."""
    size = (task.cells, task.cells)
    means = cv2.resize(picture.astype(np.float64), size, interpolation=cv2.INTER_AREA)
    ab = color.rgb2lab(means / 255)[..., 1:]
    return np.argmin(np.linalg.norm(ab[..., None, :] - task.colours, axis=-1), axis=-1)


def prior_of(task):
    density = np.exp(-2 * np.linalg.norm(task.colours, axis=1) / MEAN_CHROMA)
    return density / density.sum()


def test_lab_is_scikit_images():
    generator = np.random.default_rng(0)
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1]), -1).reshape(-1, 3)
    # Near black the curves are straight.
    colours = np.concatenate(
        [generator.uniform(size=(5000, 3)), generator.uniform(0, 0.1, (500, 3)), corners]
    )
    lab = rgb_to_lab(tf.constant(colours, tf.float32))
    assert lab.dtype == tf.float32
    np.testing.assert_allclose(lab, color.rgb2lab(colours), atol=1e-3)


def test_the_network_sees_the_luma_in_all_channels():
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 16, 3), np.uint8)
    shown = transformed(frames).frames.numpy()
    np.testing.assert_array_equal(shown, np.repeat(shown[..., :1], 3, axis=-1))
    expected = [[cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in stack] for stack in frames]
    # OpenCV rounds in another way.
    assert np.abs(shown[..., 0].astype(int) - expected).max() <= 1


def test_what_is_grey_stays_as_it_is():
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1), 3, axis=-1)
    np.testing.assert_array_equal(transformed(grey).frames, grey)


@pytest.mark.parametrize(
    # Lab of red is (53.2, 80.1, 67.2), of green (87.7, -86.2, 83.2), of blue (32.3, 79.2, -107.9).
    "rgb, ab",
    [
        ((255, 0, 0), (80, 70)),
        ((0, 255, 0), (-90, 80)),
        ((0, 0, 255), (80, -110)),
        ((128, 128, 128), (0, 0)),
        ((0, 0, 0), (0, 0)),
        ((255, 255, 255), (0, 0)),
    ],
)
def test_classes_of_pure_colours_by_hand(rgb, ab):
    frames = np.broadcast_to(np.array(rgb, np.uint8), (1, 1, 16, 16, 3))
    task = tasks.get("colorization")
    targets = task.transform(frames, SEED).targets.numpy()
    assert targets.shape == (1, 8, 8) and targets.dtype == np.int32
    (found,) = np.unique(targets)
    np.testing.assert_array_equal(task.colours[found], ab)


# Cells that are whole pixels, and such that are not.
@pytest.mark.parametrize("size", [(16, 16), (24, 32), (21, 30)])
@pytest.mark.parametrize("options", [{}, {"cells": 4, "step": 20}, {"cells": 1}])
def test_targets_are_the_classes_of_the_mean_colours(size, options):
    task, frames = tasks.get("colorization", **options), random_frames(size=size)
    targets = task.transform(frames, SEED).targets.numpy()
    expected = [classes_of(stack[0], task) for stack in frames]
    np.testing.assert_array_equal(targets, expected)
    assert len(np.unique(targets)) > 1


def test_the_colours_of_the_newest_frame_are_asked_for():
    frames = random_frames(num_frames=3)
    newest = transformed(frames[:, -1:])
    examples = transformed(frames)
    np.testing.assert_array_equal(examples.targets, newest.targets)
    assert np.any(transformed(frames[:, :1]).targets != newest.targets)
    np.testing.assert_array_equal(examples.frames[:, -1:], newest.frames)


def test_the_seed_does_not_matter():
    task, frames = tasks.get("colorization"), random_frames()
    one, other = (task.transform(frames, tf.constant([0, update])) for update in range(2))
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("step, most", [(10, 260), (20, 74)])
def test_every_colour_has_a_class_near_to_it(step, most):
    task = tasks.get("colorization", step=step)
    assert task.num_classes == len(np.unique(task.colours, axis=0)) == most
    np.testing.assert_array_equal(task.colours % step, 0)
    ab = color.rgb2lab(np.random.default_rng(0).uniform(size=(5000, 3)))[:, 1:]
    nearest = np.linalg.norm(ab[:, None] - task.colours, axis=-1).min(axis=1)
    # Half a diagonal of the grid, and next to none where the colours end.
    assert nearest.max() < step / np.sqrt(2) + 0.5


def test_a_rare_class_counts_more_and_the_mean_is_1():
    task = tasks.get("colorization")
    prior, count = prior_of(task), task.num_classes
    np.testing.assert_allclose(prior @ task.rebalancing, 1, rtol=1e-5)
    factors = 1 / (0.5 * prior + 0.5 / count)
    np.testing.assert_allclose(task.rebalancing / task.rebalancing[0], factors / factors[0], 1e-5)
    chroma = np.linalg.norm(task.colours, axis=1)
    order = np.argsort(chroma)
    assert (np.diff(task.rebalancing[order]) >= -1e-6).all()
    assert chroma[order[0]] == 0 and task.rebalancing[order[0]] < 0.5


def test_the_prior_is_that_of_photographs():
    photographs = (
        data.astronaut(),
        data.chelsea(),
        data.coffee(),
        data.rocket(),
        data.stereo_motorcycle()[0],
    )
    cells = [cv2.resize(one, (8, 8), interpolation=cv2.INTER_AREA) for one in photographs]
    ab = color.rgb2lab(np.array(cells))[..., 1:]
    assert np.linalg.norm(ab, axis=-1).mean() == pytest.approx(MEAN_CHROMA, abs=0.1)


def test_the_prior_has_that_mean():
    # In the plane; the grid of the classes is coarse, and ends where the colours do.
    a, b = np.meshgrid(np.arange(-400, 401), np.arange(-400, 401))
    radius = np.hypot(a, b)
    density = np.exp(-2 * radius / MEAN_CHROMA)
    assert (density * radius).sum() / density.sum() == pytest.approx(MEAN_CHROMA, rel=0.01)


def test_the_loss_of_two_cells_by_hand():
    task = tasks.get("colorization", cells=1)
    count = task.num_classes
    grey, red = (int(np.argmin(np.linalg.norm(task.colours - ab, axis=1))) for ab in (0, (80, 70)))
    examples = tasks.Examples(None, tf.constant([[[grey]], [[red]]]), tf.constant([1.0, 0.5]))
    # All classes alike: log Q nats each, times the factor of the class, times the weight.
    expected = np.log(count) * task.rebalancing[[grey, red]] * [1, 0.5]
    np.testing.assert_allclose(task.loss(tf.zeros([2, 1, 1, count]), examples), expected, 1e-5)


def test_the_loss_is_the_mean_and_the_accuracy_the_share_over_the_cells():
    task = tasks.get("colorization", cells=2)
    targets = tf.constant([[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[0, 0], [0, 0]]])
    said = tf.constant([[[0, 1], [2, 0]], [[4, 0], [0, 0]], [[0, 0], [0, 0]]])
    outputs = 3 * tf.one_hot(said, task.num_classes)
    examples = tasks.Examples(None, targets, tf.constant([1.0, 1.0, 0.0]))
    # 3 and 1 of 4 cells; the third example is grey.
    assert float(task.metrics(outputs, examples)["accuracy"]) == 0.5
    wrong = np.log(np.exp(3) + task.num_classes - 1)
    losses = np.where(said == targets, wrong - 3, wrong) * task.rebalancing[targets.numpy()]
    expected = losses.mean(axis=(1, 2)) * [1, 1, 0]
    np.testing.assert_allclose(task.loss(outputs, examples), expected, rtol=1e-5)


def test_a_picture_in_colour_has_weight_1_and_a_grey_one_0():
    frames = random_frames(batch=3)
    frames[1] = frames[1, ..., :1]
    np.testing.assert_array_equal(weights(frames), [1, 0, 1])


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize("place", [(0, 0), (15, 7)])
def test_one_pixel_is_enough(place, channel):
    frames = np.full((1, 1, 16, 16, 3), 9, np.uint8)
    np.testing.assert_array_equal(weights(frames), 0)
    frames[(0, 0, *place, channel)] = 10
    np.testing.assert_array_equal(weights(frames), 1)


def test_the_newest_frame_must_be_in_colour():
    frames = random_frames(batch=2, num_frames=2)
    frames[0, 0] = 5
    frames[1, 1] = 5
    np.testing.assert_array_equal(weights(frames), [1, 0])


@pytest.mark.parametrize(
    "options, told",
    [
        ({"cells": 0}, ["'cells'", "from 1 to 64", "got 0"]),
        ({"cells": 8.0}, ["'cells'", "got 8.0"]),
        ({"cells": True}, ["'cells'", "got True"]),
        ({"step": 4}, ["'step'", "from 5 to 50", "got 4"]),
        ({"step": 51}, ["'step'", "got 51"]),
        ({"step": "10"}, ["'step'", "got '10'"]),
    ],
)
def test_a_wrong_option_is_told_the_valid_ones(options, told):
    with pytest.raises(ValueError) as error:
        tasks.get("colorization", **options)
    message = str(error.value)
    assert "\n" not in message
    for word in ("'colorization'", *told):
        assert word in message


@pytest.mark.parametrize(
    "shape, message",
    [
        ((4, 84, 84, 1), "needs colour frames with 3 channels, got 1"),
        ((1, 84, 84, 4), "needs colour frames with 3 channels, got 4"),
        ((1, 84, 7, 3), "at least 8x8 pixels, got 84x7"),
    ],
)
def test_frames_without_colours_or_pixels_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        tasks.get("colorization").check(shape)


def test_frames_need_not_be_square():
    assert transformed(random_frames(size=(24, 40))).targets.shape == (4, 8, 8)


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (13, 20)])
def test_the_head_answers_in_every_cell_whatever_the_map(size):
    head = CellsHead(8, num_classes=74)
    assert head(np.ones((2, *size, 5), np.float32)).shape == (2, 8, 8, 74)
    # Where the map is the same everywhere, so is the answer.
    answers = head(np.ones((1, *size, 5), np.float32)).numpy().reshape(64, 74)
    np.testing.assert_allclose(answers, np.tile(answers[0], (64, 1)), atol=1e-5)


def test_the_head_answers_where_the_map_tells():
    head = CellsHead(4, num_classes=74)
    features = np.zeros((1, 8, 8, 5), np.float32)
    features[:, :4, 4:] = 1
    answers = head(features).numpy()[0]
    # The corners are far from the edges that scaling blurs.
    np.testing.assert_allclose(answers[0, 0], answers[3, 3], atol=1e-5)
    assert np.abs(answers[0, 3] - answers[0, 0]).max() > 1e-3
