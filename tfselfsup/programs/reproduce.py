"""Reproduces the study: trains and scores agents and classifiers, and reports them together."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from jsonargparse.typing import PositiveInt

from tfselfsup import command_line
from tfselfsup.command_line import ExperimentParser
from tfselfsup.config import Reproduction
from tfselfsup.programs import reproduction_estimates, reproduction_on_ray
from tfselfsup.programs.interruption import exit_status, interruption
from tfselfsup.programs.planned_runs import Planned, PlannedSplices
from tfselfsup.programs.program_processes import Calls, LocalWorkers, Workers
from tfselfsup.programs.report import write_report
from tfselfsup.programs.reproduction_plan import left_out, plan
from tfselfsup.programs.reproduction_progress import LOGS, Progress, duration
from tfselfsup.programs.reproduction_schedule import carry_out
from tfselfsup.programs.startup import fail, user_mistakes


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
        "--preset",
        choices=presets,
        help="a named --config reproduce/PRESET, which the other options override",
    )
    parser.add_class_arguments(Reproduction)
    parser.add_argument("--out", help="folder of the runs and the report; default: runs/PRESET")
    parser.add_argument("--dry_run", action="store_true", help="only print the plan")
    parser.add_argument(
        "--jobs",
        type=PositiveInt,
        default=1,
        help="runs at once on this machine, or on each of its size; they share its processors",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="run on Ray: 'local', or the address of a cluster whose machines share this folder",
    )
    parsed = parser.parse_args(_with_preset(arguments, presets))
    out = Path(parsed.out or Path("runs") / (parsed.preset or "reproduction"))
    with user_mistakes():
        reproduction = command_line.built(Reproduction, parser, parsed)
        planned = plan(reproduction, out)
        for name in left_out(reproduction):
            print(f"left out: {name}, which needs --digits FILE", file=sys.stderr)
        if any(isinstance(one, PlannedSplices) for one in planned):
            print("faces: splices that are made here; others by --data DIR", file=sys.stderr)
        speeds = reproduction_estimates.measured_speeds(planned)
        seconds = reproduction_estimates.estimates(planned, speeds)
        _print_plan(planned, seconds)
        if parsed.dry_run:
            return
        processors = len(os.sched_getaffinity(0))
        threads = max(1, processors // parsed.jobs)
        workers = make_workers(parsed.ray, parsed.jobs, threads)
        # A run that has the machine to itself has the threads of its experiment.
        shared = None if parsed.jobs == 1 and parsed.ray is None else threads
        reproduce(planned, seconds, out, workers, shared)


def _with_preset(arguments: list[str] | None, presets: list[str]) -> list[str]:
    """Puts the preset's file in front of the other options, which override it."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for name, value in zip([*given, ""], [*given[1:], ""], strict=False):
        preset = value if name == "--preset" else name.removeprefix("--preset=")
        if name.startswith("--preset") and preset in presets:
            return ["--config", f"reproduce/{preset}", *given]
    return given


def make_workers(ray: str | None, jobs: int, threads: int) -> Workers:
    """Makes what the runs are given to: processes of this machine, or Ray."""
    if ray is None:
        return LocalWorkers(jobs)
    return reproduction_on_ray.RayWorkers(ray, jobs, threads)


def _print_plan(planned: Sequence[Planned], seconds: Sequence[float | None]) -> None:
    """Lists all runs with the time each will take, and sums it up."""
    states: Counter[str] = Counter()
    for position, (one, estimate) in enumerate(zip(planned, seconds, strict=True), 1):
        about = "time unknown" if estimate is None else f"about {duration(estimate)}"
        status = one.status()
        states[status.state] += 1
        line = f"{position}/{len(planned)} {one.folder}: {one.described()}, {status.state}"
        if status.is_to_be_made:
            line += f", {about}"
        print(line if status.fault is None else f"{line}: {status.fault}")
    broken = f", {states['broken']} broken" if states["broken"] else ""
    to_do = states["to do"] + states["unfinished"]
    if not to_do:
        print(f"nothing to do, {states['done']} of {len(planned)} are done{broken}")
        return
    known = sum(filter(None, seconds))
    at_least = "at least" if None in seconds else "about"
    total = f", {at_least} {duration(known)} one after another" if known else ""
    print(f"{to_do} of {len(planned)} to do{broken}{total}", flush=True)


def reproduce(
    planned: Sequence[Planned],
    seconds: Sequence[float | None],
    out: Path,
    workers: Workers,
    threads: int | None = None,
) -> None:
    """Makes what is not done, and reports everything.

    Goes on past a run that fails; the process then ends with status 1.

    Args:
        planned: The runs, each after what it needs.
        seconds: How long each will take; None if unknown.
        out: Where logs and the report go.
        workers: Run the programs.
        threads: Of each run; None for as many as its experiment says.
    """

    def calls(one: Planned) -> Calls:
        # Libraries outside TensorFlow take all processors, unless they are told.
        own = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        log = Path(out, LOGS, f"{one.name}.log").absolute()
        return Calls(tuple(one.commands(threads)), log, Path.cwd(), own)

    expected = dict(zip((one.folder for one in planned), seconds, strict=True))
    left = [one.folder for one in planned if one.status().state != "done"]
    progress = Progress({folder: expected[folder] for folder in left}, out / LOGS)
    with interruption() as orders:
        try:
            _carried_out(planned, workers, calls, progress)
        except KeyboardInterrupt:
            reason = "interrupted; the same command goes on from there"
            fail(reason, status=exit_status(orders))
    try:
        _report(planned, out)
    finally:
        _list_failures(progress)
    if progress.failures:
        listed = ", ".join(str(ended.one.folder) for ended in progress.failures)
        fail(f"these runs failed: {listed}", status=1)


def _carried_out(
    planned: Sequence[Planned],
    workers: Workers,
    calls: Callable[[Planned], Calls],
    progress: Progress,
) -> None:
    """Makes what is not done; whatever happens, nothing runs on afterwards."""
    with ExitStack() as at_the_end:
        # The process waits for its workers before it ends, so that it would never do so.
        at_the_end.callback(workers.stop)
        at_the_end.callback(progress.close)
        for event in carry_out(planned, workers, calls):
            progress(event)


def _report(planned: Sequence[Planned], out: Path) -> None:
    """Reports the runs that have a score."""
    scored = [one.folder for one in planned if one.is_scored]
    if not any((folder / "evaluation.json").exists() for folder in scored):
        return
    print()
    print(write_report(scored, out), end="")


def _list_failures(progress: Progress) -> None:
    """Says what is not done, and why."""
    for ended in progress.failures:
        what = "skipped" if ended.is_skipped else "failed"
        print(f"{what}: {ended.one.folder}: {ended.failure}", file=sys.stderr)
