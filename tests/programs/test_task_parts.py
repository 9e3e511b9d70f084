import pytest

from tfselfsup.command_line import built, experiment_parser
from tfselfsup.config import AgentExperiment, ClassifierExperiment
from tfselfsup.models.encoders import encoder
from tfselfsup.models.multi_head import multi_head
from tfselfsup.programs.task_parts import make_tasks

# How an experiment of each kind is told its tasks, what it shows them, and to which trunk.
AGENT = (AgentExperiment, "agent.tasks", (4, 84, 84, 1), "nature_cnn")
CLASSIFIER = (ClassifierExperiment, "training.tasks", (1, 64, 64, 3), "squeezenet")


def asked(kind, tasks):
    """Makes the tasks that a command line names, and a network with their heads."""
    experiment_class, key, frame_shape, trunk = kind
    parser = experiment_parser("", experiment_class)
    experiment = built(experiment_class, parser, parser.parse_args([f"--{key}", tasks]))
    section, _, name = key.partition(".")
    found = make_tasks(getattr(getattr(experiment, section), name), frame_shape, key)
    heads = {name: task.head for name, task in found.items()}
    return found, multi_head(encoder(frame_shape, trunk), heads)


@pytest.mark.parametrize(
    "kind, tasks, outputs",
    [
        (AGENT, "[{name: jigsaw}]", {"jigsaw": (24,)}),
        (AGENT, "[{name: jigsaw, options: {grid: 2, permutations: 6}}]", {"jigsaw": (6,)}),
        (
            AGENT,
            "[{name: arrow_of_time, weight: 0.5}, {name: jigsaw, options: {gap: 0}}]",
            {"arrow_of_time": (2,), "jigsaw": (24,)},
        ),
        (CLASSIFIER, "[{name: jigsaw}]", {"jigsaw": (24,)}),
        (
            CLASSIFIER,
            "[{name: colorization, options: {cells: 4, step: 20}}, {name: rotation}]",
            {"colorization": (4, 4, 74), "rotation": (4,)},
        ),
    ],
)
def test_tasks_are_found_and_have_heads(kind, tasks, outputs):
    found, network = asked(kind, tasks)
    assert list(found) == list(outputs)
    shapes = {name: tuple(output.shape[1:]) for name, output in network.output.items()}
    assert shapes == outputs


@pytest.mark.parametrize(
    "kind, tasks, message",
    [
        (AGENT, "[{name: colorization}]", "'colorization' needs colour .* 3 channels, got 1"),
        (CLASSIFIER, "[{name: arrow_of_time}]", "'arrow_of_time' needs at least 2 frames .* got 1"),
        (CLASSIFIER, "[{name: frame_order}]", "'frame_order' needs at least 4 frames .* got 1"),
        (AGENT, "[{name: jigsaw, options: {grid: 5}}]", "'grid' .* must be 2 or 3, got 5"),
        (AGENT, "[{name: jigsaw, options: {tiles: 9}}]", "'tiles'; valid options: grid, "),
        (AGENT, "[{name: jigsaw}, {name: jigsaw}]", "once in agent.tasks, got 'jigsaw' twice"),
    ],
)
def test_a_task_that_cannot_be_asked_is_one_line(kind, tasks, message):
    with pytest.raises(ValueError, match=message) as error:
        asked(kind, tasks)
    assert "\n" not in str(error.value)
