"""How long a plan will take on this machine, from short measurements of it."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from tfselfsup.config import (
    EvaluationConfig,
    ImageDataConfig,
    LoggingConfig,
    RuntimeConfig,
    ScoringConfig,
)
from tfselfsup.programs import reproduction_speeds as speeds
from tfselfsup.programs.planned_runs import (
    Planned,
    PlannedAgent,
    PlannedClassifier,
    PlannedSplices,
    described_faces,
)
from tfselfsup.programs.reproduction_speeds import Request, Speed

GAME_STEPS = 2000  # agent steps that a game is taken to last, between a beginner's and a master's
SCORING_SHARE = 1 / 3  # a forward pass beside one forward, two backward: an image that is scored


def measured_speeds(planned: Sequence[Planned]) -> dict[Hashable, Speed | None]:
    """Measures each kind of run that is not done, once.

    Args:
        planned: The runs.

    Returns:
        The speeds, by what `estimates` finds them by.
    """
    requests: dict[Hashable, Request] = {}
    for one in planned:
        if one.status().is_to_be_made:
            request = _request(one)
            requests.setdefault(_key(one, request), request)
    return speeds.measure(requests) if requests else {}


def estimates(
    planned: Sequence[Planned], found: Mapping[Hashable, Speed | None]
) -> list[float | None]:
    """Estimates how long each run will take.

    Args:
        planned: The runs.
        found: As `measured_speeds` returns them.

    Returns:
        Seconds of what is left to do of each, 0 if it is done or broken, and None if it is not
        known.
    """
    splices = {one.folder: one.count for one in planned if isinstance(one, PlannedSplices)}
    encoded: set[Hashable] = set()
    seconds: list[float | None] = []
    for one in planned:
        features = _features(one)
        if not one.status().is_to_be_made:
            seconds.append(0.0)
        elif (speed := found.get(_key(one, _request(one)))) is None:
            seconds.append(None)
        elif isinstance(one, PlannedClassifier):
            images = splices.get(Path(one.experiment.data.path)) or _stored_images(one)
            seconds.append(_classifier_seconds(one, speed, images, features in encoded))
        else:
            seconds.append(_seconds(one, speed))
        encoded.add(features)
    return seconds


@functools.singledispatch
def _request(one: Planned) -> Request:
    """Says what has to be measured for a run, without all that does not matter to its speed."""
    raise NotImplementedError(type(one).__name__)


@_request.register
def _(one: PlannedAgent) -> Request:
    experiment = dataclasses.replace(
        one.experiment,
        seed=0,
        total_steps=1_000_000,
        logging=LoggingConfig(),
        evaluation=EvaluationConfig(num_envs=one.experiment.evaluation.num_envs),
    )
    return Request(speeds.measure_agent, experiment, one.name, one.experiment.runtime)


@_request.register
def _(one: PlannedClassifier) -> Request:
    own = one.experiment
    experiment = dataclasses.replace(
        own,
        seed=0,
        cache="",
        data=ImageDataConfig(kind=own.data.kind),
        encoder=dataclasses.replace(own.encoder, weights=""),
        training=dataclasses.replace(own.training, epochs=1),
        scoring=ScoringConfig(),
    )
    return Request(speeds.measure_classifier, experiment, one.name, own.runtime)


@_request.register
def _(one: PlannedSplices) -> Request:
    return Request(speeds.measure_splices, one.side, one.name, RuntimeConfig(0, 0))


def _key(one: Planned, request: Request) -> Hashable:
    """Names what is measured; games differ little in speed, and the first one stands for all."""
    argument = request.argument
    if isinstance(one, PlannedAgent):
        environment = dataclasses.replace(argument.environment, game="")
        argument = dataclasses.replace(argument, environment=environment)
    # Settings that hold tables of options have no hash.
    return request.measure.__name__, str(argument)


def _features(one: Planned) -> Hashable:
    """Names the features that a probe computes, or finds in the cache if another did before."""
    if not isinstance(one, PlannedClassifier) or one.epochs:
        return one.name
    own = one.experiment
    seed = own.seed if own.encoder.weights == "random" else None
    return own.encoder, own.data.path, seed


@functools.singledispatch
def _seconds(one: Planned, speed: Speed) -> float:
    raise NotImplementedError(type(one).__name__)


@_seconds.register
def _(one: PlannedSplices, speed: Speed) -> float:
    # They are made, written and read once, and packed.
    return speed.importing + 2 * one.count / speed.images


@_seconds.register
def _(one: PlannedAgent, speed: Speed) -> float:
    settings, played = one.experiment, one.experiment.evaluation
    seconds = 2 * speed.importing + played.episodes * GAME_STEPS / speed.playing
    if speed.learning is None:
        return seconds
    left = max(0, one.total_steps - one.steps_done)
    # A resumed run has its memory, and learns from the beginning.
    before = 0 if one.steps_done else min(settings.agent.learning_starts, left)
    games = left // played.curve_period * played.curve_episodes if played.curve_period else 0
    return (
        seconds
        + 1.5 * speed.building
        + (left - before) / speed.learning
        + (before + games * GAME_STEPS) / speed.playing
    )


def _classifier_seconds(
    one: PlannedClassifier, speed: Speed, images: int | None, is_encoded: bool
) -> float | None:
    if images is None:
        return None
    starting = 2 * speed.importing + 1.5 * speed.building
    train, validation, test = (images * share for share in one.experiment.data.fractions)
    if speed.fitted is not None:
        return starting + train / speed.fitted + (0 if is_encoded else images / speed.images)
    left = max(0, one.epochs - one.steps_done)
    # After the last epoch both checkpoints are scored once more.
    scored = (left + 2) * validation + test
    return starting + (left * train + SCORING_SHARE * scored) / speed.images


def _stored_images(one: PlannedClassifier) -> int | None:
    """Counts the images of a data set that is there."""
    settings = one.experiment.data
    if settings.kind == "digits":
        return 9298  # of USPS, whatever file it is in
    for description in described_faces(Path(settings.path)):
        try:
            splits = json.loads(description.read_text())["splits"]
            return sum(int(length) for split in splits for length in split["shardLengths"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # the program that reads the images says what is wrong
    return None
