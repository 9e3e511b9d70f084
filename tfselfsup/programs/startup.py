"""What every program does first: imports TensorFlow quietly and turns mistakes into one line."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfselfsup.config import RuntimeConfig
from tfselfsup.messages import one_line

# Printed on every machine without a GPU, by the old gym that TF-Agents brings, or by TFDS.
NOISE = re.compile(
    r"Unable to register cu\w+ factory|Gym has been unmaintained|Please upgrade to Gymnasium"
    r"|Users of this version of Gym|See the migration guide at https://gymnasium"
    r"|oneDNN custom operations are on|TF-TRT Warning|This TensorFlow binary is optimized"
    r"|To enable the following instructions|Could not find cuda drivers"
    r"|computation placer already registered|`FeatureConnector.dtype` is deprecated"
)


# TensorFlow's own errors of damaged records and images, and of files that cannot be written; it is
# not imported here.
_DAMAGED = ("DataLossError", "InvalidArgumentError", "NotFoundError")
_UNWRITABLE = ("PermissionDeniedError", "ResourceExhaustedError")


def start_tensorflow(runtime: RuntimeConfig) -> None:
    """Imports TensorFlow and TF-Agents without their routine notices, and sets the threads.

    Args:
        runtime: Threads inside and between operations.
    """
    import_quietly("tensorflow", "tf_agents.agents")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(runtime.intra_op_threads)
    tf.config.threading.set_inter_op_parallelism_threads(runtime.inter_op_threads)


def import_quietly(*modules: str) -> None:
    """Imports TensorFlow, and what needs it, without their routine notices.

    Args:
        *modules: Dotted names.
    """
    # Off by default on processors without AVX-512, where it is nevertheless faster.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors
    with _without_noise():
        for module in modules:
            importlib.import_module(module)
    # The same function at every call: a logger takes it once.
    logging.getLogger("absl").addFilter(_is_no_noise)


def warn_of_slow_precision(precision: str, option: str) -> None:
    """Warns where bfloat16 is slower than float32: on a processor that has to emulate it.

    Args:
        precision: `float32` or `mixed_bfloat16`.
        option: The command-line option that chooses it.
    """
    import tensorflow as tf

    processor = Path("/proc/cpuinfo")
    if precision == "float32" or tf.config.list_physical_devices("GPU") or not processor.exists():
        return
    if not re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", processor.read_text()):
        print(
            "warning: this processor has no bfloat16 arithmetic, so that it is slow; "
            f"{option} float32 is faster",
            file=sys.stderr,
        )


def _is_no_noise(record: logging.LogRecord) -> bool:
    return not NOISE.search(record.getMessage())


@contextmanager
def _without_noise() -> Iterator[None]:
    """Holds back what is written to standard error, and then lets everything but noise pass."""
    sys.stderr.flush()
    standard_error = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(standard_error, 2)
            os.close(standard_error)
            held_back.seek(0)
            for line in held_back.read().decode(errors="replace").splitlines():
                if not NOISE.search(line):
                    print(line, file=sys.stderr)


def fail(message: object, status: int = 2) -> None:
    """Ends the program with one line.

    Args:
        message: What is wrong, and what to do.
        status: 2 for a user's mistake, 1 for what went wrong on the way.
    """
    program = os.path.basename(sys.argv[0])
    print(f"{program}: error: {one_line(message)}", file=sys.stderr)
    raise SystemExit(status)


@contextmanager
def user_mistakes() -> Iterator[None]:
    """Reports a wrong value, and what `file_errors` does, in one line, without a traceback."""
    with file_errors():
        try:
            yield
        except ValueError as error:
            fail(error)
        except Exception as error:
            if type(error).__name__ not in _DAMAGED:
                raise
            fail(f"expected files that can be read, got: {_reason(error)}; prepare them again")


@contextmanager
def file_errors() -> Iterator[None]:
    """Reports a file that cannot be opened or written in one line, without a traceback."""
    try:
        yield
    except OSError as error:
        fail(error)
    except Exception as error:
        kind, reason = type(error).__name__, _reason(error)
        # The memory may be what is exhausted, too.
        if kind in _UNWRITABLE and re.search("No space|quota|[Pp]ermission|Read-only", reason):
            fail(
                f"expected files that can be written, got: {reason}; make room, or write elsewhere"
            )
        raise


def _reason(error: Exception) -> str:
    """Takes of an error of TensorFlow the line that says what is wrong."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("Graph execution error")]
    return (told or lines or [""])[0]
