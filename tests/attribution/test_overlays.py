import cv2
import matplotlib
import numpy as np
import pytest

from tfselfsup.attribution import overlays

BRIGHTEST, DARKEST = (
    np.array([round(255 * value) for value in matplotlib.colormaps[overlays.COLOURS](end)[:3]])
    for end in (1.0, 0.0)
)
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def map_of(*bright, shape=(6, 8)):
    found = np.zeros(shape)
    for place in bright:
        found[place] = 2.0
    return found


def test_the_largest_value_is_the_brightest_and_0_the_darkest():
    drawn = overlays.coloured(map_of((1, 2)), 2.0)
    np.testing.assert_array_equal(drawn[1, 2], BRIGHTEST)
    np.testing.assert_array_equal(drawn[0, 0], DARKEST)
    # Whatever is larger looks alike.
    np.testing.assert_array_equal(overlays.coloured(map_of((1, 2)), 0.1), drawn)


def test_where_a_map_is_0_the_image_is_seen_in_grey():
    drawn = overlays.overlay(IMAGE, map_of((1, 2)), 2.0)
    np.testing.assert_array_equal(drawn[1, 2], BRIGHTEST)
    grey = np.broadcast_to(IMAGE.mean(-1, keepdims=True).round(), IMAGE.shape)
    others = np.ones((6, 8), bool)
    others[1, 2] = False
    np.testing.assert_array_equal(drawn[others], grey[others])


def test_one_extreme_pixel_does_not_darken_the_rest():
    values = np.ones(10_000)
    values[0] = 1e6
    assert overlays.scale_of(values) == 1.0
    # Where nearly all is 0 the largest value counts, and where all is 0 anything does.
    assert overlays.scale_of(map_of((0, 0), shape=(50, 50))) == 2.0
    assert overlays.scale_of(np.zeros(9)) == 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_input_map_and_overlay_stand_side_by_side(channels):
    image, map_ = IMAGE[..., :channels], map_of((1, 2))
    drawn = overlays.side_by_side(image, map_, 2.0)
    factor = 38  # 6 pixels high: at least 224
    assert drawn.shape == (6 * factor, 3 * 8 * factor + 2 * 4, 3)
    first, second, third = (drawn[::factor, at : at + 8 * factor : factor] for at in (0, 308, 616))
    np.testing.assert_array_equal(first, overlays.as_rgb(image))
    np.testing.assert_array_equal(second, overlays.coloured(map_, 2.0))
    np.testing.assert_array_equal(third, overlays.overlay(image, map_, 2.0))
    assert (drawn[:, 304:308] == 255).all()
    # Without the map it is on the map's own scale.
    both = overlays.input_and_overlay(image, map_)
    np.testing.assert_array_equal(both, np.delete(drawn, np.s_[304:612], axis=1))


@pytest.mark.parametrize("height, width", [(3, 4), (6, 8), (24, 32)])
def test_a_map_is_scaled_to_what_it_is_drawn_over(height, width):
    map_ = np.zeros((6, 8), np.float32)
    map_[:, 4:] = 2.0
    found = overlays.fitted(map_, height, width)
    assert found.shape == (height, width) and found.min() >= 0
    assert found.mean() == pytest.approx(map_.mean(), rel=1e-5)
    assert (found[:, : width // 4] == 0).all() and (found[:, -width // 4 :] == 2).all()


def test_a_strip_has_a_row_for_each_frame_on_one_scale():
    frames = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 1), np.uint8)
    maps = np.random.default_rng(1).random((4, 16, 16, 1))
    maps[3] *= 10
    drawn = overlays.strip(frames, maps)
    assert drawn.shape == (4 * 224 + 3 * 4, 3 * 224 + 2 * 4, 3)
    largest = overlays.scale_of(maps)
    for number in range(4):
        row = drawn[228 * number : 228 * number + 224]
        expected = overlays.side_by_side(frames[number], maps[number, ..., 0], largest)
        np.testing.assert_array_equal(row, expected)


def test_large_images_keep_their_size():
    image = np.zeros((224, 300, 3), np.uint8)
    assert overlays.enlarged(image) is not None
    assert overlays.enlarged(image).shape == image.shape


def test_a_png_holds_the_image():
    content = np.frombuffer(overlays.png(IMAGE), np.uint8)
    decoded = cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(decoded, IMAGE)
