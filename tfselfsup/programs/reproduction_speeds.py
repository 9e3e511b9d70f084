"""Short measurements of this machine, each kind in a process of its own: what a plan will take."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import sys
import time
import types
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

from tfselfsup.config import AgentExperiment, ClassifierExperiment, RuntimeConfig
from tfselfsup.messages import one_line
from tfselfsup.programs.child_program import end_with
from tfselfsup.programs.startup import import_quietly, start_tensorflow

LEARNT_STEPS, WARM_UP_STEPS = 200, 100  # agent steps
PLAYED_STEPS, PLAYED_BEFORE = 60, 10  # of all games side by side
BATCHES = 2
FITTED_IMAGES = 400
MADE_SPLICES = 32

_importing = 0.0  # seconds, in a measuring process


class AgentSpeed(NamedTuple):
    """How fast an agent is.

    Attributes:
        importing: Seconds a program needs before it does anything.
        building: Seconds until networks are made and compiled.
        learning: Agent steps per second; None for the Random agent.
        playing: Agent steps per second of all games while it is scored.
    """

    importing: float
    building: float
    learning: float | None
    playing: float


class ClassifierSpeed(NamedTuple):
    """How fast a classifier is.

    Attributes:
        importing: As of an agent.
        building: As of an agent.
        images: Images per second, encoded for a probe, and learnt from in the other modes.
        fitted: Images per second that a probe is fitted to; None in the other modes.
    """

    importing: float
    building: float
    images: float
    fitted: float | None


class SpliceSpeed(NamedTuple):
    """How fast splices are made.

    Attributes:
        importing: As of an agent.
        images: Images per second.
    """

    importing: float
    images: float


Speed = AgentSpeed | ClassifierSpeed | SpliceSpeed


class Request(NamedTuple):
    """What is to be measured.

    Attributes:
        measure: One of this module's functions.
        argument: What it takes.
        name: What for, to tell people.
        runtime: Threads of the process it is measured in.
    """

    measure: Callable[[Any], Speed | None]
    argument: Any
    name: str
    runtime: RuntimeConfig


def measure(requests: Mapping[Hashable, Request]) -> dict[Hashable, Speed | None]:
    """Measures one after another, in a process for each setting of threads.

    Args:
        requests: By any key.

    Returns:
        What was measured by the same keys; None for a TF-Hub module, and where it
        failed, which is said.
    """
    from tqdm import tqdm

    found: dict[Hashable, Speed | None] = {}
    if not sys.stderr.isatty():  # where there is no bar
        print(f"measuring {len(requests)} kinds of run on this machine", file=sys.stderr)
    with tqdm(total=len(requests), unit=" measurements", leave=False, disable=None) as bar:
        for runtime in dict.fromkeys(request.runtime for request in requests.values()):
            # Forking would copy the threads of TensorFlow, if there are any, in an unknown state.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, context, _start, (runtime, os.getpid())) as process:
                for key, request in requests.items():
                    if request.runtime != runtime:
                        continue
                    try:
                        found[key] = process.submit(request.measure, request.argument).result()
                    except Exception as error:  # a plan is not to fail by its estimate
                        found[key] = None
                        bar.write(_not_measured(request, error), file=sys.stderr)
                    bar.update()
    return found


def _not_measured(request: Request, error: Exception) -> str:
    reason = one_line(error)
    return f"warning: no estimate of the time of {request.name} and of runs like it: {reason}"


def _start(runtime: RuntimeConfig, parent: int) -> None:
    global _importing
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a traceback
    started = time.perf_counter()
    start_tensorflow(runtime)
    import_quietly("tensorflow_datasets")
    _importing = time.perf_counter() - started


def measure_agent(experiment: AgentExperiment) -> AgentSpeed:
    """Learns and plays for some seconds."""
    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.programs.benchmark_case import make_loop

    if not experiment.agent.learns:
        return AgentSpeed(_importing, 0.0, None, _playing_speed(experiment, None))
    # Greedy from the start, which costs most, and with a small memory, as nothing depends on it.
    settings = dataclasses.replace(
        experiment,
        agent=dataclasses.replace(experiment.agent, learning_starts=WARM_UP_STEPS),
        replay=dataclasses.replace(experiment.replay, capacity=10 * WARM_UP_STEPS),
        exploration=dataclasses.replace(
            experiment.exploration, epsilon_initial=experiment.exploration.epsilon_final
        ),
    )
    started = time.perf_counter()
    environment = parts.make_environment(settings.environment, seed=0)
    agent = parts.make_agent(settings, environment)
    loop = make_loop(settings, environment, agent)
    loop.run(2 * WARM_UP_STEPS)
    building = time.perf_counter() - started
    learning = loop.run(LEARNT_STEPS).steps_per_second
    return AgentSpeed(_importing, building, learning, _playing_speed(experiment, agent.model))


def _playing_speed(experiment: AgentExperiment, model) -> float:
    """Measures the agent steps per second of the games that an agent is scored on."""
    import numpy as np

    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl.evaluation import choose_actions
    from tfselfsup.rl.policies import greedy_policy

    games = min(experiment.evaluation.num_envs, experiment.evaluation.episodes)
    environment = parts.make_environment(experiment.environment, 0, games)
    policy = greedy_policy(model) if model else parts.random_policy(experiment, environment)
    environment.reset()
    for step in range(PLAYED_BEFORE + PLAYED_STEPS):
        if step == PLAYED_BEFORE:
            started = time.perf_counter()
        actions = choose_actions(
            environment,
            policy,
            np.arange(games),
            epsilon=experiment.evaluation.epsilon,
            generator=np.random.default_rng(step),
        )
        environment.step(actions)
    elapsed = time.perf_counter() - started
    environment.close()
    return PLAYED_STEPS * games / elapsed


def measure_classifier(experiment: ClassifierExperiment) -> ClassifierSpeed | None:
    """Encodes, and fits or trains, some made-up images; weights do not matter to speed.

    Args:
        experiment: As it is planned.

    Returns:
        None for a TF-Hub module, which has to be there first.
    """
    from tfselfsup.programs.classifier_encoders import HUB_ENCODERS, make_encoder
    from tfselfsup.programs.classifier_parts import data_kind

    if experiment.encoder.trunk in HUB_ENCODERS:
        return None
    started = time.perf_counter()
    random = dataclasses.replace(experiment.encoder, weights="random")
    experiment = dataclasses.replace(experiment, encoder=random)
    channels = data_kind(experiment.data).channels
    encoder = make_encoder(experiment, types.SimpleNamespace(channels=channels))
    measured = _probe_speed if experiment.mode == "probe" else _training_speed
    return measured(experiment, encoder, channels, started)


def _probe_speed(experiment, encoder, channels, started) -> ClassifierSpeed:
    import numpy as np

    from tfselfsup.benchmarks.encoders import EncoderCase
    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.vision.labelled_features import LabelledFeatures

    del channels
    settings = experiment.encoder
    case = EncoderCase(settings.trunk, settings.precision, encoder.model)
    building = time.perf_counter() - started
    case.run(BATCHES)
    random = np.random.default_rng(0)
    training, validation = (
        LabelledFeatures(
            random.standard_normal((count, case.width)).astype(np.float32),
            random.permutation(np.arange(count) % 2),
        )
        for count in (FITTED_IMAGES, FITTED_IMAGES // 4)
    )
    started = time.perf_counter()
    parts.make_probe(experiment.probe).fit(training, validation, 0)
    fitted = FITTED_IMAGES / (time.perf_counter() - started)
    return ClassifierSpeed(_importing, building, case.images_per_second[0], fitted)


def _training_speed(experiment, encoder, channels, started) -> ClassifierSpeed:
    import numpy as np
    import tensorflow as tf

    from tfselfsup.programs import classifier_parts as parts
    from tfselfsup.vision.training import make_optimizer

    model = parts.make_model(experiment, encoder, num_classes=2)
    model.compile(optimizer=make_optimizer(model.network, experiment.training, total_steps=100))
    random = np.random.default_rng(0)
    count = experiment.training.batch_size
    shape = (count, 1, encoder.side, encoder.side, channels)
    batch = random.integers(0, 256, shape, np.uint8), np.arange(count) % 2
    batches = tf.data.Dataset.from_tensors(batch)
    model.fit(batches, verbose=0)
    building = time.perf_counter() - started
    started = time.perf_counter()
    model.fit(batches.repeat(BATCHES), verbose=0)
    images = BATCHES * count / (time.perf_counter() - started)
    return ClassifierSpeed(_importing, building, images, None)


def measure_splices(side: int) -> SpliceSpeed:
    """Makes some splices."""
    from tfselfsup.datasets import splices

    started = time.perf_counter()
    made = list(splices.make(MADE_SPLICES, side, seed=0))
    return SpliceSpeed(_importing, len(made) / (time.perf_counter() - started))
