"""Checkpoints of a run: everything but the emulators, complete or absent."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfselfsup.config import LoggingConfig
from tfselfsup.models import checkpoints
from tfselfsup.models.checkpoints import STATE, TENSORS, damage_named, read_state
from tfselfsup.rl.agent import SelfSupervisedDqnAgent
from tfselfsup.rl.replay import Replay
from tfselfsup.rl.training import Event, Progress, Stepped
from tfselfsup.runs import RunDirectory, written_aside


class Checkpointer:
    """Saves and restores a run; as a listener it saves when a checkpoint is due.

    A checkpoint is a folder with TensorFlow's weights, optimiser slots and counters, and
    state.json with the progress and the random state. The replay memory is large, so that there is
    one snapshot of it, as raw arrays, with a period of its own.
    """

    def __init__(
        self,
        run: RunDirectory,
        settings: LoggingConfig,
        agent: SelfSupervisedDqnAgent,
        replay: Replay,
        generator: np.random.Generator,
    ):
        """Takes what is to be saved.

        Args:
            run: Where to.
            settings: Periods and how many checkpoints to keep.
            agent: Its networks, optimisers and counters.
            replay: Saved when its own period is over.
            generator: Whose state is saved.
        """
        self._agent = agent
        self._run = run
        self._settings = settings
        self._replay = replay
        self._generator = generator
        self._tensors = tf.train.Checkpoint(**agent.checkpointed)

    def __call__(self, event: Event) -> None:
        """Saves what is due."""
        if not isinstance(event, Stepped):
            return
        if event.reached(self._settings.replay_period):
            self._save_replay()
        if event.reached(self._settings.checkpoint_period) or event.finished:
            self.save(event.progress)

    def save(self, progress: Progress) -> None:
        """Writes a checkpoint, unless there is one of this step, and deletes the oldest."""
        checkpoint = self._run.checkpoint(progress.agent_steps)
        if not checkpoint.exists():
            with written_aside(checkpoint) as folder:
                self._write(folder, progress)
        self._run.keep_checkpoints(self._settings.keep_checkpoints)

    def save_all(self, progress: Progress) -> None:
        """Writes the replay memory and a checkpoint, whatever their periods."""
        self._save_replay()
        self.save(progress)

    def _save_replay(self) -> None:
        with written_aside(self._run.replay) as folder:
            self._replay.save(folder)

    def save_best(self, progress: Progress, score: float) -> None:
        """Writes the checkpoint with the best short evaluation so far, and its score."""
        with written_aside(self._run.best) as folder:
            self._write(folder, progress, score=score)

    def best_score(self) -> float:
        """Returns the score of the best checkpoint, which is minus infinity if there is none."""
        best = self._run.best
        if not best.exists():
            return float("-inf")
        with damage_named(best):
            return read_state(best)["score"]

    def restore(self) -> Progress:
        """Reads the newest checkpoint and the snapshot of the replay, if there are any.

        Every game begins anew, so that the replay's newest steps are marked as cut off.

        Returns:
            Where the run is; its beginning without a checkpoint.

        Raises:
            ValueError: If the checkpoint or the snapshot cannot be read, or is of another agent.
        """
        saved = self._run.checkpoints()
        if not saved:
            return Progress()
        with damage_named(saved[-1]):
            state = read_state(saved[-1])
            progress = Progress(**state["progress"])
            self._tensors.read(str(saved[-1] / TENSORS)).assert_existing_objects_matched()
            self._generator.bit_generator.state = state["generator"]
        self._agent.take_snapshot()
        if self._run.replay.exists():
            with damage_named(
                self._run.replay,
                "is damaged or of another replay memory",
                "delete it to go on with an empty memory",
            ):
                self._replay.load(self._run.replay)
            self._replay.end_episodes()
        return progress

    def _write(self, folder: Path, progress: Progress, **more: float) -> None:
        folder.mkdir(parents=True)
        self._tensors.write(str(folder / TENSORS))
        state = {
            "progress": dataclasses.asdict(progress),
            "generator": self._generator.bit_generator.state,
            **more,
        }
        (folder / STATE).write_text(json.dumps(state))


def agent_steps(checkpoint: Path) -> int:
    """Reads how many agent steps were played before a checkpoint.

    Raises:
        ValueError: If it cannot be read.
    """
    with damage_named(checkpoint):
        return read_state(checkpoint)["progress"]["agent_steps"]


def trained_steps(run: RunDirectory) -> int:
    """Reads how many agent steps a run has been trained for: those of its newest checkpoint.

    Raises:
        ValueError: If it cannot be read.
    """
    saved = run.checkpoints()
    return agent_steps(saved[-1]) if saved else 0


def load_weights(model: tf.keras.Model, checkpoint: Path) -> None:
    """Reads only the online network's weights of a checkpoint.

    Args:
        model: Receives them.
        checkpoint: The folder.

    Raises:
        ValueError: If its weights cannot be read, or do not fit.
    """
    checkpoints.load_weights(checkpoint, online=model)
