"""Serves exported models over HTTP."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jsonargparse.typing import PositiveInt, restricted_number_type

from tfselfsup.command_line import ExperimentParser, built
from tfselfsup.config.serving import Limits
from tfselfsup.messages import one_line
from tfselfsup.programs.startup import fail, import_quietly, user_mistakes
from tfselfsup.serving import layout

_Port = restricted_number_type("Port", int, [(">", 0), ("<", 65536)])
EXTRA = ("ray", "starlette", "python_multipart")  # packages of the extra 'serving'


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("directory", help="folder of models that bin/export_model wrote: NAME/1")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines ask")
    parser.add_argument("--port", type=_Port, default=8000)
    parser.add_argument("--replicas", type=PositiveInt, default=1, help="processes that answer")
    parser.add_class_arguments(Limits)
    parsed = parser.parse_args(arguments)
    limits = built(Limits, parser, parsed)
    with user_mistakes():
        found = layout.find(Path(parsed.directory))
        for folder in found.values():
            layout.description(folder)
        _check_free(parsed.host, parsed.port)
        require_extra()
    import_quietly("tensorflow")  # sets what Ray's processes inherit, too
    from tfselfsup.serving import saved_models

    with user_mistakes():
        for folder in found.values():
            saved_models.check(folder)
    port = int(parsed.port)  # Ray's processes do not know the type of the option
    with running(Path(parsed.directory), limits, parsed.replicas, parsed.host, port) as url:
        # What runs services ends them so; as with Ctrl-C, and set after Ray has set its own.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for name in found:
            print(f"{url}/v1/models/{name}:predict", flush=True)
        signal.pause()


def require_extra() -> None:
    """Makes sure that what a server needs is installed.

    Raises:
        ValueError: If it is not.
    """
    if missing := [name for name in EXTRA if importlib.util.find_spec(name) is None]:
        raise ValueError(
            f"expected the extra 'serving', got no {missing[0]}; pip install -e '.[serving]'"
        )


def free_port(host: str) -> int:
    """Returns a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def _check_free(host: str, port: int) -> None:
    """Makes sure that nobody listens there: Ray would say so after half a minute, at length."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ValueError(
                f"expected a free port, got {host}:{port} ({error.strerror}); name another --port"
            ) from error


@contextmanager
def running(directory: Path, limits: Limits, replicas: int, host: str, port: int) -> Iterator[str]:
    """Starts Ray and the server, and ends both with the block.

    Args:
        directory: Of the models.
        limits: What is taken at a time.
        replicas: Processes that answer.
        host: Address to listen on.
        port: To listen on.

    Yields:
        The server's URL, when all models can answer.
    """
    # Ray's processes find this package where this one found it; Ray reports to nobody.
    here = str(Path(__file__).resolve().parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Else what answers gives way to every other process, the clients of this machine too.
    os.environ.setdefault("RAY_worker_niceness", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it announces a change
    warnings.filterwarnings("ignore", "Pydantic v1 is deprecated")  # TF-Agents allows no other
    import ray
    from ray import serve

    from tfselfsup.serving import server

    # A cluster of its own, whatever others this machine or its environment knows of.
    ray.init("local", include_dashboard=False, logging_level="error", log_to_driver=False)
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    try:
        serve.start(http_options={"host": host, "port": port})
        application = server.application(directory, limits, replicas)
        try:
            serve.run(application, name="models", route_prefix="/")
        except RuntimeError as error:  # as Ray says that no process could load the models
            fail(
                f"expected models that can be loaded in {directory}, got: {one_line(error)}; "
                "give fewer --replicas, or export them again with bin/export_model",
                status=1,
            )
        yield f"http://{host}:{port}"
    finally:
        print("stopping", file=sys.stderr)
        serve.delete("models")  # what was asked is answered still
        ray.shutdown()
