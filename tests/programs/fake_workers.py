"""Workers that do at once what the programs take hours for."""

import json
from pathlib import Path

from tfselfsup import command_line
from tfselfsup.programs import evaluate_agent
from tfselfsup.programs.program_processes import Outcome, Workers
from tfselfsup.runs import RunDirectory


class FakeWorkers(Workers):
    """Ends one run at a time, that which began first.

    Attributes:
        commands: What was run.
        statuses: Exit status by program and folder's name; 0 for all others.
        at_once: The names of what ran side by side, whenever something began.
        threads: Of each run, as its environment says.
        is_stopped: Whether it was told to.
    """

    def __init__(self, slots=1):
        self.slots = slots
        self.commands, self.statuses, self.at_once, self.threads = [], {}, [], []
        self.is_stopped = False
        self._running = {}

    def start(self, name, calls):
        self._running[name] = calls
        self.at_once.append(tuple(self._running))
        self.threads.append(calls.environment.get("OMP_NUM_THREADS"))

    def ended(self, seconds):
        if not self._running:
            return {}
        name, calls = next(iter(self._running.items()))
        del self._running[name]
        for command in calls.commands:
            self.commands.append(command)
            status = self.statuses.get((command[0], name), 0)
            if status:
                return {name: Outcome(status, f"{command[0]}: error: no luck")}
            PROGRAMS[command[0]](*command[1:])
        return {name: Outcome(0, "")}

    def stop(self):
        self.is_stopped = True

    @property
    def runs(self) -> list[tuple[str, str]]:
        """The program and the folder's name of each command."""
        return [(command[0], Path(_folder_of(command)).name) for command in self.commands]


def _folder_of(command):
    for option in ("--run_dir", "--out"):
        if option in command:
            return command[command.index(option) + 1]
    return command[1]


def train_agent(*arguments):
    assert arguments[-2] == "--run_dir"
    RunDirectory(arguments[-1]).start(
        command_line.load_experiment(arguments[1], tuple(arguments[2:-2]))
    )


def evaluate(folder):
    run = RunDirectory(folder)
    experiment = run.experiment()
    scores = [float(index % 2) for index in range(experiment.evaluation.episodes)]
    run.write_evaluation(
        {
            "kind": "agent",
            "agent": evaluate_agent.agent_name(experiment.agent),
            "task": None,
            "mode": None,
            "game": experiment.environment.game,
            "seed": experiment.seed,
            "agent_steps": experiment.training_steps,
            "total_steps": experiment.training_steps,
            "finished": True,
            "episodes": len(scores),
            "mean": sum(scores) / len(scores),
            "std": 0.5,
            "median": 0.5,
            "scores": scores,
            "protocol": evaluate_agent.protocol(experiment),
        }
    )


def train_classifier(*arguments):
    run = RunDirectory(arguments[-1])
    experiment = command_line.load_experiment(arguments[1], tuple(arguments[2:-2]))
    run.start(experiment)
    epochs = 0 if experiment.mode == "probe" else experiment.training.epochs
    run.checkpoint(epochs).mkdir(exist_ok=True)
    if experiment.mode == "pretrain":
        run.trunk_weights.touch()


def evaluate_classifier(folder):
    run = RunDirectory(folder)
    experiment = run.experiment()
    checkpoint = "only" if experiment.mode == "probe" else experiment.scoring.checkpoint
    run.write_evaluation(
        {"kind": "classifier", "part": "test", "protocol": {"checkpoint": checkpoint}}
    )


def prepare_faces(source, *arguments):
    assert source == "splices"
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    write_description(Path(options["--out"]), int(options["--splices"]))


def write_description(folder, count):
    """Writes what tells that a data set is there."""
    path = folder / "tfds" / "forged_faces" / "1.1.0" / "dataset_info.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"splits": [{"shardLengths": [str(count - 1), "1"]}]}))


PROGRAMS = {
    "train_agent": train_agent,
    "evaluate_agent": evaluate,
    "train_classifier": train_classifier,
    "evaluate_classifier": evaluate_classifier,
    "prepare_faces": prepare_faces,
}
