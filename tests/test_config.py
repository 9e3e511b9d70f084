import dataclasses

import pytest

from tfselfsup.config import (
    AgentConfig,
    AgentExperiment,
    AgentRuns,
    AugmentationConfig,
    ClassifierExperiment,
    ClassifierRuns,
    EncoderConfig,
    EnvironmentConfig,
    EvaluationConfig,
    ExplorationConfig,
    ExtractionConfig,
    FacePreparation,
    ImageDataConfig,
    LoggingConfig,
    NetworkConfig,
    ProbeConfig,
    ReplayConfig,
    Reproduction,
    RuntimeConfig,
    ScoringConfig,
    TaskConfig,
    TrainingConfig,
    differences,
)

TWO_TASKS = (TaskConfig("rotation"), TaskConfig("frame_order", 0.5, {"classes": 4}))


@pytest.mark.parametrize(
    "settings",
    [
        AgentExperiment(),
        EnvironmentConfig(),
        NetworkConfig(),
        AgentConfig(),
        TaskConfig("rotation"),
        ReplayConfig(),
        ExplorationConfig(),
        EvaluationConfig(),
        LoggingConfig(),
        RuntimeConfig(),
        Reproduction(),
        AgentRuns(),
        ClassifierRuns(),
        ExtractionConfig(),
        FacePreparation(),
        ClassifierExperiment(),
        ImageDataConfig(),
        EncoderConfig(),
        ProbeConfig(),
        AugmentationConfig(),
        TrainingConfig(),
        ScoringConfig(),
    ],
    ids=lambda settings: type(settings).__name__,
)
def test_settings_are_frozen(settings):
    for key in dataclasses.fields(settings):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, key.name, None)


def test_differences_are_dotted_and_in_order():
    one = AgentExperiment()
    other = dataclasses.replace(
        one,
        seed=4,
        agent=dataclasses.replace(one.agent, gamma=0.5, tasks=TWO_TASKS),
        logging=dataclasses.replace(one.logging, period=7),
    )
    assert differences(one, one) == {}
    assert differences(one, other) == {
        "seed": (0, 4),
        "agent.gamma": (0.99, 0.5),
        "agent.tasks": ((), TWO_TASKS),
        "logging.period": (one.logging.period, 7),
    }
    assert differences(other, one)["agent.gamma"] == (0.5, 0.99)
    assert differences(one.agent, other.agent, "a.")["a.gamma"] == (0.99, 0.5)
