import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfselfsup import tasks
from tfselfsup.tasks.jigsaw import TilesHead, far_apart

SEED = tf.constant([1, 73], tf.int32)
each_grid = pytest.mark.parametrize("grid", [2, 3])
# A side of 26 leaves pixels over in a grid of 3, and 27 in one of 2.
each_size = pytest.mark.parametrize("size", [(24, 36), (26, 27)])


def random_frames(batch=6, num_frames=2, size=(24, 24), channels=1):
    shape = (batch, num_frames, *size, channels)
    return np.random.default_rng(0).integers(1, 256, shape, np.uint8)


def of_colours(colours, grid=3, num_frames=1):
    """Makes pictures out of cells of 8x8 pixels in one colour each, given as [B, grid * grid]."""
    cells = np.array(colours, np.uint8).reshape(-1, 1, grid, grid, 1)
    return np.repeat(np.repeat(np.repeat(cells, 8, 2), 8, 3), num_frames, 1)


def cells_of(picture, grid):
    """Cuts a picture [..., H, W, C] into its cells, row by row; what is left over is cut off."""
    *_, height, width, _ = picture.shape
    rows, columns = height // grid, width // grid
    top, left = (height - grid * rows) // 2, (width - grid * columns) // 2
    return [
        picture[..., top + r * rows :, left + c * columns :, :][..., :rows, :columns, :]
        for r in range(grid)
        for c in range(grid)
    ]


def crops_of(cell, rows, columns):
    """Lists all crops of a cell by where they begin."""
    *_, height, width, _ = cell.shape
    return {
        (top, left): cell[..., top : top + rows, left : left + columns, :]
        for top in range(height - rows + 1)
        for left in range(width - columns + 1)
    }


def weights(frames, **options):
    return tasks.get("jigsaw", **options).transform(frames, SEED).weights.numpy()


def distances(permutations):
    permutations = np.asarray(permutations)
    pairs = itertools.combinations(permutations, 2)
    return np.array([np.count_nonzero(one != other) for one, other in pairs])


@each_grid
@pytest.mark.parametrize("count", [2, 5, 24])
def test_the_classes_are_different_permutations(grid, count):
    task = tasks.get("jigsaw", grid=grid, permutations=count)
    assert task.num_classes == count == len(task.permutations)
    assert len(np.unique(task.permutations, axis=0)) == count
    np.testing.assert_array_equal(
        np.sort(task.permutations, axis=1), np.tile(range(grid * grid), (count, 1))
    )


def test_a_grid_of_2_has_all_of_its_permutations():
    expected = sorted(itertools.permutations(range(4)))
    assert sorted(map(tuple, tasks.get("jigsaw", grid=2).permutations)) == expected


def test_permutations_differ_in_nearly_all_places():
    assert distances(tasks.get("jigsaw").permutations).min() == 7
    # Of 9 places 9 permutations, a Latin square, can differ everywhere, and no tenth.
    assert (distances(far_apart(9, 9)) == 9).all()
    # Of permutations drawn at random, two of 24 share 4 places or more.
    generator = np.random.default_rng(0)
    assert distances([generator.permutation(9) for _ in range(24)]).min() <= 6


@pytest.mark.parametrize("length, count", [(3, 6), (4, 24), (5, 20)])
def test_each_permutation_is_the_farthest_from_those_before_it(length, count):
    candidates = list(itertools.permutations(range(length)))
    chosen = candidates[:1]
    while len(chosen) < count:

        def farness(candidate):
            apart = [np.count_nonzero(np.subtract(candidate, one)) for one in chosen]
            return min(apart), sum(apart)

        chosen.append(max(candidates, key=farness))  # the first of those that are farthest
    np.testing.assert_array_equal(far_apart(length, count), chosen)


def test_fewer_permutations_are_the_first_of_more():
    np.testing.assert_array_equal(far_apart(9, 10), far_apart(9, 24)[:10])


def test_nobody_can_change_the_permutations_of_others():
    with pytest.raises(ValueError, match="read-only"):
        tasks.get("jigsaw").permutations[0, 0] = 1


def test_a_puzzle_by_hand():
    # Whole cells: place k shows tile p[k], and every cell is of one colour.
    task = tasks.get("jigsaw", grid=2, gap=0)
    examples = task.transform(of_colours([[10, 20, 30, 40]] * 64, grid=2), SEED)
    for picture, target in zip(examples.frames.numpy(), examples.targets.numpy(), strict=True):
        one, two, three, four = 10 * (task.permutations[target] + 1)
        assert (picture[0, :8, :8] == one).all() and (picture[0, :8, 8:] == two).all()
        assert (picture[0, 8:, :8] == three).all() and (picture[0, 8:, 8:] == four).all()


