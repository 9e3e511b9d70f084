import json
import logging
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest
import tensorflow as tf

from tfselfsup.programs import startup

ROOT = Path(__file__).resolve().parents[2]

# What TensorFlow 2.15 and the old gym write on a machine without a GPU.
NOTICES = """\
2025-01-01 10:00:00.000000: E external/local_xla/xla/stream_executor/cuda/cuda_dnn.cc:9261] \
Unable to register cuDNN factory: Attempting to register factory for plugin cuDNN when one has \
already been registered
2025-01-01 10:00:00.000000: I tensorflow/core/util/port.cc:113] oneDNN custom operations are on.
2025-01-01 10:00:00.000000: I tensorflow/tsl/cuda/cudart_stub.cc:28] Could not find cuda drivers \
on your machine, GPU will not be used.
2025-01-01 10:00:00.000000: W tensorflow/compiler/tf2tensorrt/utils/py_utils.cc:38] TF-TRT \
Warning: Could not find TensorRT
Gym has been unmaintained since 2022 and does not support NumPy 2.0 amongst other critical \
functionality.
Please upgrade to Gymnasium, the maintained drop-in replacement of Gym, or contact the authors of \
your software and request that they upgrade.
Users of this version of Gym should be able to simply replace 'import gym' with 'import gymnasium \
as gym' in the vast majority of cases.
See the migration guide at https://gymnasium.farama.org/introduction/migration_guide/ for \
additional information.
"""
WARNINGS = """\
2025-01-01 10:00:00.000000: W tensorflow/core/framework/cpu_allocator_impl.cc:83] Allocation of \
9 GB exceeds 10% of free system memory.
RuntimeError: module compiled against API version 0xf but this version of numpy is 0xe
"""


def python(code, *paths, **variables) -> subprocess.CompletedProcess:
    """Runs code in a process whose environment says nothing about TensorFlow."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TF_", "CUDA"))
    }
    environment["PYTHONPATH"] = os.pathsep.join(map(str, (*paths, ROOT)))
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def fake_tensorflow(tmp_path):
    """A folder with packages in place of TensorFlow and TF-Agents, that only write."""
    (tmp_path / "tf_agents").mkdir()
    (tmp_path / "tf_agents" / "__init__.py").touch()
    (tmp_path / "tf_agents" / "agents.py").touch()

    def make(agents_code=""):
        (tmp_path / "tf_agents" / "agents.py").write_text(agents_code)
        (tmp_path / "tensorflow.py").write_text(
            "import os, sys, types\n"
            # As the C++ code writes, and as Python does.
            f"os.write(2, {(NOTICES + WARNINGS).encode()!r})\n"
            "print('Gym has been unmaintained since 2022', file=sys.stderr)\n"
            "print('UserWarning: a real one', file=sys.stderr)\n"
            "def ignore(threads): pass\n"
            "threading = types.SimpleNamespace(\n"
            "    set_intra_op_parallelism_threads=ignore,\n"
            "    set_inter_op_parallelism_threads=ignore,\n"
            ")\n"
            "config = types.SimpleNamespace(threading=threading)\n"
        )
        return tmp_path

    return make


START = """
    import os, sys
    from tfselfsup.config import RuntimeConfig
    from tfselfsup.programs.startup import start_tensorflow
    start_tensorflow(RuntimeConfig())
    print("after", file=sys.stderr)
    print(os.environ["TF_ENABLE_ONEDNN_OPTS"])
