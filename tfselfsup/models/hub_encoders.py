"""Encoders out of TF-Hub modules, such as BigBiGAN's: Donahue & Simonyan (2019), arXiv:1907.02544.

A module has a signature `encode` from x, float32 [B, 256, 256, 3] in [-1, 1], to named features.
Those that were published are https://tfhub.dev/deepmind/bigbigan-resnet50/1 and
https://tfhub.dev/deepmind/bigbigan-revnet50x4/1; any module or SavedModel with such a signature
will do. Modules stay frozen, and calculate in float32.
"""

from __future__ import annotations

import hashlib
import http.client
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_hub as hub

from tfselfsup.messages import one_line
from tfselfsup.models.multi_head import FoldTime

SIDE = 256  # pixels
_SIGNATURE = "encode"
_FILE = "saved_model.pb"


def resolve(handle: str | Path) -> Path:
    """Finds the directory of a module, and downloads the module if it has to.

    Args:
        handle: A directory with the module's files; or a URL, of which TF-Hub looks in its cache,
            `$TFHUB_CACHE_DIR/sha1(handle)` (by default `tfhub_modules` in the system's folder of
            temporary files), before it asks the network.

    Returns:
        The directory.

    Raises:
        ValueError: If there is no such module, or if it lacks its graph.
    """
    is_url = str(handle).startswith(("http://", "https://"))
    directory = _fetched(str(handle)) if is_url else Path(handle)
    if not directory.is_dir():
        raise ValueError(
            f"expected a TF-Hub handle (https://...) or the directory of a module, got '{handle}'; "
            "unpack a downloaded module and give its directory"
        )
    if not (directory / _FILE).is_file():
        raise ValueError(
            f"expected a TF-Hub module with a {_FILE}, got '{directory}' without one; "
            "if a download was cut off, delete the directory and fetch the module again"
        )
    return directory


def _fetched(url: str) -> Path:
    try:
        return Path(hub.resolve(url))
    except (OSError, ValueError, http.client.HTTPException, tf.errors.OpError) as error:
        raise ValueError(
            f"expected the TF-Hub module '{url}' in TF-Hub's cache or on the network, got "
            f"{_reason(error)}; download it elsewhere, unpack it, and give its directory in "
            "place of the handle"
        ) from error


def open_module(handle: str | Path, feature: str) -> Any:
    """Loads a module, and makes sure that it encodes.

    Args:
        handle: As for `resolve`.
        feature: Name of an output of the signature `encode`.

    Returns:
        The module. `module.signatures["encode"](x=...)` gives a dict of the features; it works for
        as long as the module is referred to.

    Raises:
        ValueError: If the module cannot be read, does not encode images, or lacks the feature.
    """
    directory = resolve(handle)
    try:
        module = hub.load(str(directory))
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            f"expected a TF-Hub module in '{directory}', got files that cannot be read "
            f"({_reason(error)}); fetch the module again"
        ) from error
    signatures = getattr(module, "signatures", {})
    if _SIGNATURE not in signatures:
        raise ValueError(
            f"expected a TF-Hub module with the signature '{_SIGNATURE}', got '{directory}' with "
            f"{', '.join(sorted(signatures)) or 'none'}; choose an encoder such as BigBiGAN's"
        )
    _check_input(directory, signatures[_SIGNATURE])
    _check_feature(directory, signatures[_SIGNATURE], feature)
    return module


def _check_input(directory: Path, encode: tf.types.experimental.ConcreteFunction) -> None:
    inputs = encode.structured_input_signature[1]
    wanted = tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32)
    if (
        set(inputs) != {"x"}
        or inputs["x"].dtype != wanted.dtype
        or not inputs["x"].shape.is_compatible_with(wanted.shape)
    ):
        given = ", ".join(f"{name} {spec.dtype.name} {spec.shape}" for name, spec in inputs.items())
        raise ValueError(
            f"expected '{_SIGNATURE}' to take x float32 {wanted.shape}, got {given or 'nothing'} "
            f"in '{directory}'; choose an encoder of {SIDE}x{SIDE} RGB images"
        )


def _check_feature(
    directory: Path, encode: tf.types.experimental.ConcreteFunction, feature: str
) -> None:
    # Without a known width no layer can be put on a feature.
    widths = {
        name: output.shape[1]
        for name, output in sorted(encode.structured_outputs.items())
        if output.shape.rank == 2 and output.shape[1] is not None
    }
    if feature not in widths:
        there_are = ", ".join(f"{name} ({width} wide)" for name, width in widths.items())
        raise ValueError(
            f"expected a feature among {there_are or 'none'} of '{directory}', got '{feature}'"
        )


