import importlib.util
import socket

import pytest

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
