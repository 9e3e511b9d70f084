import sys

import pytest

from tfselfsup import plugins, tasks
from tfselfsup.config import ImageDataConfig
from tfselfsup.datasets.digits import DigitData
from tfselfsup.models import trunks
from tfselfsup.programs import classifier_parts
from tfselfsup.runs.environment import environment

TASK = """
from tfselfsup.tasks.rotation import Rotation


class Turned(Rotation):
    pass
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package with entry points, as pip would write it, where Python finds it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(group, entries, package="their-parts", **modules):
        (tmp_path / "their_parts").mkdir(exist_ok=True)
        for name, source in {"__init__": "", **modules}.items():
            (tmp_path / "their_parts" / f"{name}.py").write_text(source)
        folder = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entries.items()]
        points = "\n".join([f"[tfselfsup.{group}]", *lines, ""])
        (folder / "entry_points.txt").write_text(points)
        plugins._added.cache_clear()

    plugins._added.cache_clear()
    yield install
    plugins._added.cache_clear()
    for module in [name for name in sys.modules if name.split(".")[0] == "their_parts"]:
        del sys.modules[module]


def refused(call, *arguments):
    with pytest.raises(ValueError) as error:
        call(*arguments)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_names_are_those_here_and_then_those_added(install):
    assert plugins.names("tasks", ["b", "a"]) == ["b", "a"]
    install("tasks", {"d": "their_parts.d", "c": "their_parts.c"})
    assert plugins.names("tasks", ["b", "a"]) == ["b", "a", "c", "d"]
    assert plugins.names("trunks", {"b": 1}) == ["b"]


def test_a_run_records_the_version_of_a_package(install):
    assert "their-parts" not in environment()["versions"]
    install("trunks", {"theirs": "their_parts.theirs:TRUNK"})
    assert environment()["versions"]["their-parts"] == "1.0"


def test_a_name_that_is_taken_is_refused(install):
    install("tasks", {"rotation": "their_parts.rotation"}, rotation=TASK)
    for call in (tasks.names, lambda: tasks.get("rotation")):
        message = refused(call)
        assert "'rotation'" in message and "their-parts" in message and "tfselfsup.tasks" in message


def test_a_name_that_two_packages_add_is_refused(install):
    install("tasks", {"turned": "their_parts.turned", "own": "their_parts.turned"}, turned=TASK)
    install("tasks", {"turned": "their_parts.turned"}, "other-parts")
    for call in (tasks.names, lambda: tasks.get("turned"), lambda: tasks.get("own")):
        message = refused(call)
        for word in ("'turned'", "their-parts", "other-parts", "tfselfsup.tasks"):
            assert word in message
    # What a run records has both.
    assert {"their-parts", "other-parts"} <= set(plugins.packages())


def test_a_task_of_a_package_is_found_by_its_name(install):
    install("tasks", {"turned": "their_parts.turned"}, turned=TASK)
    assert "turned" in tasks.names()
    task = tasks.get("turned")
    assert type(task).__module__ == "their_parts.turned" and task.name == "turned"
    assert "'turned' has no option 'size'" in refused(lambda: tasks.get("turned", size=3))


def test_what_nobody_declared_is_not_imported(install):
    install("tasks", {"turned": "their_parts.turned"}, turned=TASK, hidden=TASK)
    for name in ("their_parts.hidden", "their_parts.turned", "hidden"):
        assert f"unknown task '{name}'" in refused(tasks.get, name)
    assert not any(name.startswith("their_parts.") for name in sys.modules)


@pytest.mark.parametrize(
    ("value", "modules", "words"),
    [
        ("their_parts.gone", {}, ("ModuleNotFoundError", "their_parts.gone")),
        ("their_parts.bad", {"bad": "1 / 0"}, ("ZeroDivisionError",)),
        ("their_parts.other", {"other": TASK}, ("a module turned", "their_parts.other")),
        ("their_parts.turned:Turned", {"turned": TASK}, ("a module turned", "class")),
        ("their_parts.turned", {"turned": ""}, ("exactly one subclass of Task, found 0",)),
    ],
)
def test_a_task_that_cannot_be_used_is_one_line(install, value, modules, words):
    install("tasks", {"turned": value}, **modules)
    message = refused(tasks.get, "turned")
    for word in words:
        assert word in message


def test_a_trunk_of_a_package_is_found_by_its_name(install):
    source = "from tfselfsup.models.trunks import TRUNKS\n\nTRUNK = TRUNKS['nature_cnn']\n"
    entries = {"theirs": "their_parts.theirs:TRUNK", "wrong": "their_parts.theirs:TRUNKS"}
    install("trunks", entries, theirs=source)
    assert trunks.names() == [*trunks.TRUNKS, "theirs", "wrong"]
    assert trunks.get("theirs") is trunks.TRUNKS["nature_cnn"]
    message = refused(trunks.get, "wrong")
    assert "a trunk as 'wrong'" in message and "their-parts" in message
    assert "a trunk among nature_cnn" in refused(trunks.get, "thiers")


def test_a_data_set_of_a_package_is_found_by_its_name(install):
    source = (
        "from tfselfsup.datasets.digits import DigitData\n"
        "from tfselfsup.datasets.labelled_images import LabelledImages\n"
    )
    names = {"theirs": "DigitData", "abstract": "LabelledImages", "wrong": "__name__"}
    entries = {name: f"their_parts.theirs:{value}" for name, value in names.items()}
    install("data", entries, theirs=source)
    assert classifier_parts.data_kind(ImageDataConfig("theirs")) is DigitData
    for name in ("abstract", "wrong"):
        assert f"'{name}'" in refused(classifier_parts.data_kind, ImageDataConfig(name))
    message = refused(classifier_parts.open_data, ImageDataConfig("face"))
    assert "data.kind among faces, digits, abstract, theirs, wrong, got 'face'" in message
