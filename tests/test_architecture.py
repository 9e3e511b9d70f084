"""The rules of the house, read from the code; each is a function that lists what breaks it."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tfselfsup import programs

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tfselfsup"

# In the order data flows; `messages`, `command_line` and `plugins` are modules, the others folders.
ROOMS = (
    "messages",
    "config",
    "command_line",
    "plugins",
    "runs",
    "tasks",
    "models",
    "rl",
    "datasets",
    "vision",
    "attribution",
    "serving",
    "report",
    "benchmarks",
    "programs",
)
# Rooms that stay apart although one stands above the other.
APART = {"models": {"tasks"}, "rl": {"vision"}, "vision": {"rl"}}
# Rooms that answer at once, and the packages that take seconds to import.
QUICK_ROOMS = ("config", "plugins", "runs", "report")
SLOW_PACKAGES = {
    "keras",
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_hub",
    "tensorflow_probability",
    "tf_agents",
    "tf_keras",
}
MOST_LINES = 350


def sources(package):
    return sorted(package.rglob("*.py"))


def room_of(path, package):
    return path.relative_to(package).with_suffix("").parts[0]


def imports(path, package):
    """Lists the dotted names a file imports anywhere in it, in its functions too."""
    inside = [package.name, *path.relative_to(package).with_suffix("").parts]
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = inside[: -node.level] if node.level else []
            module = [*parents, *filter(None, [node.module])]
            names += [".".join([*module, alias.name]) for alias in node.names]
    return names


def allowed_rooms(room):
    if room == "__main__":
        return set(ROOMS)
    if room == "__init__":
        return set()
    return set(ROOMS[: ROOMS.index(room) + 1]) - APART.get(room, set())


def forbidden_imports(package):
    found = []
    for path in sources(package):
        room, file = room_of(path, package), path.relative_to(package)
        if room not in (*ROOMS, "__init__", "__main__"):
            found.append(f"{file} is in none of the rooms {', '.join(ROOMS)}")
            continue
        for name in imports(path, package):
            top, _, rest = name.partition(".")
            imported = rest.split(".")[0]
            if top == package.name and imported in set(ROOMS) - allowed_rooms(room):
                found.append(f"{file} imports {name}")
            if room in QUICK_ROOMS and top in SLOW_PACKAGES:
                found.append(f"{file} imports {name}")
    return found


def slow_packages_brought_by(package):
    """Imports all modules of the quick rooms in a fresh process; lists the slow ones there then."""
    modules = [
        ".".join([package.name, *path.relative_to(package).with_suffix("").parts])
        for path in sources(package)
        if room_of(path, package) in QUICK_ROOMS
    ]
    script = (
        "import importlib, sys\n"
        f"for module in {modules}: importlib.import_module(module)\n"
        f"print(*sorted({SLOW_PACKAGES} & set(sys.modules)))"
    )
    # Python looks into the working directory first.
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def is_dataclass(node):
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.split("(")[0].split(".")[-1] == "dataclass" for name in names)


def dead_settings(package):
    """Lists the fields of the dataclasses in config/ that no module elsewhere reads."""
    settings = [path for path in sources(package) if room_of(path, package) == "config"]
    fields = [
        (node.name, statement.target.id)
        for path in settings
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and is_dataclass(node)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    ]
    assert fields, "config/ has no dataclass"
    read = {
        node.attr
        for path in sources(package)
        if path not in settings
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
        # An object's own attribute of the same name is no setting.
        if not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    return [f"{owner}.{name}" for owner, name in fields if name not in read]


def unmatched_programs(package, helpers):
    """Lists programs without a file in bin/, and files in bin/ without a program."""
    bins = {path.name for path in (package.parent / "bin").iterdir() if path.is_file()}
    modules = {path.stem for path in (package / "programs").glob("*.py")} - {"__init__"}
    found = [f"helper {name} does not exist" for name in set(helpers) - modules]
    modules -= set(helpers)
    found += [f"bin/{name} has no module" for name in bins - modules]
    found += [f"programs/{name}.py has no file in bin" for name in modules - bins]
    return sorted(found)


def drawers(package):
    files = [path.relative_to(package) for path in sources(package)]
    return [str(file) for file in files if "utils" in file.with_suffix("").parts]


def long_files(package):
    lines = {path: len(path.read_text().splitlines()) for path in sources(package)}
    return [
        f"{path.relative_to(package)} has {count} lines, at most {MOST_LINES} are allowed"
        for path, count in lines.items()
        if count > MOST_LINES
    ]


def modules_untold(package, text):
    """Lists file names that a text has fewer times than there are such files, and those of none."""
    files = Counter(path.name for path in sources(package) if path.name != "__init__.py")
    told = Counter(re.findall(r"[a-z0-9_]+\.py\b", text))
    found = [
        f"{name} is told {told[name]} of {n} times" for name, n in files.items() if told[name] < n
    ]
    return [*found, *(f"{name} does not exist" for name in told if name not in files)]


def test_a_newcomer_is_told_of_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text()
    of_tests = re.findall(r"tests/[a-z_]+\.py", text)
    assert all((ROOT / path).is_file() for path in of_tests)
    assert modules_untold(PACKAGE, re.sub(r"tests/[a-z_]+\.py", "", text)) == []


def test_a_module_imports_only_from_the_rooms_above_its_own():
    assert sources(PACKAGE)
    assert forbidden_imports(PACKAGE) == []


def test_configuration_runs_and_report_bring_no_tensorflow():
    assert slow_packages_brought_by(PACKAGE) == []


def test_every_setting_has_a_reader():
    assert dead_settings(PACKAGE) == []


def test_every_program_has_its_file_in_bin():
    assert unmatched_programs(PACKAGE, programs.HELPERS) == []


def test_there_is_no_drawer_of_utilities():
    assert drawers(PACKAGE) == []


def test_no_file_is_too_long():
    assert long_files(PACKAGE) == []


@pytest.fixture
def write(tmp_path):
    """Writes files of a made-up house and returns its package."""

    def write(files):
        package = tmp_path / "house"
        for name, source in files.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return package

    return write


@pytest.mark.parametrize(
    "file, source",
    [
        ("config.py", "from house import runs"),
        ("config.py", "import tensorflow as tf"),
        ("runs.py", "def f():\n    import tf_agents.agents"),
        ("report/tables.py", "from keras import layers"),
        ("tasks/rotation.py", "from house.models import trunks"),
        ("tasks/rotation.py", "from ..models.trunks import get"),
        ("tasks/__init__.py", "from .. import models"),
        ("models/heads.py", "from house import tasks"),
        ("models/heads.py", "def f():\n    from house.tasks.base import Task"),
        ("rl/agent.py", "import house.vision.probe"),
        ("vision/probe.py", "import house.rl"),
        ("serving/export.py", "from house.report import tables"),
        ("report/tables.py", "from house.programs import report"),
        ("rl/agent.py", "from house import config, programs"),
        ("__init__.py", "from house import config"),
        ("drawer/things.py", ""),
        ("things.py", ""),
    ],
)
def test_a_forbidden_import_is_found(write, file, source):
    (found,) = forbidden_imports(write({file: source}))
    assert file in found


def test_allowed_imports_are_not_reported(write):
    files = {
        "__init__.py": "import os",
        "__main__.py": "from house import programs",
        "config.py": "import tensorflowish, dataclasses",
        "runs.py": "from house import config, __version__",
        "models/heads.py": "from house.models import trunks\nfrom house.config import runs",
        "rl/agent.py": "from house.tasks import models\nfrom . import replay\nimport tensorflow",
        "report/page.py": "from house import runs\nfrom vision import tasks",
        "programs/train.py": "from house import rl, vision\nfrom house.programs import parts",
    }
    assert forbidden_imports(write(files)) == []


@pytest.mark.parametrize("quick", ["config.py", "runs.py", "report/tables.py"])
def test_tensorflow_at_second_hand_is_found(write, quick):
    house = {"tasks/__init__.py": "", "tasks/base.py": "import tensorflow", "rl/agent.py": "1 / 0"}
    package = write({**house, quick: "def f():\n    from house.tasks import base"})
    # An empty stand-in, which comes before the real one: only the name matters.
    (package.parent / "tensorflow.py").touch()
    # Inside a function it does no harm until then.
    assert slow_packages_brought_by(package) == []
    write({quick: "from house.tasks import base"})
    assert slow_packages_brought_by(package) == ["tensorflow"]


def test_a_setting_without_a_reader_is_found(write):
    config = """
