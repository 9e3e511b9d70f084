"""The settings of every experiment, as frozen dataclasses.

`tfselfsup.command_line` reads YAML files and command-line options that override the defaults.
Nothing here imports TensorFlow, so that every program answers ``--help`` at once.
"""

from tfselfsup.config.agents import (
    AgentConfig,
    AgentExperiment,
    EnvironmentConfig,
    EvaluationConfig,
    ExplorationConfig,
    LoggingConfig,
    NetworkConfig,
    ReplayConfig,
)
from tfselfsup.config.classifiers import (
    AugmentationConfig,
    ClassifierExperiment,
    EncoderConfig,
    ImageDataConfig,
    ProbeConfig,
    ScoringConfig,
    TrainingConfig,
)
from tfselfsup.config.faces import ExtractionConfig, FacePreparation
from tfselfsup.config.reproduction import AgentRuns, ClassifierRuns, Reproduction
from tfselfsup.config.shared import RuntimeConfig, Scalar, TaskConfig, differences

Experiment = AgentExperiment | ClassifierExperiment

__all__ = [
    "AgentConfig",
    "AgentExperiment",
    "AgentRuns",
    "AugmentationConfig",
    "ClassifierExperiment",
    "ClassifierRuns",
    "EncoderConfig",
    "EnvironmentConfig",
    "EvaluationConfig",
    "Experiment",
    "ExplorationConfig",
    "ExtractionConfig",
    "FacePreparation",
    "ImageDataConfig",
    "LoggingConfig",
    "NetworkConfig",
    "ProbeConfig",
    "ReplayConfig",
    "Reproduction",
    "RuntimeConfig",
    "Scalar",
    "ScoringConfig",
    "TaskConfig",
    "TrainingConfig",
    "differences",
]
