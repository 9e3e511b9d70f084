"""The trunks there are: from pixels to the features that every head reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfselfsup import plugins
from tfselfsup.models import alexnet, mobilenet, nature_cnn, resnet50, squeezenet, two_layer_cnn

GROUP = "trunks"  # of entry points
KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
SQUEEZENET = "https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0"


class Published(NamedTuple):
    """A file of weights that somebody published.

    Attributes:
        file: Its name in Keras' cache.
        url: Where it is to be had.
        md5: MD5 or SHA-256 of its content, as `tf.keras.utils.get_file` takes it, where known.
    """

    file: str
    url: str
    md5: str | None = None


class Trunk(NamedTuple):
    """What is known of a trunk.

    Attributes:
        build: Builds it on a Keras tensor, float [B, H, W, T*C] in [0, 1], and returns its features
            by name: `pooled` [B, d], where there is one `map` [B, h, w, c], and further ones.
        side: Height and width it was published with, in pixels.
        imagenet: The weights that the word `imagenet` stands for.
        pytorch: A checkpoint for PyTorch, which has to be imported first.
        channels: The number of channels T*C it needs, if not any will do.
    """

    build: Callable[[tf.Tensor], dict[str, tf.Tensor]]
    side: int
    imagenet: Published | None = None
    pytorch: Published | None = None
    channels: int | None = None


TRUNKS: dict[str, Trunk] = {
    "nature_cnn": Trunk(nature_cnn.build, side=84),
    "two_layer_cnn": Trunk(two_layer_cnn.build, side=16),
    "alexnet": Trunk(
        alexnet.build,
        side=224,
        pytorch=Published(
            "alexnet-owt-7be5be79.pth",
            "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        ),
        channels=3,
    ),
    "alexnet_bn": Trunk(
        alexnet.build_batch_norm,
        side=224,
        pytorch=Published("model_net_epoch50", "https://github.com/gidariss/FeatureLearningRotNet"),
        channels=3,
    ),
    "resnet50": Trunk(
        resnet50.build,
        side=224,
        imagenet=Published(
            "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            f"{KERAS}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
        channels=3,
    ),
    "mobilenet": Trunk(
        mobilenet.build,
        side=224,
        imagenet=Published(
            "mobilenet_1_0_224_tf_no_top.h5", f"{KERAS}/mobilenet/mobilenet_1_0_224_tf_no_top.h5"
        ),
        channels=3,
    ),
    "squeezenet": Trunk(
        squeezenet.build,
        side=227,
        imagenet=Published(
            "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
            f"{SQUEEZENET}/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
        channels=3,
    ),
}


def names() -> list[str]:
    """Lists the trunks: those here, then those of packages, entry points of `tfselfsup.trunks`.

    Raises:
        ValueError: If a package's trunk has the name of one here.
    """
    return plugins.names(GROUP, TRUNKS)


def get(name: str) -> Trunk:
    """Finds a trunk by its name, here or in an installed package.

    Raises:
        ValueError: If there is none; the message lists those there are. Or if a package's cannot be
            imported, or is no `Trunk`.
    """
    return plugins.find(GROUP, "a trunk", TRUNKS, name, lambda part: isinstance(part, Trunk))
