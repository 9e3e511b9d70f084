"""SmoothGrad: the gradient of a score, smoothed by noise on the input."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfselfsup.attribution.scores import Score

# From float32 [b, ...] and targets int [b] to the gradient of each example's score, [b, ...].
Gradient = Callable[[np.ndarray, np.ndarray], np.ndarray]

# What is averaged over the noisy copies.
FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"mean_abs": np.abs, "squared": np.square}


@dataclass(frozen=True)
class SmoothGrad:
    """Averages |g| or g^2 over noisy copies of an input, g the gradient with respect to it.

    Smilkov et al. 2017 (arXiv:1706.03825) average g itself, and draw its absolute value; with
    `mean_abs` gradients that change their sign do not cancel, as in tf-keras-vis. `squared` is
    the form of Hooker et al. 2019 (arXiv:1806.10758).

    The noise depends on the seed and on the number of the copy only, and is the same for all
    images, but for its size: a call can be repeated exactly, an image has the same map whatever
    images are beside it, and the maps of a film do not flicker. Another batch size changes no more
    than the last digits, as it may change the order in which a network adds up. Noisy inputs may
    leave the range of the images, as in the paper. The memory needed beside the result is that of
    one batch.

    Attributes:
        gradient: Such as `compiled` makes.
        copies: Noisy copies of each image, 1 or more.
        noise: Standard deviation of the Gaussian noise, as a share of the image's own range
            (largest minus smallest value, over all channels); 0 gives the plain gradient, of one
            copy.
        form: A key of `FORMS`.
        seed: Of the noise, at least 0.
        batch_size: Noisy images at a time.
    """

    gradient: Gradient
    copies: int = 20
    noise: float = 0.05
    form: str = "mean_abs"
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self):
        """Checks the settings.

        Raises:
            ValueError: If one is out of its range.
        """
        for name, least in (("copies", 1), ("noise", 0), ("seed", 0), ("batch_size", 1)):
            if not least <= getattr(self, name) < float("inf"):
                raise ValueError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        if self.form not in FORMS:
            raise ValueError(f"expected a form among {', '.join(FORMS)}, got '{self.form}'")

    def __call__(
        self,
        pixels: np.ndarray,
        targets: np.ndarray,
        on_image: Callable[[float], object] | None = None,
    ) -> np.ndarray:
        """Computes the maps.

        Args:
            pixels: float [N, ...], N images.
            targets: int [N], what of the output is explained, if the score asks.
            on_image: Called after each batch with the share of an image, or the images, that it
                was worth.

        Returns:
            float32 [N, ...], at least 0, neither normalised nor summed over channels.

        Raises:
            ValueError: If the gradient is not finite.
        """
        pixels = np.ascontiguousarray(pixels, np.float32)
        inner = tuple(range(1, pixels.ndim))
        deviations = np.float32(self.noise) * (pixels.max(inner) - pixels.min(inner))
        maps = np.zeros_like(pixels)
        # Used again for every batch: fresh memory costs more than what is written to it.
        batch = np.empty((self.batch_size, *pixels.shape[1:]), np.float32)
        pairs = self._pairs(pixels.shape)
        while rows := list(itertools.islice(pairs, len(batch))):
            images = [image for image, _ in rows]
            for noisy, (image, noise) in zip(batch, rows, strict=False):
                np.multiply(noise, deviations[image], out=noisy)
                noisy += pixels[image]
            gradients = self.gradient(batch[: len(rows)], targets[images])
            for image, gradient in zip(images, gradients, strict=True):
                maps[image] += FORMS[self.form](gradient)
            if on_image is not None:
                on_image(len(rows) / self._copies)
        if not np.isfinite(maps).all():
            raise ValueError("expected finite gradients, got NaN or infinity; check the weights")
        return maps / np.float32(self._copies)

    @property
    def _copies(self) -> int:
        return self.copies if self.noise else 1

    def _pairs(self, shape: tuple[int, ...]) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs every image's number with the noise of the first copy, then of the second, ..."""
        for copy in range(self._copies):
            generator = np.random.default_rng([self.seed, copy])
            noise = generator.standard_normal(shape[1:], np.float32)
            yield from ((image, noise) for image in range(shape[0]))


def compiled(model: tf.keras.Model, score: Score) -> Gradient:
    """Compiles the gradient of a score, once for batches of every size.

    Args:
        model: From float [B, ...] to one output, such as `pixels.differentiable` makes; it answers
            as after training. Whatever weights it has when the gradient is asked for are used.
        score: From the output and targets to scores [B].
    """
    signature = (
        tf.TensorSpec((None, *model.input_shape[1:]), tf.float32),
        tf.TensorSpec((None,), tf.int64),
    )

    @tf.function(input_signature=signature)
    def gradient(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            scores = score(tf.cast(model(inputs, training=False), tf.float32), targets)
        # An example's score depends on its own input only: the gradient of the sum is all of them.
        # Zero where the output does not depend on the input at all.
        return tape.gradient(scores, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    # A view of the result: `numpy()` would copy it.
    return lambda inputs, targets: np.asarray(
        gradient(tf.constant(inputs), tf.constant(targets, tf.int64))
    )
