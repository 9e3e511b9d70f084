"""Listeners of the training loop: the learning curve, metrics.csv, TensorBoard, progress bar."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tqdm import tqdm

from tfselfsup.config import Scalar
from tfselfsup.rl.training import Event, Progress, Stepped, Updated
from tfselfsup.runs import RunDirectory

GAME = "game"  # what the frames are called in TensorBoard


class ShortEvaluation(NamedTuple):
    """What comes of a few games.

    Attributes:
        scores: float64 [episodes], raw.
        frames: uint8 [n, H, W, C], of one of the games, in their order.
    """

    scores: np.ndarray
    frames: np.ndarray


@dataclass
class RecentMetrics:
    """What was measured since the last row was written.

    Attributes:
        updates: Every metric of every update since.
        evaluation_score: Mean score of the short evaluation since, if there was one.
        evaluation_frames: Its frames.
    """

    updates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    evaluation_score: float | None = None
    evaluation_frames: np.ndarray | None = None

    def __call__(self, event: Event) -> None:
        """Takes in an update."""
        if isinstance(event, Updated):
            for name, value in event.metrics.items():
                self.updates[name].append(value)


class LearningCurve:
    """Plays a short evaluation at a set period, and keeps the best checkpoint by it."""

    def __init__(
        self,
        period: int,
        evaluate: Callable[[], ShortEvaluation],
        recent: RecentMetrics,
        save_best: Callable[[Progress, float], None],
        best_score: float,
    ):
        """Takes its collaborators.

        Args:
            period: Agent steps between evaluations; 0 for none.
            evaluate: Plays whole games.
            recent: Where the mean score and the frames go.
            save_best: Saves the run as the best so far, with its score.
            best_score: The best mean score so far.
        """
        self._period = period
        self._evaluate = evaluate
        self._recent = recent
        self._save_best = save_best
        self._best_score = best_score

    def __call__(self, event: Event) -> None:
        """Evaluates when it is due, and at the end."""
        if not isinstance(event, Stepped) or not self._period:
            return
        if event.reached(self._period) or event.finished:
            evaluation = self._evaluate()
            score = self._recent.evaluation_score = float(np.mean(evaluation.scores))
            self._recent.evaluation_frames = evaluation.frames
            if score > self._best_score:
                self._best_score = score
                self._save_best(event.progress, score)


class MetricsWriter:
    """Writes a row of metrics.csv, and the same to TensorBoard, at a set period."""

    def __init__(
        self,
        run: RunDirectory,
        period: int,
        recent: RecentMetrics,
        columns: tuple[str, ...],
        hyper_parameters: Mapping[str, Scalar],
        histograms_of: tf.keras.Model | None,
    ):
        """Opens TensorBoard's file.

        Args:
            run: Where to.
            period: Agent steps between rows.
            recent: What to write.
            columns: Names of the updates' metrics.
            hyper_parameters: What TensorBoard sorts runs by.
            histograms_of: A model whose weights are drawn as histograms, or None.
        """
        self._run = run
        self._period = period
        self._recent = recent
        self._columns = columns
        self._histograms_of = histograms_of
        self._writer = tf.summary.create_file_writer(str(run.path))
        with self._writer.as_default():
            hparams.hparams(dict(hyper_parameters))
        self._last: tuple[int, float] | None = None

    def __call__(self, event: Event) -> None:
        """Writes when it is due, and at the end."""
        if not isinstance(event, Stepped):
            return
        if self._last is None:
            # From the end of the first step on: the time before it is not known here.
            self._last = (event.progress.agent_steps, event.progress.seconds)
        if event.reached(self._period) or event.finished:
            self._write(event.progress)

    def _write(self, progress: Progress) -> None:
        steps, seconds = self._last
        recent = self._recent
        row = {
            "agent_steps": progress.agent_steps,
            "updates": progress.updates,
            "episodes": progress.episodes,
            "hours": round(progress.seconds / 3600, 5),
            "steps_per_second": _rate(progress.agent_steps - steps, progress.seconds - seconds),
            "epsilon": progress.epsilon,
            "score": _mean(progress.scores),
            "episode_length": _mean(progress.lengths),
            "evaluation_score": recent.evaluation_score,
        }
        row |= {name: _mean(recent.updates[name]) for name in self._columns}
        row = {name: _rounded(value) for name, value in row.items()}
        self._run.append_metrics(row)
        self._to_tensorboard(row)
        self._last = (progress.agent_steps, progress.seconds)
        recent.updates.clear()
        recent.evaluation_score = recent.evaluation_frames = None

    def _to_tensorboard(self, row: dict[str, float | int | None]) -> None:
        with self._writer.as_default(step=row["agent_steps"]):
            for name, value in row.items():
                if value is not None:
                    tf.summary.scalar(name, value)
            frames = self._recent.evaluation_frames
            if frames is not None:
                tf.summary.image(GAME, frames, max_outputs=len(frames))
            if self._histograms_of is not None:
                for variable in self._histograms_of.trainable_weights:
                    tf.summary.histogram(variable.name, variable)
        self._writer.flush()


def _rate(steps: int, seconds: float) -> float | None:
    return steps / seconds if seconds > 0 else None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _rounded(value: float | int | None) -> float | int | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value


class ProgressBar:
    """Shows how far a run is: rate, score, exploration and the time left."""

    def __init__(self, total_steps: int, progress: Progress):
        """Opens the bar.

        Args:
            total_steps: Agent steps of the whole run.
            progress: Where the run begins.
        """
        self._bar = tqdm(
            total=total_steps,
            initial=progress.agent_steps,
            unit=" agent steps",
            dynamic_ncols=True,
            mininterval=0.5,
        )
        self._shown = 0.0

    def __call__(self, event: Event) -> None:
        """Moves the bar."""
        if not isinstance(event, Stepped):
            return
        # The games seldom end together on the last step.
        self._bar.update(min(event.progress.agent_steps, self._bar.total) - self._bar.n)
        now = time.monotonic()
        if now - self._shown > 1.0 or event.finished:
            self._shown = now
            score = _mean(event.progress.scores)
            self._bar.set_postfix(
                score="none yet" if score is None else f"{score:.1f}",
                epsilon=f"{event.progress.epsilon:.2f}",
                refresh=False,
            )

    def close(self) -> None:
        """Leaves the bar as it is, so that what is printed next has a line of its own."""
        self._bar.close()
