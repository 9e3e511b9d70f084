from tfselfsup.config import AgentExperiment, ClassifierExperiment, TaskConfig, TrainingConfig
from tfselfsup.config.flattened import flattened


def test_settings_are_listed_by_their_dotted_names():
    found = flattened(AgentExperiment(seed=3))
    assert (found["seed"], found["environment.game"]) == (3, "pong")
    assert found["agent.double_q"] is AgentExperiment().agent.double_q
    assert {type(value) for value in found.values()} <= {bool, int, float, str}


def test_a_task_gives_its_weight_and_its_options():
    tasks = (TaskConfig("rotation", 0.5), TaskConfig("frame_order", 2.0, {"classes": 6}))
    found = flattened(TrainingConfig(tasks=tasks))
    assert {name: value for name, value in found.items() if name.startswith("tasks")} == {
        "tasks.rotation": 0.5,
        "tasks.frame_order": 2.0,
        "tasks.frame_order.classes": 6,
    }


def test_lists_are_texts_and_what_is_not_given_is_left_out():
    found = flattened(ClassifierExperiment())
    assert found["data.fractions"] == "0.7, 0.1, 0.2"
    # None, and no task.
    assert "encoder.side" not in found and "training.tasks" not in found
    assert found["training.augmentation.crop"] == 0.8