@each_grid
@each_size
@pytest.mark.parametrize("channels", [1, 3])
def test_without_a_gap_the_cells_are_permuted_and_nothing_else(grid, size, channels):
    frames = random_frames(num_frames=4, size=size, channels=channels)
    task = tasks.get("jigsaw", grid=grid, gap=0)
    examples = task.transform(frames, SEED)
    assert len(set(examples.targets.numpy())) > 2
    for before, after, target in zip(
        frames, examples.frames.numpy(), examples.targets, strict=True
    ):
        cells, places = cells_of(before, grid), cells_of(after, grid)
        for place, tile in zip(places, task.permutations[target], strict=True):
            np.testing.assert_array_equal(place, cells[tile])
        # No pixel was black: those that belong to no cell are now.
        assert np.count_nonzero(after) == sum(cell.size for cell in cells)


@each_grid
@each_size
@pytest.mark.parametrize("gap", [0.15, 0.25])
def test_with_a_gap_every_place_shows_a_crop_of_its_tile_in_its_middle(grid, size, gap):
    frames = random_frames(num_frames=3, size=size, channels=3)
    task = tasks.get("jigsaw", grid=grid, gap=gap)
    examples = task.transform(frames, SEED)
    for before, after, target in zip(
        frames, examples.frames.numpy(), examples.targets, strict=True
    ):
        cells, places = cells_of(before, grid), cells_of(after, grid)
        num_shown = 0
        for place, tile in zip(places, task.permutations[target], strict=True):
            top, left = (round(gap * side) for side in place.shape[1:3])
            shown = place[
                :,
                top // 2 : top // 2 + place.shape[1] - top,
                left // 2 : left // 2 + place.shape[2] - left,
            ]
            # The same crop in all frames and channels.
            crops = crops_of(cells[tile], *shown.shape[1:3])
            assert sum(np.array_equal(shown, crop) for crop in crops.values()) == 1
            num_shown += shown.size
        assert np.count_nonzero(after) == num_shown