@tf.keras.utils.register_keras_serializable("tfselfsup")
class CentreSquare(tf.keras.layers.Layer):
    """What BigBiGAN's published example does to a picture before it is encoded.

    The square in the middle, scaled to 256x256 by the bicubic interpolation of TensorFlow 1 (whose
    pixels' corners, not centres, are aligned), on which the encoder was trained as well. As there,
    values that overshoot the range are left alone.

    Call with float [B, H, W, 3] in [0, 1]; returns float [B, 256, 256, 3] in [-1, 1].
    """

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        """Returns the encoder's input."""
        height, width = pixels.shape[1:3]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[:, top : top + side, left : left + side]
        # Where the function of TensorFlow 1 would warn at every use that it is old.
        return 2.0 * tf.raw_ops.ResizeBicubic(images=square, size=(SIDE, SIDE)) - 1.0


@tf.keras.utils.register_keras_serializable("tfselfsup")
class HubFeature(tf.keras.layers.Layer):
    """One feature of a TF-Hub module.

    The module's own signature is called, because `hub.KerasLayer` gives the 120 wide `default`
    where no output is named. Keras does not list the module's variables: nothing can train
    them, and a hash of the model's weights does not cover them (see `content_hash`).

    Call with float32 [B, 256, 256, 3] in [-1, 1]; returns float32 [B, d].
    """

    def __init__(self, directory: str, feature: str, **kwargs):
        """Loads the module.

        Args:
            directory: Of the module.
            feature: Name of the output.
            **kwargs: Keras' own, such as `name`.
        """
        super().__init__(**kwargs)
        self._directory = directory
        self._feature = feature
        # Referred to by the layer: its variables vanish with it.
        self._module = open_module(directory, feature)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the feature."""
        return self._module.signatures[_SIGNATURE](x=x)[self._feature]

    def get_config(self) -> dict[str, object]:
        """Returns what the constructor takes."""
        own = {"directory": self._directory, "feature": self._feature}
        return {**super().get_config(), **own}


def encoder(
    frame_shape: tuple[int, int, int, int], handle: str | Path, feature: str = "avepool_feat"
) -> tf.keras.Model:
    """Builds a model out of a TF-Hub module, like `models.encoders` does out of a trunk.

    Its layer `pixels` gives float32 [B, H, W, 3] in [0, 1]; what follows can be differentiated with
    respect to that.

    Args:
        frame_shape: (T, H, W, C) of the input; T must be 1 and C must be 3.
        handle: As for `resolve`.
        feature: Output of the module's signature `encode`. Of BigBiGAN's `avepool_feat` (2048 or
            8192 wide), `bn_crelu_feat` (twice that), `z_mean`, `z_stdev`; `z_sample` is random.

    Returns:
        A functional model from uint8 [B, 1, H, W, 3] to {"pooled": float32 [B, d]}.

    Raises:
        ValueError: If the frames are no single RGB pictures, or as in `open_module`.
    """
    time, height, width, channels = frame_shape
    if (time, channels) != (1, 3):
        raise ValueError(
            f"expected frames of shape (1, H, W, 3), got {tuple(frame_shape)}; "
            "give a TF-Hub encoder single RGB pictures, or choose another trunk"
        )
    directory = str(resolve(handle).absolute())
    # Whatever policy is in force: the module takes and gives float32 only.
    frames = tf.keras.Input((time, height, width, channels), dtype=tf.uint8, name="frames")
    pixels = FoldTime(name="pixels", dtype="float32")(frames)
    x = CentreSquare(name="centre_square", dtype="float32")(pixels)
    features = HubFeature(directory, feature, name="hub_feature", dtype="float32")(x)
    return tf.keras.Model(frames, {"pooled": features}, name="hub_encoder")


def content_hash(handle: str | Path) -> str:
    """Names the weights of a module: the SHA-256 of its files' relative paths and contents.

    Args:
        handle: As for `resolve`.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: As in `resolve`.
    """
    directory = resolve(handle)
    total = hashlib.sha256()
    files = {
        path.relative_to(directory).as_posix(): path
        for path in directory.rglob("*")
        if path.is_file()
    }
    for name in sorted(files):
        with files[name].open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name}\0{digest}\0".encode())
    return total.hexdigest()


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}" if str(error).strip() else one_line(error)