@dataclass(frozen=True)
class AgentConfig:
    read: int = 1
    own: int = 1
    written: int = 1
    plain: int = 1
    dead: int = 1

    def twice(self, config):
        return 2 * config.dead

class Plain:
    no_setting: int = 1
"""
    reader = """
def f(config):
    plain = dict(plain=1, read="config.dead")
    config.written = config.agent.read
    return plain

class C:
    def __init__(self):
        self.own = 1
        print(self.own)
"""
    found = dead_settings(write({"config.py": config, "rl/agent.py": reader}))
    assert found == [f"AgentConfig.{name}" for name in ("own", "written", "plain", "dead")]
    write({"rl/other.py": "print(c.own, c.agent.written, f().plain, c.dead + 1)"})
    assert dead_settings(write({})) == []


def test_a_program_without_its_file_in_bin_is_found(write):
    files = {
        "programs/__init__.py": "",
        "programs/parts.py": "",
        "programs/train.py": "",
        "../bin/train": "",
    }
    package = write(files)
    assert unmatched_programs(package, ("parts",)) == []
    assert unmatched_programs(package, ()) == ["programs/parts.py has no file in bin"]
    write({"../bin/score": "", "programs/report.py": ""})
    assert unmatched_programs(package, ("parts", "gone")) == [
        "bin/score has no module",
        "helper gone does not exist",
        "programs/report.py has no file in bin",
    ]


@pytest.mark.parametrize("file", ["utils.py", "rl/utils.py", "vision/utils/boxes.py"])
def test_a_drawer_of_utilities_is_found(write, file):
    assert drawers(write({file: "", "rl/agent.py": ""})) == [file]


def test_a_module_that_nobody_is_told_of_is_found(write):
    package = write({"rl/files.py": "", "runs/files.py": "", "rl/__init__.py": ""})
    assert modules_untold(package, "`rl/files.py`, and `files.py`") == []
    assert modules_untold(package, "`rl/files.py`, `gone.py`") == [
        "files.py is told 1 of 2 times",
        "gone.py does not exist",
    ]


def test_a_file_that_is_too_long_is_found(write):
    package = write({"rl/agent.py": "\n" * 350, "rl/replay.py": "\n" * 351})
    assert long_files(package) == ["rl/replay.py has 351 lines, at most 350 are allowed"]
