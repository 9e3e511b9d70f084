"""The run directory: the one place that knows its files, and writes them whole or not at all."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tfselfsup import command_line, config
from tfselfsup.messages import one_line
from tfselfsup.runs.environment import environment
from tfselfsup.runs.files import json_object, locked, remove, written_aside

ExperimentOf = TypeVar("ExperimentOf", bound=config.Experiment)


class RunDirectory:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: str | Path):
        """Points at a folder, which need not exist yet."""
        self.path = Path(path)

    @classmethod
    def existing(cls, path: str | Path) -> RunDirectory:
        """Points at the folder of a run that was made before.

        Raises:
            ValueError: If it holds no config.yaml.
        """
        run = cls(path)
        if not run._config.is_file():
            raise ValueError(f"expected a run directory with a config.yaml, got {path}")
        return run

    @property
    def _config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def replay(self) -> Path:
        """The folder of the newest snapshot of the replay memory."""
        return self._recovered(self.path / "replay")

    @property
    def best(self) -> Path:
        """The folder of the best checkpoint.

        An agent's is the one with the best short evaluation, a classifier's the one with the lowest
        loss on the validation part.
        """
        return self._recovered(self.path / "checkpoints" / "best")

    def start(self, experiment: config.Experiment) -> None:
        """Writes config.yaml and environment.json, or checks that the run is the same one.

        Raises:
            ValueError: If the folder holds a run with other settings. How long an agent plays, what
                is logged, how it is scored, on how many threads and what is cached where may
                differ.
        """
        if self._config.is_file():
            changed = config.differences(self.experiment(type(experiment)), experiment)
            for key, (old, new) in changed.items():
                if not re.match(r"total_steps|logging|evaluation|scoring|runtime|cache", key):
                    raise ValueError(
                        f"{self.path} holds a run with {key}={old}, got {new}; "
                        "name another --run_dir or keep the setting"
                    )
        self.path.mkdir(parents=True, exist_ok=True)
        with written_aside(self._config) as aside:
            # By way of JSON, which turns tuples and checked numbers into what safe YAML knows.
            plain = json.loads(json.dumps(dataclasses.asdict(experiment)))
            aside.write_text(yaml.safe_dump(plain, sort_keys=False))
        if not (self.path / "environment.json").exists():
            self._write_json("environment.json", environment())

    @contextmanager
    def training(self) -> Iterator[None]:
        """Keeps other processes from training the same run.

        Raises:
            ValueError: If another process does.
        """
        with locked(self.path, "is being trained by another process"):
            yield

    def experiment(self, kind: type[ExperimentOf] = config.Experiment) -> ExperimentOf:
        """Reads config.yaml.

        Args:
            kind: The dataclass that is expected.

        Raises:
            ValueError: If it is an experiment of another kind, or broken.
        """
        found = command_line.load_experiment(self._config)
        if not isinstance(found, kind):
            raise ValueError(
                f"expected a run with the settings of {kind.__name__}, got {self.path} with those "
                f"of {type(found).__name__}; use the program for it"
            )
        return found

    def checkpoints(self) -> list[Path]:
        """Lists the complete checkpoints, oldest first."""
        found = (self.path / "checkpoints").glob("step_*[0-9]")
        return sorted(found, key=lambda path: int(path.name.removeprefix("step_")))

    def chosen_checkpoint(self, choice: str) -> Path:
        """Returns the `last` or the `best` checkpoint.

        Raises:
            ValueError: If the run has none.
        """
        found = {"last": self.checkpoints(), "best": [self.best]}[choice]
        if not found or not found[-1].exists():
            raise ValueError(f"expected a checkpoint in {self.path}, found none; train it first")
        return found[-1]

    def checkpoint(self, step: int) -> Path:
        """Returns the folder for the checkpoint of an agent step, or of an epoch."""
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder / f"step_{step}"

    def keep_checkpoints(self, count: int) -> None:
        """Deletes all checkpoints but the newest `count`, and what kills left half-written."""
        for path in self.checkpoints()[:-count]:
            # Renamed first, so that a half-deleted checkpoint is never taken for a whole one.
            path.rename(path.with_name(path.name + ".replaced"))
        for ending in (".replaced", ".writing"):
            for leftover in (self.path / "checkpoints").glob(f"step_*{ending}"):
                remove(leftover)

    def remove_replay(self) -> None:
        """Deletes the snapshot of the replay memory, which only an unfinished run needs."""
        for ending in ("", ".writing", ".replaced"):
            remove(self.path / f"replay{ending}")

    def bind(self, inputs: dict[str, Any]) -> None:
        """Writes inputs.json, what the run is made from, or checks that it is the same.

        Args:
            inputs: Hashes and names of the data and of the weights.

        Raises:
            ValueError: If the run was made from something else.
        """
        if (self.path / "inputs.json").exists():
            self.check_inputs(inputs)
        else:
            self._write_json("inputs.json", inputs)

    def check_inputs(self, found: dict[str, Any]) -> None:
        """Checks that something the run was made from is what it was.

        Args:
            found: Some of its inputs, as they are now.

        Raises:
            ValueError: If one is another, or nothing was noted.
        """
        before = self.inputs()
        for name, value in found.items():
            if before.get(name) != value:
                raise ValueError(
                    f"{self.path} was made from other {name} than there is now: expected "
                    f"{str(before.get(name))[:12]}, got {str(value)[:12]}; put it back as it was, "
                    "or name another --run_dir"
                )

    def inputs(self) -> dict[str, Any]:
        """Reads inputs.json.

        Raises:
            ValueError: If there is none, or it holds no JSON object.
        """
        inputs = self._json_object("inputs.json", "train it again in another --run_dir")
        if inputs is None:
            raise ValueError(
                f"expected an inputs.json in {self.path}, got none; train it again in another "
                "--run_dir"
            )
        return inputs

    @property
    def trunk_weights(self) -> Path:
        """The file of the trunk's weights that a pre-training writes, for other runs to load."""
        return self.path / "trunk.h5"

    def write_temperatures(self, temperatures: dict[str, float]) -> Path:
        """Writes calibration.json: by what the logits of each checkpoint are divided."""
        return self._write_json("calibration.json", {"temperature": temperatures})

    def temperature(self, checkpoint: str) -> float:
        """Reads the temperature of the `last`, the `best` or the `only` checkpoint.

        Raises:
            ValueError: If there is none, as the training has not ended, or it is no number above 0.
        """
        path = self.path / "calibration.json"
        try:
            temperature = float(json.loads(path.read_text())["temperature"][checkpoint])
            if not 0 < temperature < float("inf"):
                raise ValueError(f"temperature {temperature}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"expected a temperature above 0 for the {checkpoint} checkpoint in {path}, got "
                "none; train the classifier to its end"
            ) from error
        return temperature

    def video(self, agent_steps: int) -> Path:
        """Returns the file for a played game."""
        folder = self.path / "videos"
        folder.mkdir(exist_ok=True)
        return folder / f"game_at_{agent_steps}_steps.mp4"

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Appends a row to metrics.csv; the first row names the columns.

        Args:
            row: A value for every column; the agent step or the epoch comes first.
        """
        path = self.path / "metrics.csv"
        text = io.StringIO()
        writer = csv.DictWriter(text, list(row), lineterminator="\n")
        if not path.exists():
            writer.writeheader()
        writer.writerow(row)
        with path.open("a") as file:
            file.write(text.getvalue())

    def metrics(self) -> list[dict[str, str]]:
        """Reads the whole rows of metrics.csv; there are none before the first."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        whole_lines = [line for line in path.read_text().splitlines(True) if line.endswith("\n")]
        return list(csv.DictReader(whole_lines))

    def rewind_metrics(self, step: int, column: str = "agent_steps") -> None:
        """Drops the rows after a step, which a resumed run writes again.

        Raises:
            ValueError: If the file is damaged.
        """
        path = self.path / "metrics.csv"
        try:
            rows = [row for row in self.metrics() if int(row[column]) <= step]
            if any(None in row or None in row.values() for row in rows):
                raise ValueError("a row with too many or too few cells")
        except (KeyError, TypeError, ValueError, csv.Error) as error:
            raise ValueError(
                f"expected rows with {column} in {path}, got: {one_line(error)}; delete the file "
                "to go on without them"
            ) from error
        if not rows:
            path.unlink(missing_ok=True)
            return
        with written_aside(path) as aside, aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def write_evaluation(self, evaluation: dict[str, Any], ending: str = "") -> Path:
        """Writes evaluation.json and returns its path.

        Args:
            evaluation: The content.
            ending: Of the file's name, for another part or data set than the run's own.
        """
        return self._write_json(f"evaluation{_file_name(ending)}.json", evaluation)

    def write_predictions(self, table: str, ending: str = "") -> Path:
        """Writes predictions.csv, or with an ending as above, and returns its path."""
        return self._write_text(f"predictions{_file_name(ending)}.csv", table)

    def write_robustness(self, table: str, ending: str = "") -> Path:
        """Writes robustness.csv, or with an ending as above, and returns its path."""
        return self._write_text(f"robustness{_file_name(ending)}.csv", table)

    def evaluation(self) -> dict[str, Any] | None:
        """Reads evaluation.json, or returns None if the run has not been scored.

        Raises:
            ValueError: If the file does not hold a JSON object.
        """
        return self._json_object("evaluation.json", "score the run again")

    def _json_object(self, name: str, remedy: str) -> dict[str, Any] | None:
        path = self.path / name
        return json_object(path, remedy) if path.exists() else None

    def _write_json(self, name: str, content: dict[str, Any]) -> Path:
        return self._write_text(name, json.dumps(content, indent=2) + "\n")

    def _write_text(self, name: str, text: str) -> Path:
        path = self.path / name
        with written_aside(path) as aside:
            aside.write_text(text)
        return path

    @staticmethod
    def _recovered(path: Path) -> Path:
        """Brings back a folder if a kill fell between the two renames that replace it."""
        replaced = path.with_name(path.name + ".replaced")
        if replaced.exists() and not path.exists():
            replaced.rename(path)
        return path


def _file_name(text: str) -> str:
    return re.sub("[^A-Za-z0-9_.+-]", "_", text)
