from pathlib import Path

import pytest

from tfselfsup.serving import layout


def version(folder, description="{}"):
    """Makes what looks like an exported model."""
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    (folder / "assets.extra" / "model.json").write_text(description)
    return folder


def test_the_newest_version_of_each_model_is_found(tmp_path):
    version(tmp_path / "faces" / "9")
    newest = version(tmp_path / "faces" / "10")
    other = version(tmp_path / "pong" / "1")
    # Half-written, foreign and empty folders.
    version(tmp_path / "faces" / "11.writing")
    (tmp_path / "faces" / "12").mkdir()
    (tmp_path / "figures").mkdir()
    (tmp_path / "a_file").touch()
    assert layout.find(tmp_path) == {"faces": newest, "pong": other}


def test_the_folder_of_one_model_will_do(tmp_path, monkeypatch):
    newest = version(tmp_path / "faces" / "2")
    assert layout.find(tmp_path / "faces") == {"faces": newest}
    monkeypatch.chdir(tmp_path / "faces")
    (name,) = layout.find(Path("."))
    assert name == "faces"


@pytest.mark.parametrize("folder", ["", "missing", "a_file"])
def test_a_folder_without_a_model_is_refused(tmp_path, folder):
    (tmp_path / "a_file").touch()
    with pytest.raises(ValueError, match="expected exported models in .*, found none; write one"):
        layout.find(tmp_path / folder)


def test_a_description_is_read(tmp_path):
    assert layout.description(version(tmp_path / "1", '{"kind": "agent"}')) == {"kind": "agent"}


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_model_from_elsewhere_is_refused(tmp_path, content):
    folder = version(tmp_path / "1", content)
    with pytest.raises(ValueError, match="expected a description .*; export it again"):
        layout.description(folder)


@pytest.mark.parametrize("name", ["latest", "0", "01", "1.5", "-1", "1" * 19])
def test_what_is_no_version_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"expected a version such as .*/1, got .*{name};"):
        layout.check_new(tmp_path / name)


def test_a_version_that_is_there_is_refused_and_the_next_is_named(tmp_path):
    layout.check_new(tmp_path / "9")
    (tmp_path / "9").mkdir()
    with pytest.raises(ValueError, match="export to .*/10, or delete it"):
        layout.check_new(tmp_path / "9")
