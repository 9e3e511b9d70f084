import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.models import alexnet_reference as reference
from tfselfsup.models import alexnet, encoders, torch_checkpoints, weights
from tfselfsup.programs import import_torch_weights

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def thin(monkeypatch):
    """An AlexNet with an eighth of the widths, and a checkpoint of it."""
    filters, dense = reference.WIDTHS["thin"]
    convolutions = zip(filters, alexnet.CONVOLUTIONS, strict=True)
    monkeypatch.setattr(alexnet, "WIDTH", dense)
    monkeypatch.setattr(alexnet, "CONVOLUTIONS", [(n, *rest) for n, (_, *rest) in convolutions])
    monkeypatch.setattr(torch_checkpoints, "read", lambda _: reference.weights("alexnet", "thin"))


def run_here(*arguments) -> int:
    try:
        import_torch_weights.main([*map(str, arguments)])
    except SystemExit as ended:
        return ended.code or 0
    return 0


def test_the_file_that_is_written_gives_the_features_of_pytorch(tmp_path, thin, capsys):
    out = tmp_path / "folder" / "alexnet.h5"
    assert run_here("alexnet.pth", "--trunk", "alexnet", "--out", out) == 0
    assert str(out) in capsys.readouterr().out
    encoder = encoders.encoder((1, 224, 224, 3), "alexnet", out)
    pooled = encoder(reference.pictures()[:, None])["pooled"]
    expected = reference.kept()["alexnet"]["thin"]["pooled"]
    np.testing.assert_allclose(reference.excerpt(pooled)["norms"], expected["norms"], rtol=1e-5)
    assert [path.name for path in out.parent.iterdir()] == ["alexnet.h5"]
    assert set(weights.read(out)) == {f"conv{n}" for n in range(1, 6)} | {"fc6", "fc7"}


@pytest.mark.parametrize(
    "checkpoint, words",
    [
        ("none.pt", ("none.pt", "does not exist")),
        (reference.CHECKPOINTS / "module.pt", ("state_dict()", "Sequential")),
        (reference.CHECKPOINTS / "zip.pt", ("features.0.weight", "'alexnet'")),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(tmp_path, capsys, checkpoint, words):
    out = tmp_path / "out.h5"
    assert run_here(checkpoint, "--trunk", "alexnet", "--out", out) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    for word in words:
        assert word in message
    assert not list(tmp_path.iterdir())


def test_a_folder_is_not_replaced_by_the_file(tmp_path, capsys):
    (tmp_path / "kept").touch()
    assert run_here("alexnet.pth", "--trunk", "alexnet", "--out", tmp_path) == 2
    assert f"expected the name of a file for --out, got the folder {tmp_path}" in (
        capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_weights_of_other_widths_are_refused(tmp_path, thin, monkeypatch, capsys):
    monkeypatch.setattr(alexnet, "WIDTH", 48)
    assert run_here("a.pth", "--trunk", "alexnet", "--out", tmp_path / "out.h5") == 2
    message = capsys.readouterr().err
    for word in ("'fc6'", "1152x48", "1152x64", "a.pth"):
        assert word in message


def test_an_unknown_trunk_is_told_the_valid_ones(capsys):
    assert run_here("a.pth", "--trunk", "resnet50", "--out", "out.h5") == 2
    message = capsys.readouterr().err
    for word in ("resnet50", "alexnet", "alexnet_bn"):
        assert word in message


def test_the_program_stands_in_bin(tmp_path):
    program = ROOT / "bin" / "import_torch_weights"
    assert os.access(program, os.X_OK)
    shutil.copy(reference.CHECKPOINTS / "bfloat16.pt", tmp_path / "a.pt")
    command = [sys.executable, program, "a.pt", "--trunk", "alexnet", "--out", "out.h5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("import_torch_weights: error: ")
    assert "BFloat16Storage" in done.stderr
    assert done.stderr.count("\n") == 1
