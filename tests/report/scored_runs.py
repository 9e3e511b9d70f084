"""Scored agents and classifiers for the tests of the report."""

from pathlib import Path

import pandas as pd

from tfselfsup.config import AgentConfig, AgentExperiment, TaskConfig
from tfselfsup.report.agents import AgentRun
from tfselfsup.report.classifiers import ClassifierRun

# What most of the classifiers in the tests have in common.
MODEL = {
    "stand_in": False,
    "task": None,
    "data_set": "dfdc",
    "split": "hard",
    "part": "test",
    "seed": 0,
}
EVALUATION = {
    "kind": "classifier",
    "model": "mobilenet",
    "weights": "imagenet",
    **MODEL,
    "accuracy": 0.69,
    "accuracy_low": 0.65,
    "accuracy_high": 0.73,
    "auc": 0.76,
    "auc_low": 0.71,
    "auc_high": 0.81,
    "protocol": {"mode": "probe", "solver": "lbfgs"},
}


def classifier(name="run", **changed) -> ClassifierRun:
    """A classifier with the scores of `EVALUATION`, but for what is changed."""
    return ClassifierRun(Path(name), EVALUATION | changed)


def agent(name, score, *, seed=0, game="pong", finished=True, **settings) -> AgentRun:
    """An agent with one task, or none if it is called dqn."""
    tasks = () if name == "dqn" else (TaskConfig(name),)
    experiment = AgentExperiment(agent=AgentConfig(tasks=tasks, **settings))
    evaluation = {"agent": name, "game": game, "seed": seed, "agent_steps": 1000 + seed}
    # Two games, the mean of which is the run's score.
    evaluation |= {"scores": [score - 1, score + 1], "mean": score, "finished": finished}
    return AgentRun(Path(f"{name}_{seed}"), experiment, evaluation, pd.DataFrame())


def agents(name, scores, **others) -> list[AgentRun]:
    """Seeds of an agent, from 0 on."""
    return [agent(name, score, seed=seed, **others) for seed, score in enumerate(scores)]
