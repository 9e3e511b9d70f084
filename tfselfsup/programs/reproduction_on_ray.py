"""Runs programs on Ray: one task a run, on a machine or a cluster that shares a folder.

A plain task rather than a trial of Ray Tune: there is nothing to search or to stop early, the plan
knows the order, and a task whose worker dies is tried again, where the run goes on from its
checkpoint. Ray is imported only here.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import threading
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from tfselfsup.messages import one_line
from tfselfsup.programs.interruption import INTERRUPTED
from tfselfsup.programs.program_processes import (
    PACKAGE,
    Calls,
    Outcome,
    Workers,
    run_programs,
)

LOCAL = "local"  # as Ray calls it, too
CONNECTING = 10  # seconds
RETRIES = 5  # of a run whose worker, or machine, died, or whose memory did not suffice


class RayWorkers(Workers):
    """Tasks of Ray."""

    def __init__(self, address: str, slots: int, threads: int):
        """Starts Ray on this machine, or connects to a cluster.

        Args:
            address: `local`, or that of a cluster, such as `auto`.
            slots: How many at once on this machine, if it is `local`.
            threads: Of each run: as many processors are reserved for it.

        Raises:
            ValueError: If there is no Ray, or no such cluster.
        """
        if importlib.util.find_spec("ray") is None:
            raise ValueError(
                "expected Ray for --ray, got no package ray; pip install 'tfselfsup[distributed]'"
            )
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault(
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
        )  # else it announces a change
        # Ray repeats without end what the memory does not suffice for, and reads this only once.
        os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
        import ray

        self._ray = ray
        processors = {"num_cpus": slots * threads} if address == LOCAL else {}
        try:
            _connect(address)
            ray.init(
                # Without it Ray would take a cluster that is running here, or in RAY_ADDRESS.
                address=address,
                **processors,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                # A clone's package has to be found by the workers, too.
                runtime_env={"env_vars": {"PYTHONPATH": str(PACKAGE)}},
            )
        except Exception as error:  # Ray raises nothing more special
            ray.shutdown()
            remedy = {LOCAL: "try again when this machine is less busy"}.get(
                address, f"start a cluster with ray start --head, or give --ray {LOCAL}"
            )
            raise ValueError(
                f"expected Ray at {address}, got: {one_line(error)}; {remedy}"
            ) from error
        reserved = reserved_processors(threads, ray.nodes())
        self.slots = max(1, int(ray.cluster_resources().get("CPU", 0)) // reserved)
        self._run = ray.remote(num_cpus=reserved, max_retries=RETRIES)(_run_programs)
        self._names: dict = {}

    def start(self, name: str, calls: Calls) -> None:
        """Begins with programs."""
        task = self._run.options(name=name).remote(calls)
        self._names[task] = name

    def ended(self, seconds: float) -> dict[str, Outcome]:
        """Waits until something ends."""
        if not self._names:
            return {}
        done, _ = self._ray.wait(list(self._names), timeout=seconds)
        return {self._names.pop(task): self._outcome(task) for task in done}

    def _outcome(self, task) -> Outcome:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.TaskCancelledError:
            return Outcome(INTERRUPTED, "interrupted")
        except self._ray.exceptions.RayError as error:
            return Outcome(1, one_line(error))

    def stop(self) -> None:
        """Cancels all tasks, which save, waits for them and leaves Ray."""
        tasks = list(self._names)
        for task in tasks:
            self._ray.cancel(task)
        if tasks:
            self._ray.wait(tasks, num_returns=len(tasks))
        self._names.clear()
        self._ray.shutdown()


def reserved_processors(threads: int, nodes: Sequence[Mapping[str, Any]]) -> int:
    """Returns how many processors of one machine a run gets.

    Args:
        threads: That it could use.
        nodes: The machines, as Ray lists them; the head of a cluster may have no processors.
    """
    processors = (int(node["Resources"].get("CPU", 0)) for node in nodes)
    return min(threads, max((1, *processors)))


def _connect(address: str) -> None:
    """Finds out soon that nobody listens at host:port, for which Ray takes a minute and more."""
    place = urllib.parse.urlsplit(address if "://" in address else f"//{address}")
    if place.scheme in ("", "ray") and place.hostname and place.port:
        socket.create_connection((place.hostname, place.port), CONNECTING).close()


def _run_programs(calls: Calls) -> Outcome:
    """Runs programs in a worker."""
    return run_programs(calls, threading.Event())
