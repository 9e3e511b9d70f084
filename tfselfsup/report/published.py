"""The figures the study published: Agarwal, Sinha and Ayush, "Is Self-Supervision Helpful?" (2019).

Human and record scores are those the study quotes for comparison.
"""

from typing import NamedTuple

STUDY = (
    'Agarwal, Sinha and Ayush, "Is Self-Supervision Helpful? Exploring Self-Supervision in'
    ' Reinforcement Learning and Classification" (Stanford, 2019)'
)

# Mean score over 100 episodes, by game and agent; the study's second table. The learning agents are
# single runs of 1,000,000 agent steps, scored on training episodes.
AGENT_SCORES: dict[str, dict[str, float]] = {
    "pong": {
        "random": -21.0,
        "dqn": 20.0,
        "human": -3.0,
        "world record": 21.0,
        "rotation": -20.1,
        "sequence": 18.2,
    },
    "breakout": {
        "random": 1.25,
        "dqn": 9.9,
        "human": 30.5,
        "world record": 864.0,
        "rotation": 7.6,
        "sequence": 14.9,
    },
}


class Classifier(NamedTuple):
    """A classifier of the study.

    Attributes:
        model: Name of the trunk, or of the TF-Hub encoder.
        weights: What it starts from; None where there is only one release of the encoder.
        task: The self-supervised task beside the class, if any.
        mode: `probe`, a linear classifier on the frozen trunk, or `fine_tune`, end to end.
        accuracy: Per cent, by the split that the test part is from.
        files: Names, without ending, of the files that such weights come in.
    """

    model: str
    weights: str | None
    task: str | None
    mode: str
    accuracy: dict[str, float]
    files: tuple[str, ...] = ()


# Accuracy on frames of DFDC videos; the study's first table.
FACES = (
    Classifier("resnet50", "random", None, "probe", {"random": 56.7, "hard": 56.2}),
    Classifier("resnet50", "imagenet", None, "probe", {"random": 96.1, "hard": 91.1}),
    Classifier(
        "alexnet",
        "imagenet",
        None,
        "probe",
        {"random": 81.5, "hard": 73.5},
        files=("alexnet", "alexnet_imagenet"),
    ),
    # AlexNet with batch normalisation, trained to name the rotation of ImageNet's photos.
    Classifier(
        "alexnet_bn",
        "imagenet and rotation",
        None,
        "probe",
        {"random": 75.8, "hard": 71.1},
        files=("rotnet", "alexnet_imagenet_rotation"),
    ),
    Classifier("bigbigan_resnet50", None, None, "probe", {"random": 92.3, "hard": 70.8}),
    Classifier("bigbigan_revnet50x4", None, None, "probe", {"random": 96.5, "hard": 92.7}),
)

# Accuracy on MNIST's own test part, without and with the rotation's loss beside the class loss.
DIGITS = (
    Classifier("two_layer_cnn", "random", None, "fine_tune", {"official": 99.19}),
    Classifier("two_layer_cnn", "random", "rotation", "fine_tune", {"official": 98.45}),
)
