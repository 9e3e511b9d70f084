import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.attribution.networks import bright_square_detector, frames_of
from tfselfsup.attribution import figures, pixels, questions, sanity
from tfselfsup.attribution.smoothgrad import SmoothGrad, compiled
from tfselfsup.models import encoders, heads
from tfselfsup.models.multi_head import multi_head

TARGETS = np.ones(4, int)


@pytest.fixture
def part():
    tf.keras.utils.set_random_seed(0)
    encoder = encoders.encoder((1, 16, 16, 3), "two_layer_cnn")
    heads_made = {name: lambda: heads.LabelHead(2) for name in ("label", "other")}
    return pixels.differentiable(multi_head(encoder, heads_made), "label")


def maps_of(part, question):
    gradient = compiled(part, question.score)
    images = pixels.of_frames(frames_of((1, 16, 16, 3), count=4))
    return lambda: SmoothGrad(gradient, copies=3)(images, TARGETS)


def test_maps_change_when_the_weights_are_randomised_and_the_weights_come_back(part):
    before = part.get_weights()
    question = questions.of_class("label")
    table = sanity.randomised_layers(part, maps_of(part, question), seed=0)
    # From the output to the input, the heads that were not asked left out.
    assert table["layer"].tolist()[:2] == ["original", "label"]
    assert table["layer"].tolist()[2:] == [
        layer.name for layer in reversed(part.layers[:-1]) if layer.weights
    ]
    assert table["correlation"][0] == 1
    assert table["correlation"].iloc[-1] < 0.95
    for old, new in zip(before, part.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_map_does_not_survive_the_weights_that_it_is_of(explained):
    part = pixels.differentiable(bright_square_detector(), "label")
    images, _, _ = explained
    gradient = compiled(part, questions.of_class("label").score)
    table = sanity.randomised_layers(part, lambda: SmoothGrad(gradient)(images, TARGETS), seed=0)
    assert table["layer"].tolist() == ["original", "head", "average"]
    # The head looks elsewhere now.
    assert (table["correlation"][1:] < 0.3).all()


def test_the_weights_come_back_after_an_error(part):
    before, calls = part.get_weights(), []

    def failing():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.random.default_rng(0).random((1, 4, 4))

    with pytest.raises(KeyboardInterrupt):
        sanity.randomised_layers(part, failing, seed=0)
    for old, new in zip(before, part.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_maps_that_ignore_the_network_are_caught(part):
    edges = np.random.default_rng(0).random((2, 6, 6, 3))
    table = sanity.randomised_layers(part, lambda: edges, seed=0)
    np.testing.assert_allclose(table["correlation"], 1)


def test_randomised_means_shuffled_and_cumulative(part):
    original, seen = part.get_weights(), []

    def maps():
        seen.append(part.get_weights())
        return np.random.default_rng(0).random((1, 4, 4))

    sanity.randomised_layers(part, maps, seed=0)
    np.testing.assert_array_equal(seen[0][0], original[0])
    for index, weight in enumerate(original):
        np.testing.assert_array_equal(np.sort(seen[-1][index].ravel()), np.sort(weight.ravel()))
    changed = [
        sum((one != other).any() for one, other in zip(weights, original, strict=True))
        for weights in seen
    ]
    assert changed[0] == 0 and changed == sorted(changed) and changed[-1] == len(original) / 2


def test_a_deep_networks_layers_are_shuffled_several_at_a_time(part):
    names = [layer.name for layer in reversed(part.layers) if layer.weights]
    assert len(names) == 4
    noise = np.random.default_rng(0).random((1, 4, 4))
    table = sanity.randomised_layers(part, lambda: noise, seed=0, steps=2)
    assert table["layer"].tolist() == ["original", names[1], names[3]]


def test_a_constant_map_ranks_nothing(part):
    maps = iter([np.arange(16.0).reshape(1, 4, 4)] + [np.zeros((1, 4, 4))] * 99)
    table = sanity.randomised_layers(part, lambda: next(maps), seed=0)
    assert (table["correlation"][1:] == 0).all()


@pytest.fixture(scope="module")
def explained():
    """A detector of one bright square, pictures with it, their maps, and the curves."""
    part = pixels.differentiable(bright_square_detector(), "label")
    frames = frames_of((1, 16, 16, 1), count=4) // 8
    frames[:, 0, 4:8, 6:10] = 255
    images, targets = pixels.of_frames(frames), np.ones(4, int)
    question = questions.of_class("label")
    maps = SmoothGrad(compiled(part, question.score))(images, targets)
    answers = questions.Answers(part, question, 8)

    def score_of(changed):
        return answers.measured(changed, targets)

    return images, maps, score_of


@pytest.fixture(scope="module")
def curves(explained):
    images, maps, score_of = explained
    return sanity.deletion_and_insertion(score_of, images, maps, steps=16)


def score(curves, curve, order):
    rows = curves[(curves["curve"] == curve) & (curves["order"] == order)]
    return rows["score"].to_numpy()


def test_the_evidence_goes_first_and_comes_first(explained, curves):
    images, _, score_of = explained
    deleted, inserted = (score(curves, name, "map") for name in ("deletion", "insertion"))
    whole = score_of(images).mean()
    assert deleted[0] == pytest.approx(whole) and inserted[-1] == pytest.approx(whole)
    # One step in 16 is the 16 pixels of the square.
    assert deleted[1] < 0.2 < 0.85 < whole and inserted[1] == pytest.approx(whole, rel=1e-3)


def test_the_map_beats_a_random_order(curves):
    areas = sanity.areas(curves).set_index("curve")
    assert areas.loc["deletion", "map"] < areas.loc["deletion", "random"] - 0.2
    assert areas.loc["insertion", "map"] > areas.loc["insertion", "random"] + 0.02


def test_both_orders_begin_and_end_alike(curves):
    for name in ("deletion", "insertion"):
        one, other = (score(curves, name, order) for order in ("map", "random"))
        assert len(one) == 17
        np.testing.assert_allclose(one[[0, -1]], other[[0, -1]], rtol=1e-5)


def test_a_random_map_is_no_better_than_a_random_order(explained):
    images, maps, score_of = explained
    noise = np.random.default_rng(1).random(maps.shape)
    curves = sanity.deletion_and_insertion(score_of, images, noise, steps=16)
    areas = sanity.areas(curves).set_index("curve")
    assert areas.loc["deletion", "map"] == pytest.approx(areas.loc["deletion", "random"], abs=0.12)


def test_orders_are_drawn_from_the_seed(explained):
    images, maps, score_of = explained
    one, same, other = (
        sanity.deletion_and_insertion(score_of, images, maps, steps=4, seed=seed)
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_deleted_pixels_get_the_mean_colour():
    images = np.random.default_rng(0).random((2, 4, 4, 3))
    seen = []

    def score_of(changed):
        seen.append(changed)
        return np.zeros(2)

    maps = np.zeros((2, 4, 4, 3))
    maps[:, 1, 2, 0] = 1  # one channel is enough
    sanity.deletion_and_insertion(score_of, images, maps, steps=16, random_orders=1)
    expected = images.copy()
    expected[:, 1, 2] = images.mean((1, 2))
    np.testing.assert_array_equal(seen[0], images)
    np.testing.assert_allclose(seen[1], expected)
    np.testing.assert_allclose(
        seen[16], np.broadcast_to(images.mean((1, 2))[:, None, None], images.shape)
    )


def test_areas_are_those_of_trapezoids():
    rows = [("deletion", order, at / 2, value) for order, at, value in [
        ("map", 0, 1.0), ("map", 1, 0.5), ("map", 2, 0.0),
        ("random", 0, 1.0), ("random", 1, 1.0), ("random", 2, 0.0),
    ]]  # fmt: skip
    areas = sanity.areas(pd.DataFrame(rows, columns=["curve", "order", "fraction", "score"]))
    assert areas.to_dict("records") == [{"curve": "deletion", "map": 0.5, "random": 0.75}]


def test_the_figures_show_what_the_tables_say(curves):
    axes = figures.deletion_and_insertion(curves, "probability").axes
    assert [one.get_title() for one in axes] == ["deletion", "insertion"]
    assert axes[0].get_ylabel() == "probability"
    drawn = {line.get_label().split()[0]: line.get_ydata() for line in axes[0].get_lines()}
    for order in ("map", "random"):
        np.testing.assert_array_equal(drawn[order], score(curves, "deletion", order))
    table = pd.DataFrame({"layer": ["original", "label"], "correlation": [1.0, 0.2]})
    (axes,) = figures.randomised_layers(table).axes
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), [1.0, 0.2])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["original", "label"]
