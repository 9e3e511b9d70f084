"""Reproduces the study: trains and scores several agents, then reports them side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tfselfsup import command_line
from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import AgentExperiment, Reproduction
from tfselfsup.programs.evaluate_agent import protocol
from tfselfsup.programs.report import write_report
from tfselfsup.programs.startup import fail, user_mistakes
from tfselfsup.runs import RunDirectory

INTERRUPTED = 130


@dataclass(frozen=True)
class PlannedRun:
    """An experiment with a seed, and the folder of its run.

    Attributes:
        options: Command-line options that make the experiment.
        experiment: What they make.
        run: The folder, which need not exist yet.
    """

    options: tuple[str, ...]
    experiment: AgentExperiment
    run: RunDirectory

    def is_done(self) -> bool:
        """Tells whether the run has its final score: of all its steps, over all its games."""
        evaluation = self.run.evaluation()
        return (
            evaluation is not None
            and evaluation.get("finished") is True
            and evaluation.get("episodes") == self.experiment.evaluation.episodes
            and evaluation.get("protocol") == protocol(self.experiment)
            and self.run.experiment() == self.experiment
        )


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(
        description=__doc__ + " Only runs what is not there yet.", allow_abbrev=False
    )
    parser.add_argument("--config", action="config", help="YAML file with the options below")
    presets = sorted(
        path.stem for path in (command_line.named_configs() / "reproduce").glob("*.yaml")
    )
    parser.add_argument(
        "--preset", choices=presets, help="a named --config reproduce/PRESET; give it first"
    )
    parser.add_class_arguments(Reproduction)
    parser.add_argument("--out", help="folder of the runs and the report; default: runs/PRESET")
    parser.add_argument("--dry_run", action="store_true", help="only print the plan")
    parsed = parser.parse_args(_with_preset(arguments, presets))
    out = Path(parsed.out or Path("runs") / (parsed.preset or "reproduction"))
    with user_mistakes():
        planned = plan(command_line.built(Reproduction, parser, parsed), out)
        _print_plan(planned)
    if not parsed.dry_run:
        reproduce(planned, out)


def _with_preset(arguments: list[str] | None, presets: list[str]) -> list[str]:
    """Puts the preset's file in front of the other options, which override it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for name, value in zip([*given, ""], [*given[1:], ""], strict=False):
        preset = value if name == "--preset" else name.removeprefix("--preset=")
        if name.startswith("--preset") and preset in presets:
            return ["--config", f"reproduce/{preset}", *given]
    return given


def plan(reproduction: Reproduction, out: Path) -> list[PlannedRun]:
    """Lists the runs.

    Args:
        reproduction: Which experiments and seeds.
        out: The folder of the runs' folders.

    Returns:
        A run for each experiment and seed, in that order.

    Raises:
        ValueError: If two runs would share a folder, or an experiment cannot be read.
    """
    overrides = []
    for key, value in reproduction.overrides.items():
        overrides += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    planned = []
    for name in reproduction.experiments:
        for seed in reproduction.seeds:
            options = ("--config", command_line.find_config(name), *overrides, "--seed", str(seed))
            experiment = command_line.load_experiment(name, options[2:])
            if not isinstance(experiment, AgentExperiment):
                raise ValueError(
                    f"expected experiments of agents, got {name}, a classifier; train that one "
                    "with bin/train_classifier"
                )
            run = RunDirectory(out / f"{Path(name).stem}_seed{seed}")
            planned.append(PlannedRun(options, experiment, run))
    folders = [one.run.path for one in planned]
    shared = {str(folder) for folder in folders if folders.count(folder) > 1}
    if shared:
        raise ValueError(f"expected a folder for each run, got several for {', '.join(shared)}")
    return planned


def _print_plan(planned: list[PlannedRun]) -> None:
    for position, one in enumerate(planned, 1):
        state = "done" if one.is_done() else "unfinished" if one.run.path.exists() else "to do"
        steps = one.experiment.total_steps if one.experiment.agent.kind != "random" else 0
        print(f"{position}/{len(planned)} {one.run.path}: {steps} agent steps, {state}")


def reproduce(planned: list[PlannedRun], out: Path) -> None:
    """Trains and scores what is not done, and reports everything.

    Goes on past a run that fails; the process then ends with status 1.

    Args:
        planned: The runs.
        out: Where the report goes.
    """
    failed = []
    for position, one in enumerate(planned, 1):
        if one.is_done():
            continue
        print(f"\n{position}/{len(planned)} {one.run.path}", flush=True)
        status = _run(one)
        if status == INTERRUPTED:
            fail("interrupted; the same command goes on from there", status=INTERRUPTED)
        if status:
            failed.append(one.run.path)
    if any(one.run.evaluation() for one in planned):
        print()
        print(write_report([one.run.path for one in planned], out), end="")
    if failed:
        fail(f"these runs failed: {', '.join(map(str, failed))}", status=1)


def _run(one: PlannedRun) -> int:
    """Trains and scores one agent in processes of their own; returns the exit status."""
    folder = str(one.run.path)
    for command in (
        ("train_agent", *one.options, "--run_dir", folder),
        ("evaluate_agent", folder),
    ):
        # In a process of its own, as TensorFlow's threads can be set only once in a process, and
        # so that a crash ends one run only.
        package = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [sys.executable, "-m", "tfselfsup", *command], env=os.environ | {"PYTHONPATH": path}
        )
        status = _wait(process)
        if status:
            return status
    return 0


def _wait(process: subprocess.Popen) -> int:
    """Waits for a process; at Ctrl-C, which it hears too, until it has saved its run."""
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        return INTERRUPTED
