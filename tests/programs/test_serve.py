import base64
import importlib.util
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import cv2
import numpy as np
import pytest

from tests.serving import exported
from tfselfsup.programs import serve


def refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        serve.main([*map(str, arguments)])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1, errors
    return errors


@pytest.fixture
def model(tmp_path):
    """What looks like an exported model, until it is loaded."""
    extras = tmp_path / "models" / "faces" / "1" / "assets.extra"
    extras.mkdir(parents=True)
    (extras.parent / "saved_model.pb").touch()
    (extras / "model.json").write_text('{"kind": "classifier"}')
    return tmp_path / "models"


def test_a_folder_without_models_is_one_line(tmp_path, capsys):
    assert "bin/export_model" in refused([tmp_path], capsys)


def test_a_model_from_elsewhere_is_one_line(model, capsys):
    (model / "faces" / "1" / "assets.extra" / "model.json").unlink()
    assert "model.json" in refused([model], capsys)


def test_a_damaged_model_is_one_line_at_once(model, capsys):
    pytest.importorskip("ray.serve", reason="needs the extra 'serving'")
    for content in (b"", b"no protocol buffer"):
        (model / "faces" / "1" / "saved_model.pb").write_bytes(content)
        message = refused([model, "--port", serve.free_port("127.0.0.1")], capsys)
        assert "expected a SavedModel in" in message and "export it again" in message


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_there_is_not_is_refused(port, model, capsys):
    assert "Port" in refused([model, "--port", port], capsys)


def test_a_port_that_is_taken_is_one_line(model, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in refused([model, "--port", port], capsys)


def test_a_missing_extra_is_one_line(model, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    port = serve.free_port("127.0.0.1")
    assert "pip install -e '.[serving]'" in refused([model, "--port", port], capsys)


@pytest.mark.parametrize("option", ["port", "batch_size", "replicas", "request_bytes", "instances"])
def test_a_number_out_of_range_is_one_line(model, option, capsys):
    assert option in refused([model, f"--{option}", 0], capsys)


def test_it_serves_until_it_is_ended_and_leaves_the_port_free(tmp_path):
    pytest.importorskip("ray.serve", reason="needs the extra 'serving'")
    exported.colours(tmp_path / "colours" / "1")
    port = serve.free_port("127.0.0.1")
    program = Path(__file__).resolve().parents[2] / "bin" / "serve"
    red = np.full((12, 12, 3), (0, 0, 255), np.uint8)  # as OpenCV orders colours
    content = base64.b64encode(cv2.imencode(".png", red)[1].tobytes()).decode()
    body = json.dumps({"instances": [{"b64": content}]}).encode()
    with subprocess.Popen(
        [sys.executable, program, tmp_path, "--port", str(port), "--replicas", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as serving:
        try:
            # Ray may say more before, on a busy machine.
            url = next((line.strip() for line in serving.stdout if line.startswith("http")), None)
            assert url == f"http://127.0.0.1:{port}/v1/models/colours:predict"
            request = Request(url, body, {"Content-Type": "application/json"})
            with urlopen(request, timeout=300) as response:
                (answer,) = json.load(response)["predictions"]
            # Of red 1 and green 0 the first class has the odds e.
            assert answer["probability"] == pytest.approx(1 / (1 + np.e), abs=1e-4)
            serving.send_signal(signal.SIGTERM)
            _, errors = serving.communicate(timeout=300)
        finally:
            serving.terminate()
    # As after Ctrl-C.
    assert serving.returncode == 130
    assert "stopping" in errors.splitlines()
    with socket.create_server(("127.0.0.1", port)):
        pass