"""


def test_notices_of_the_import_are_held_back_and_warnings_pass(fake_tensorflow):
    finished = python(START, fake_tensorflow())
    assert finished.returncode == 0
    assert finished.stderr == WARNINGS + "UserWarning: a real one\nafter\n"


def test_what_an_import_that_fails_wrote_is_shown(fake_tensorflow):
    finished = python(START, fake_tensorflow("raise ImportError('a library is missing')\n"))
    assert finished.returncode == 1
    assert finished.stderr.startswith(WARNINGS + "UserWarning: a real one\n")
    assert finished.stderr.endswith("ImportError: a library is missing\n")


@pytest.mark.parametrize(("given", "used"), [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(fake_tensorflow, given, used):
    assert python(START, fake_tensorflow(), **given).stdout == f"{used}\n"


def test_notices_are_filtered_once_however_often_is_imported(caplog):
    logger = logging.getLogger("absl")
    startup.import_quietly("json")
    filters = list(logger.filters)
    for _ in range(3):
        startup.import_quietly("json")
    assert logger.filters == filters
    logger.warning("`FeatureConnector.dtype` is deprecated. Please change your code")
    logger.warning("a real one")
    assert [record.getMessage() for record in caplog.records] == ["a real one"]


@pytest.fixture(scope="module")
def started():
    """A process that starts the real TensorFlow with five and seven threads."""
    return python("""
        import json, sys
        from tfselfsup.config import RuntimeConfig
        from tfselfsup.programs.startup import start_tensorflow
        start_tensorflow(RuntimeConfig(intra_op_threads=5, inter_op_threads=7))
        import tensorflow as tf
        twice = float(tf.function(lambda x: 2 * x)(tf.constant(3.0)))
        print(json.dumps({
            "twice": twice,
            "agents": "tf_agents.agents" in sys.modules,
            "intra": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter": tf.config.threading.get_inter_op_parallelism_threads(),
        }))
    """)


def test_the_real_import_writes_nothing_to_standard_error(started):
    assert (started.returncode, started.stderr) == (0, "")


def test_the_threads_are_those_of_the_settings(started):
    expected = {"twice": 6.0, "agents": True, "intra": 5, "inter": 7}
    assert json.loads(started.stdout) == expected


@pytest.mark.parametrize(("settings", "status"), [({}, 2), ({"status": 1}, 1)])
def test_fail_writes_one_line_with_the_programs_name(monkeypatch, capsys, settings, status):
    monkeypatch.setattr(sys, "argv", ["some/where/bin/train_agent", "--run_dir", "x"])
    with pytest.raises(SystemExit) as ended:
        startup.fail("expected\n   one thing,\tgot another", **settings)
    assert ended.value.code == status
    assert capsys.readouterr() == ("", "train_agent: error: expected one thing, got another\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("expected a game,\ngot 'x'"), "expected a game, got 'x'"),
        (FileNotFoundError(2, "No such file", "a.yaml"), "[Errno 2] No such file: 'a.yaml'"),
        (PermissionError(13, "Permission denied", "runs"), "[Errno 13] Permission denied: 'runs'"),
    ],
)
def test_a_users_mistake_is_one_line_with_status_2(monkeypatch, capsys, error, message):
    monkeypatch.setattr(sys, "argv", ["train_agent"])
    with pytest.raises(SystemExit) as ended, startup.user_mistakes():
        raise error
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"train_agent: error: {message}\n")


@pytest.mark.parametrize("name", ["DataLossError", "InvalidArgumentError", "NotFoundError"])
def test_a_damaged_file_that_tensorflow_reads_is_one_line_with_status_2(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["evaluate_classifier"])
    with pytest.raises(SystemExit) as ended, startup.user_mistakes():
        raise getattr(tf.errors, name)(None, None, "corrupted record at 12\n\t [[{{node x}}]]")
    assert ended.value.code == 2
    assert capsys.readouterr() == (
        "",
        "evaluate_classifier: error: expected files that can be read, got: corrupted record at 12; "
        "prepare them again\n",
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ResourceExhaustedError", "step_1/tensors; No space left on device"),
        ("PermissionDeniedError", "step_1/tensors; Read-only file system"),
    ],
)
def test_a_file_that_tensorflow_cannot_write_is_one_line_with_status_2(name, reason, capsys):
    with pytest.raises(SystemExit) as ended, startup.user_mistakes():
        raise getattr(tf.errors, name)(None, None, reason)
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert f"expected files that can be written, got: {reason}; make room" in message


def test_what_is_wrong_inside_a_graph_is_told(capsys):
    with pytest.raises(SystemExit), startup.user_mistakes():
        raise tf.errors.DataLossError(
            None, None, "Graph execution error:\n\ncorrupted record at 12\n\t [[{{node x}}]]"
        )
    assert "got: corrupted record at 12; prepare" in capsys.readouterr().err


def test_of_files_that_are_not_written_an_error_of_shapes_keeps_its_traceback():
    with pytest.raises(tf.errors.InvalidArgumentError), startup.file_errors():
        raise tf.errors.InvalidArgumentError(None, None, "Matrix size-incompatible")


def test_a_memory_that_does_not_suffice_keeps_its_traceback():
    with pytest.raises(tf.errors.ResourceExhaustedError), startup.user_mistakes():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def test_of_files_only_a_wrong_value_keeps_its_traceback(capsys):
    with pytest.raises(ValueError, match="x"), startup.file_errors():
        raise ValueError("x")
    with pytest.raises(SystemExit) as ended, startup.file_errors():
        raise PermissionError("no")
    assert ended.value.code == 2 and capsys.readouterr().err.endswith("error: no\n")


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), KeyboardInterrupt()])
def test_our_own_mistakes_keep_their_traceback(error):
    with pytest.raises(type(error)) as raised, startup.user_mistakes():
        raise error
    assert raised.value is error


@pytest.mark.parametrize(
    ("precision", "flags", "gpus", "warns"),
    [
        ("mixed_bfloat16", "fpu avx2 avx512f", 0, True),
        ("mixed_bfloat16", "fpu avx512_bf16 avx512f", 0, False),
        ("mixed_bfloat16", "amx_bf16", 0, False),
        ("mixed_bfloat16", "fpu avx2", 1, False),
        ("float32", "fpu avx2", 0, False),
    ],
)
def test_slow_arithmetic_is_warned_of(precision, flags, gpus, warns, monkeypatch, capsys, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : {flags}\n")
    monkeypatch.setattr(startup, "Path", lambda name: tmp_path / Path(name).name)
    devices = types.SimpleNamespace(list_physical_devices=lambda kind: gpus * [kind])
    fake = types.SimpleNamespace(config=devices)
    monkeypatch.setitem(sys.modules, "tensorflow", fake)
    startup.warn_of_slow_precision(precision, "--network.precision")
    written = capsys.readouterr().err
    assert ("--network.precision float32" in written) == warns
    assert written.count("\n") == warns


def test_no_warning_where_the_processor_cannot_be_known(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(startup, "Path", lambda name: tmp_path / "nothing")
    devices = types.SimpleNamespace(list_physical_devices=lambda kind: [])
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(config=devices))
    startup.warn_of_slow_precision("mixed_bfloat16", "--network.precision")
    assert capsys.readouterr() == ("", "")
