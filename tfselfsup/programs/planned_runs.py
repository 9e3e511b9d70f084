"""What a reproduction is made of: runs of agents and classifiers, and the data they need."""

from __future__ import annotations

import abc
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tfselfsup.config import (
    AgentExperiment,
    ClassifierExperiment,
    Experiment,
    LoggingConfig,
    RuntimeConfig,
)
from tfselfsup.messages import one_line
from tfselfsup.programs.evaluate_agent import protocol
from tfselfsup.runs import RunDirectory

Command = tuple[str, ...]


class Status(NamedTuple):
    """How far something is.

    Attributes:
        state: `done`, `unfinished`, `to do`, or `broken` if nobody can tell.
        fault: What is wrong with its files if it is broken, else None.
    """

    state: str
    fault: str | None = None

    @property
    def is_to_be_made(self) -> bool:
        """Whether its programs have to run."""
        return self.state in ("unfinished", "to do")


class Planned(abc.ABC):
    """Something that is made in a folder of its own, by programs that run one after another.

    Attributes:
        folder: The folder, which need not exist yet.
        needs: Folders of what has to be there before.
        is_scored: Whether there is something to report of it.
    """

    folder: Path
    needs: tuple[Path, ...]
    is_scored = True

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @abc.abstractmethod
    def commands(self, threads: int | None) -> list[Command]:
        """Lists the programs that make it, each with its arguments.

        They go on with what is there, and can be called again.

        Args:
            threads: How many each may use; None for as many as the experiment says.
        """

    @abc.abstractmethod
    def is_done(self) -> bool:
        """Tells whether nothing is left to do.

        Raises:
            ValueError: If a file that says so is broken.
            OSError: If it cannot be read.
        """

    @abc.abstractmethod
    def described(self) -> str:
        """Says how much work it is."""

    def status(self) -> Status:
        """Reads how far it is."""
        try:
            if self.is_done():
                return Status("done")
        except (ValueError, OSError) as error:
            return Status("broken", one_line(error))
        return Status("unfinished" if self.folder.exists() else "to do")


@dataclass(frozen=True)
class PlannedRun(Planned):
    """An experiment with a seed, and the folder of its run.

    Attributes:
        options: Command-line options that make the experiment.
        experiment: What they make.
        run: The run directory.
        needs: As of `Planned`.
    """

    options: tuple[str, ...]
    experiment: Experiment
    run: RunDirectory
    needs: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.run.path

    @property
    def steps_done(self) -> int:
        """Agent steps, or epochs, of the newest checkpoint; 0 without one."""
        checkpoints = self.run.checkpoints()
        return int(checkpoints[-1].name.removeprefix("step_")) if checkpoints else 0

    def _training(self, program: str, threads: int | None) -> Command:
        options = self.options
        if threads is not None:
            for name, own in vars(self.experiment.runtime).items():
                # 0 stands for all there are.
                options += (f"--runtime.{name}", str(min(own or threads, threads)))
        return program, *options, "--run_dir", str(self.folder)

    def _has_these_settings(self) -> bool:
        """Tells whether the run has the experiment's settings, as far as they matter to it."""
        return _that_matters(self.run.experiment()) == _that_matters(self.experiment)


def _that_matters(experiment: Experiment) -> Experiment:
    """Leaves out what a run may change on the way: threads, the cache, what is logged."""
    other: dict[str, Any] = {"runtime": RuntimeConfig()}
    if isinstance(experiment, AgentExperiment):
        other["logging"] = LoggingConfig()
    else:
        other["cache"] = ""
    return dataclasses.replace(experiment, **other)


@dataclass(frozen=True)
class PlannedAgent(PlannedRun):
    """An agent that is trained and then scored."""

    experiment: AgentExperiment

    @property
    def total_steps(self) -> int:
        """Agent steps that it is trained for; the Random agent is not."""
        return self.experiment.training_steps

    def commands(self, threads: int | None) -> list[Command]:
        """Trains and scores."""
        return [self._training("train_agent", threads), ("evaluate_agent", str(self.folder))]

    def is_done(self) -> bool:
        """Tells whether the run has its final score: of all its steps, over all its games."""
        evaluation = self.run.evaluation()
        return (
            evaluation is not None
            and evaluation.get("finished") is True
            # Settings are written when a training begins, so they may be those of a longer one.
            and evaluation.get("total_steps") == self.total_steps
            and evaluation.get("episodes") == self.experiment.evaluation.episodes
            and evaluation.get("protocol") == protocol(self.experiment)
            and self._has_these_settings()
        )

    def described(self) -> str:
        """Says how many steps it learns from."""
        return f"{self.total_steps:,} agent steps"


@dataclass(frozen=True)
class PlannedClassifier(PlannedRun):
    """A classifier that is trained and then scored on the test part."""

    experiment: ClassifierExperiment

    @property
    def epochs(self) -> int:
        """Epochs that a network is trained for; 0 for a probe."""
        return 0 if self.experiment.mode == "probe" else self.experiment.training.epochs

    def commands(self, threads: int | None) -> list[Command]:
        """Trains and scores."""
        training = self._training("train_classifier", threads)
        return [training, ("evaluate_classifier", str(self.folder))]

    def is_done(self) -> bool:
        """Tells whether the run has its final score: of the last epoch, on the test part."""
        evaluation, experiment = self.run.evaluation() or {}, self.experiment
        checkpoint = "only" if experiment.mode == "probe" else experiment.scoring.checkpoint
        scored = evaluation.get("protocol")
        return (
            evaluation.get("part") == "test"
            and isinstance(scored, dict)
            and scored.get("checkpoint") == checkpoint
            and self._has_these_settings()
            and self.steps_done >= self.epochs
        )

    def described(self) -> str:
        """Says what is trained, and on which split."""
        training = f"{self.epochs} epochs" if self.epochs else "a probe"
        return f"{training}, split {self.experiment.data.split}"


@dataclass(frozen=True)
class PlannedPretraining(PlannedClassifier):
    """A trunk that is trained by tasks alone, for other runs to take; it has no score."""

    is_scored = False

    def commands(self, threads: int | None) -> list[Command]:
        """Trains."""
        return [self._training("train_classifier", threads)]

    def is_done(self) -> bool:
        """Tells whether the trunk of the last epoch is there."""
        return (
            self.run.trunk_weights.is_file()
            and self._has_these_settings()
            and self.steps_done >= self.epochs
        )


@dataclass(frozen=True)
class PlannedSplices(Planned):
    """Forged images that are made on the spot, for the classifiers.

    Attributes:
        folder: Where the data set will be.
        count: How many images.
        side: Their height and width, in pixels.
        needs: Nothing.
    """

    folder: Path
    count: int
    side: int
    needs: tuple[Path, ...] = ()
    is_scored = False

    def commands(self, threads: int | None) -> list[Command]:
        """Makes them."""
        del threads
        settings = {"--out": self.folder, "--splices": self.count, "--splice_side": self.side}
        options = (str(text) for pair in settings.items() for text in pair)
        return [("prepare_faces", "splices", *options)]

    def is_done(self) -> bool:
        """Tells whether the data set is there."""
        return bool(described_faces(self.folder))

    def described(self) -> str:
        """Says how many there are."""
        return f"{self.count:,} splices of {self.side} pixels"


def described_faces(folder: Path) -> list[Path]:
    """Lists the descriptions of the data sets that `bin/prepare_faces` built in a folder.

    There is one at most, and it is written last.
    """
    return list(folder.glob("tfds/*/*/dataset_info.json"))
