import importlib.util
import sys

import numpy as np
import pytest

from tests.attribution.networks import frames_of
from tfselfsup.attribution import keras_vis, pixels, scores
from tfselfsup.attribution.smoothgrad import SmoothGrad, compiled
from tfselfsup.models import encoders, heads
from tfselfsup.models.multi_head import multi_head

TARGETS = np.array([0, 1, 0])
IMAGES = pixels.of_frames(frames_of((1, 16, 16, 3)))

needs_it = pytest.mark.skipif(
    not importlib.util.find_spec("tf_keras_vis"), reason="tf-keras-vis is not installed"
)


@pytest.fixture(scope="module")
def part():
    encoder = encoders.encoder((1, 16, 16, 3), "two_layer_cnn")
    head = {name: lambda: heads.LabelHead(2) for name in ("label", "other")}
    return pixels.differentiable(multi_head(encoder, head), "label")


@needs_it
@pytest.mark.parametrize("form", ["mean_abs", "squared"])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_both_engines_give_the_same_maps(part, form, noise):
    settings = {"copies": 4, "noise": noise, "form": form, "batch_size": 5}
    one, other = (
        SmoothGrad(make(part, scores.log_odds), **settings)(IMAGES, TARGETS)
        for make in (compiled, keras_vis.saliency)
    )
    np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@needs_it
@pytest.mark.parametrize("form", ["mean_abs", "squared"])
def test_ours_is_its_own_smoothgrad_where_the_noise_is_the_same(part, form, monkeypatch):
    import tensorflow as tf
    from tf_keras_vis.saliency import Saliency

    copies, seed = 6, 3
    ours = SmoothGrad(
        compiled(part, scores.log_odds), copies=copies, noise=0.2, form=form, seed=seed
    )
    # What it would draw from NumPy's global generator: [copies, B, H, W, C], times sigma.
    noise = [
        np.random.default_rng([seed, copy]).standard_normal(IMAGES.shape[1:], np.float32)
        for copy in range(copies)
    ]
    drawn = np.stack(noise)[:, np.newaxis]
    monkeypatch.setattr(np.random, "normal", lambda mean, sigma, shape: drawn * sigma.numpy())
    modifiers = {"mean_abs": tf.abs, "squared": tf.square}
    theirs = Saliency(part)(
        lambda output: scores.log_odds(output, TARGETS),
        tf.constant(IMAGES),
        smooth_samples=copies,
        smooth_noise=0.2,
        keepdims=True,
        normalize_map=False,
        gradient_modifier=modifiers[form],
    )
    np.testing.assert_allclose(theirs, ours(IMAGES, TARGETS), rtol=1e-4, atol=1e-6)


def test_without_the_package_one_line_says_so(part, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras_vis.saliency", None)
    with pytest.raises(ValueError, match="expected tf-keras-vis, got: .*; install") as error:
        keras_vis.saliency(part, scores.log_odds)
    assert "\n" not in str(error.value)
