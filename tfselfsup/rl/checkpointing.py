"""Checkpoints of a run: everything but the emulators, complete or absent."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfselfsup.config import LoggingConfig
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
        return _read_state(best)["score"] if best.exists() else float("-inf")

    def restore(self) -> Progress:
        """Reads the newest checkpoint and the snapshot of the replay, if there are any.

        Every game begins anew, so that the replay's newest steps are marked as cut off.

        Returns:
            Where the run is; its beginning without a checkpoint.
        """
        checkpoints = self._run.checkpoints()
        if not checkpoints:
            return Progress()
        state = _read_state(checkpoints[-1])
        with _damage_named(checkpoints[-1]):
            self._tensors.read(str(checkpoints[-1] / "tensors")).assert_existing_objects_matched()
        self._agent.take_snapshot()
        self._generator.bit_generator.state = state["generator"]
        if self._run.replay.exists():
            self._replay.load(self._run.replay)
            self._replay.end_episodes()
        return Progress(**state["progress"])

    def _write(self, folder: Path, progress: Progress, **more: float) -> None:
        folder.mkdir(parents=True)
        self._tensors.write(str(folder / "tensors"))
        state = {
            "progress": dataclasses.asdict(progress),
            "generator": self._generator.bit_generator.state,
            **more,
        }
        (folder / "state.json").write_text(json.dumps(state))


def agent_steps(checkpoint: Path) -> int:
    """Reads how many agent steps were played before a checkpoint."""
    return _read_state(checkpoint)["progress"]["agent_steps"]


def trained_steps(run: RunDirectory) -> int:
    """Reads how many agent steps a run has been trained for: those of its newest checkpoint."""
    checkpoints = run.checkpoints()
    return agent_steps(checkpoints[-1]) if checkpoints else 0


def _read_state(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "state.json").read_text())


def load_weights(model: tf.keras.Model, checkpoint: Path) -> None:
    """Reads only the online network's weights of a checkpoint.

    Args:
        model: Receives them.
        checkpoint: The folder.

    Raises:
        ValueError: If its weights cannot be read, or do not fit.
    """
    reader = tf.train.Checkpoint(online=model)
    with _damage_named(checkpoint):
        status = reader.read(str(checkpoint / "tensors")).expect_partial()
        status.assert_existing_objects_matched()


@contextmanager
def _damage_named(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0][:80]
        raise ValueError(
            f"{checkpoint} is damaged or of another network ({reason}); delete it to go on without"
        ) from error