def test_crops_begin_anywhere_and_each_tile_s_on_its_own():
    task = tasks.get("jigsaw", grid=2, gap=0.25)  # 2 of 8 pixels: 3x3 crops of each tile
    # Pixels that tell where they are.
    cell = np.arange(1, 65, dtype=np.uint8).reshape(8, 8)
    frames = np.broadcast_to(np.tile(cell, (2, 2))[:, :, None], (3000, 1, 16, 16, 1))
    shown = task.transform(frames, SEED).frames.numpy()
    # The first pixel of each crop, in the four places.
    first = shown[:, 0, 1::8, 1::8, 0].reshape(-1, 4).astype(int) - 1
    begins = 3 * (first // 8) + first % 8
    assert begins.max() == 8
    for one, other in itertools.combinations(range(4), 2):
        counts = np.bincount(9 * begins[:, one] + begins[:, other], minlength=81)
        assert stats.chisquare(counts).pvalue > 0.001
    # And rows and columns apart from the class.
    assert len(np.unique(begins, axis=0)) > 2000


@pytest.mark.parametrize("batches", [1, 100])
def test_classes_are_drawn_uniformly_in_a_batch_and_over_seeds(batches):
    task = tasks.get("jigsaw", grid=2)
    frames = random_frames(batch=8000 // batches, num_frames=1, size=(8, 8))
    # As an agent's seeds: one number for the run, one for the update.
    draws = [task.transform(frames, tf.constant([5, update])).targets for update in range(batches)]
    counts = np.bincount(np.concatenate(draws), minlength=24)
    assert stats.chisquare(counts).pvalue > 0.01


@each_grid
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_whose_tiles_differ_has_weight_1(grid, channels):
    np.testing.assert_array_equal(weights(random_frames(channels=channels), grid=grid), 1)


@each_grid
@pytest.mark.parametrize("colour", [0, 7, 255])
def test_a_blank_picture_has_weight_0(grid, colour):
    np.testing.assert_array_equal(weights(np.full((3, 4, 24, 24, 1), colour, np.uint8)), 0)


def test_two_identical_tiles_cannot_be_told_apart_among_all_permutations():
    frames = of_colours([[1, 2, 3, 4], [1, 2, 3, 1], [5, 5, 5, 6]], grid=2)
    np.testing.assert_array_equal(weights(frames, grid=2), [1, 0, 0])


def test_two_identical_tiles_matter_little_where_permutations_are_far_apart():
    # Two permutations of the set differ in 7 places at least, so that 2 tiles do not suffice.
    frames = of_colours([[1, 2, 3, 4, 5, 6, 7, 8, 8], [0, 0, 0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(weights(frames), [1, 0])


@pytest.mark.parametrize("grid, permutations", [(2, 24), (2, 6), (3, 24), (3, 300)])
@pytest.mark.parametrize("num_colours", [2, 3, 4])
def test_the_weight_is_0_where_another_permutation_gives_the_same_picture(
    grid, permutations, num_colours
):
    task = tasks.get("jigsaw", grid=grid, permutations=permutations)
    shape = (200, grid * grid)
    colours = np.random.default_rng(0).integers(num_colours, size=shape)
    examples = task.transform(of_colours(colours, grid), SEED)
    expected = []
    for tiles, target in zip(colours, examples.targets.numpy(), strict=True):
        pictures = tiles[task.permutations]
        same = np.all(pictures == pictures[target], axis=1)
        expected.append(float(np.count_nonzero(same) == 1))
    np.testing.assert_array_equal(examples.weights, expected)
    # Both happen, unless two of all tiles are always the same and can be exchanged.
    is_hopeless = (grid, permutations) == (2, 24) and num_colours < 4
    assert np.mean(expected) < 1 and is_hopeless is not any(expected)


@pytest.mark.parametrize("place", [(0, 2, 2, 0), (3, 5, 5, 2)])
def test_one_pixel_in_the_middle_tells_two_tiles_apart(place):
    # A gap of 2 of the 8 pixels of a cell leaves 4x4 that every crop shows.
    frames = random_frames(batch=2, num_frames=4, size=(16, 16), channels=3)
    frames[:, :, :8, :8] = frames[:, :, 8:, 8:]
    frames[(1, *place)] ^= 1
    np.testing.assert_array_equal(weights(frames, grid=2, gap=0.25), [0, 1])


@pytest.mark.parametrize("place", [(0, 1, 2, 0), (3, 5, 6, 2)])
def test_tiles_that_differ_only_where_they_may_be_cut_off_count_as_identical(place):
    frames = random_frames(batch=1, num_frames=4, size=(16, 16), channels=3)
    frames[:, :, :8, :8] = frames[:, :, 8:, 8:]
    frames[(0, *place)] ^= 1
    np.testing.assert_array_equal(weights(frames, grid=2, gap=0.25), [0])
    # Without a gap nothing is cut off.
    np.testing.assert_array_equal(weights(frames, grid=2, gap=0), [1])


@pytest.mark.parametrize(
    "options, told",
    [
        ({"grid": 4}, ["'grid'", "2 or 3", "got 4"]),
        ({"grid": "3"}, ["'grid'", "got '3'"]),
        ({"grid": 3.0}, ["'grid'", "got 3.0"]),
        ({"permutations": 1}, ["'permutations'", "from 2 to 1000", "grid of 3", "got 1"]),
        ({"permutations": 1001}, ["'permutations'", "got 1001"]),
        ({"grid": 2, "permutations": 25}, ["from 2 to 24", "grid of 2", "got 25"]),
        ({"permutations": True}, ["'permutations'", "got True"]),
        ({"gap": -0.1}, ["'gap'", "[0, 0.25]", "got -0.1"]),
        ({"gap": 0.3}, ["'gap'", "got 0.3"]),
        ({"gap": float("nan")}, ["'gap'", "got nan"]),
        ({"gap": False}, ["'gap'", "got False"]),
    ],
)
def test_a_wrong_option_is_told_the_valid_ones(options, told):
    with pytest.raises(ValueError) as error:
        tasks.get("jigsaw", **options)
    message = str(error.value)
    assert "\n" not in message
    for word in ("'jigsaw'", *told):
        assert word in message


def test_a_picture_too_small_to_be_cut_is_refused():
    task = tasks.get("jigsaw")
    task.check((1, 12, 30, 3))
    with pytest.raises(ValueError, match="'jigsaw' needs frames of at least 12x12 .* got 30x11"):
        task.check((1, 30, 11, 3))


def test_the_head_reads_the_mean_of_the_map_in_each_place():
    # The area method of TensorFlow computes the same means, but has no gradient.
    features = np.random.default_rng(0).normal(size=(2, 7, 10, 5)).astype(np.float32)
    means = tf.image.resize(features, (3, 3), method="area")
    head = TilesHead(3, num_classes=24)
    np.testing.assert_allclose(head(features), head(means), atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_head_takes_a_map_that_is_coarser_than_its_grid(size):
    assert TilesHead(3, num_classes=4)(np.ones((2, size, size, 5), np.float32)).shape == (2, 4)


def test_the_head_tells_places_apart_whose_mean_is_the_same():
    features = np.random.default_rng(0).normal(size=(1, 6, 6, 8)).astype(np.float32)
    head = TilesHead(3, num_classes=24)
    assert np.abs(head(features) - head(features[:, ::-1])).max() > 1e-3
