"""The worked examples of docs/extending.md: its files are written and its commands are run."""

import contextlib
import fnmatch
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfselfsup import plugins, tasks
from tfselfsup.command_line import ExperimentParser, built
from tfselfsup.config import Reproduction
from tfselfsup.datasets import forged_faces, splices
from tfselfsup.models import trunks
from tfselfsup.programs.reproduction_plan import plan
from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.runs import RunDirectory

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "extending.md"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = ("python", "yaml", "toml", "json")

# What makes a command one of seconds; an option that comes later wins.
SMALL = {
    "prepare_faces": "--splices 160 --splice_side 32",
    "train_agent": "--total_steps 200 --environment.num_envs 4 --environment.max_episode_steps 30 "
    "--network.hidden_units 16 --network.precision float32 --agent.learning_starts 100 "
    "--agent.batch_size 8 --replay.capacity 500 --evaluation.episodes 4 "
    "--evaluation.curve_period 0 --logging.period 100",
    "evaluate_agent": "--episodes 4",
    "train_classifier": "--encoder.side 32 --training.epochs 1 --scoring.resamples 20 "
    "--probe.strengths '[0.01, 1]'",
}
# Deep networks, of which TensorFlow takes long to make a graph; a plan, for which the machine is
# measured; and what is much like others.
SLOW = (
    "--mode pretrain",
    "--mode fine_tune",
    "bin/reproduce",
    "runs/crops_probe",
    "runs/ms_pacman_report",
)
# Kind and task of what is scored.
SCORED = {
    "runs/flipped_cell": ("agent", "flipped_cell"),
    "runs/ms_pacman": ("agent", "frame_order"),
    "runs/middle": ("classifier", None),
    "runs/pictures": ("classifier", "flipped_cell"),
}


class Block(NamedTuple):
    """A fenced block of the page."""

    section: str
    language: str
    file: str | None
    text: str


def page_blocks():
    found = []
    heading, *parts = SECTION.split(PAGE.read_text())
    assert not BLOCK.search(heading)
    for section, text in zip(parts[::2], parts[1::2], strict=True):
        for language, file, content in BLOCK.findall(text):
            first = re.match(r"# (\S+\.\w+)\n", content)
            found.append(Block(section, language, file or (first and first[1]), content))
    return found


BLOCKS = page_blocks()


def commands():
    """A case for each block of commands, in the order of the page."""
    for block in BLOCKS:
        if block.language == "sh" and not block.text.startswith("pip "):
            marks = [pytest.mark.slow] if any(one in block.text for one in SLOW) else []
            name = block.text.splitlines()[0].split()[-1]
            yield pytest.param(block.text, id=f"{block.section}: {name}", marks=marks)


def refusals():
    for block in BLOCKS:
        if block.language == "console":
            for command, expected in re.findall(r"^\$ (.+)\n(.+)$", block.text, re.MULTILINE):
                yield pytest.param(command, expected, id=expected.split("error: ")[1][:40])


def write_pictures(folder):
    """Makes the images that the examples are about, out of scikit-image's photographs."""
    for splice in splices.make(120, 32, seed=0):
        number = splice.example_id.removeprefix("splice_")
        pair = f"scene{int(number) // 2:02d}"
        kind = ("real", "generated")[splice.label]
        for file in (
            folder / "pictures" / kind / f"{pair}_{number}.jpg",
            folder / "crops" / (f"{pair}_spliced.jpg" if splice.label else f"{pair}.jpg"),
        ):
            file.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(file), splice.image[..., ::-1])
    splices.write(folder / "runs" / "faces", count=160, side=32, seed=0)
    forged_faces.build(folder / "runs" / "faces")
    for name in ("interview.mp4", "interview_swapped.mp4"):
        (folder / "videos" / name).touch()


def shell(words, folder):
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "PATH": programs},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with all that the page has before its commands, and the package installed."""
    folder = tmp_path_factory.mktemp("workshop")
    for name in ("tests", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    for block in BLOCKS:
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text)
    write_pictures(folder)
    (command,) = (block.text for block in BLOCKS if block.text.startswith("pip "))
    # Offline, and not into the environment that the tests run in.
    options = ("--no-index", "--no-build-isolation", f"--target={folder / 'site'}")
    shell([*shlex.split(command), *options], folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder / "site")
        patch.chdir(folder)
        for name in ("train_agent", "evaluate_agent", "train_classifier", "evaluate_classifier"):
            # The threads of a process can be set once only, and are already in use in this one.
            program = importlib.import_module(f"tfselfsup.programs.{name}")
            patch.setattr(program, "start_tensorflow", lambda runtime: None)
        plugins._added.cache_clear()
        yield folder
    plugins._added.cache_clear()
    for module in [name for name in sys.modules if name.split(".")[0] == "my_parts"]:
        del sys.modules[module]


@pytest.fixture
def run(workshop, monkeypatch):
    """Runs a command of the page; programs in this process, where TensorFlow is imported."""

    def run(command, small=True):
        first, *words = shlex.split(command)
        if not first.startswith("bin/"):
            return shell([first, *words], workshop)
        name = Path(first).name
        monkeypatch.setattr(sys, "argv", [str(ROOT / first), *words])
        options = shlex.split(SMALL.get(name, "")) if small else []
        importlib.import_module(f"tfselfsup.programs.{name}").main([*words, *options])

    return run


def test_the_page_has_its_parts():
    assert [block.section for block in BLOCKS if block.language == "sh"]
    assert {"A task", "A game", "A trunk", "A data set"} <= {block.section for block in BLOCKS}
    for block in BLOCKS:
        assert block.language in ("sh", "console") or block.language in CODE and block.file, block
    contents = re.findall(r"^- \[(.+)\]\(#(.+)\)$", PAGE.read_text(), re.MULTILINE)
    headings = SECTION.findall(PAGE.read_text())
    assert contents == [(name, name.lower().replace(" ", "-")) for name in headings]


def test_files_that_the_page_names_are_there():
    for name in re.findall(
        r"`((?:tfselfsup|datasets|programs|tests)/[\w/]+\.py)`", PAGE.read_text()
    ):
        assert (ROOT / name).is_file() or (ROOT / "tfselfsup" / name).is_file(), name


def test_the_code_of_the_page_has_the_style_of_the_package(workshop):
    ruff = [sys.executable, "-m", "ruff"]
    code = [str(workshop / "my_parts" / "my_parts"), str(workshop / "crops")]
    shell([*ruff, "check", "--config=pyproject.toml", *code], ROOT)
    shell([*ruff, "format", "--check", "--config=pyproject.toml", *code], ROOT)


@pytest.mark.parametrize("block", list(commands()))
def test_commands_work(run, block, capsys):
    for command in block.splitlines():
        run(command)
    assert "Traceback" not in capsys.readouterr().err
    for folder in re.findall(r"^bin/evaluate_\w+ (\S+)", block, re.MULTILINE):
        evaluation = RunDirectory(folder).evaluation()
        assert (evaluation["kind"], evaluation["task"]) == SCORED[folder]


@pytest.mark.parametrize(("command", "expected"), list(refusals()))
def test_mistakes_are_told_as_the_page_says(run, capsys, command, expected):
    with pytest.raises(SystemExit) as ended:
        run(command, small=False)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    pattern = "*".join(re.sub(r"([\[*?])", r"[\1]", part) for part in expected.split("..."))
    assert fnmatch.fnmatchcase(line, pattern), line
    assert not Path("runs/refused").exists()


def test_the_flipped_cell_by_hand(workshop):
    task = tasks.get("flipped_cell")
    assert (task.name, task.num_classes) == ("flipped_cell", 4)
    frames = np.repeat(np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4, 1), 40, axis=0)
    flipped = {
        0: [[4, 5, 2, 3], [0, 1, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]],
        1: [[0, 1, 6, 7], [4, 5, 2, 3], [8, 9, 10, 11], [12, 13, 14, 15]],
        2: [[0, 1, 2, 3], [4, 5, 6, 7], [12, 13, 10, 11], [8, 9, 14, 15]],
        3: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 14, 15], [12, 13, 10, 11]],
    }
    examples = task.transform(frames, tf.constant([1, 2]))
    assert set(examples.targets.numpy()) == set(flipped)
    for changed, target in zip(examples.frames.numpy(), examples.targets.numpy(), strict=True):
        assert changed[0, :, :, 0].tolist() == flipped[target]
    np.testing.assert_array_equal(examples.weights, 1)
    # Only the cell that was turned matters: one without a vertical change has no answer.
    frames[:, :, :2, :2] = 7
    examples = task.transform(frames, tf.constant([1, 2]))
    np.testing.assert_array_equal(examples.weights, examples.targets.numpy() != 0)


@pytest.mark.parametrize("grid", [1, 9, 2.0, "2", True])
def test_a_grid_that_is_none_is_refused(workshop, grid):
    with pytest.raises(ValueError, match="'grid' of task 'flipped_cell' .* from 2 to 8"):
        tasks.get("flipped_cell", grid=grid)


def test_in_a_clone_the_file_is_enough(workshop, monkeypatch):
    monkeypatch.setattr(plugins, "_added", lambda group: {})
    with pytest.raises(ValueError, match="unknown task 'flipped_cell'"):
        tasks.get("flipped_cell")
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(workshop / "my_parts/my_parts")])
    with contextlib.ExitStack() as stack:
        stack.callback(sys.modules.pop, "tfselfsup.tasks.flipped_cell", None)
        assert tasks.get("flipped_cell", grid=3).num_classes == 9


def test_games_have_as_many_actions_as_the_page_says(workshop):
    (text,) = re.findall(
        r"(\d+) in Freeway, (\d+)\s+in Ms. Pac-Man, (\d+) in Boxing", PAGE.read_text()
    )
    actions = []
    for game in ("freeway", "MsPacman", "boxing"):
        environment = AtariEnvironment(game, 1, seed=0)
        actions.append(str(environment.num_actions))
        environment.close()
    assert actions == list(text)


def test_the_plan_has_every_agent_with_every_seed(workshop):
    parser = ExperimentParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Reproduction)
    parsed = parser.parse_args(["--config", "ms_pacman_agents.yaml"])
    experiments = [one.experiment for one in plan(built(Reproduction, parser, parsed), Path("out"))]
    assert len(experiments) == 9
    assert {one.environment.game for one in experiments} == {"ms_pacman"}
    assert {one.seed for one in experiments} == {0, 1, 2}


def test_the_trunk_is_kerass_with_its_preprocessing(workshop):
    trunk = trunks.get("mobilenet_v2")
    pixels = tf.keras.Input((64, 64, 3))
    model = tf.keras.Model(pixels, trunk.build(pixels))
    keras = tf.keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(64, 64, 3), pooling="avg"
    )
    # The published number without the classifier's 1280 * 1000 + 1000.
    assert model.count_params() == keras.count_params() == 3_538_984 - 1_281_000
    shapes = {name: tuple(value.shape[1:]) for name, value in model.output.items()}
    assert shapes == {"map": (2, 2, 1280), "pooled": (1280,), "middle": (96,)}
    weighted = [layer.name for layer in model.layers if layer.weights]
    assert weighted == [layer.name for layer in keras.layers if layer.weights]
    keras.set_weights(model.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    scaled = tf.keras.applications.mobilenet_v2.preprocess_input(images.copy())
    np.testing.assert_allclose(model(images / 255)["pooled"], keras(scaled), rtol=1e-3, atol=1e-5)


@pytest.fixture(scope="module")
def pictures(workshop):
    return importlib.import_module("my_parts.image_folders").ImageFolders(workshop / "pictures")


def test_pictures_have_the_label_of_their_folder(workshop, pictures):
    assert len(pictures) == 120
    assert pictures.index["data_set"].unique() == ["pictures"]
    (batch,) = pictures.images(np.arange(120) % 7 == 0, side=32, batch_size=50)
    for image, label, row in zip(*(batch[name] for name in ("image", "label", "row")), strict=True):
        name = pictures.index["example_id"][int(row)]
        assert name.split("/")[0] == pictures.label_names[int(label)]
        file = cv2.imread(str(workshop / "pictures" / f"{name}.jpg"))[..., ::-1]
        # Decoders of JPEG differ by a few levels.
        assert np.abs(image.numpy().astype(int) - file).mean() < 4


def test_pictures_are_shuffled_and_changed_by_the_seed(pictures):
    chosen = np.arange(120) < 30
    changes = importlib.import_module("tfselfsup.datasets.augmentation").Augmentation(flip=True)

    def read(seed):
        (batch,) = pictures.images(
            chosen, side=16, batch_size=30, shuffle_seed=seed, augmentation=changes
        )
        return batch["row"].numpy(), batch["image"].numpy()

    (rows, images), (again, same), (others, _) = read(1), read(1), read(2)
    np.testing.assert_array_equal(rows, again)
    np.testing.assert_array_equal(images, same)
    assert sorted(rows) == sorted(others) == list(range(30)) and (rows != others).any()
    with pytest.raises(ValueError, match="shuffle_seed"):
        pictures.images(chosen, side=16, batch_size=30, augmentation=changes)


def test_pictures_of_one_source_stay_together(pictures):
    parts = pictures.parts("hard", (0.6, 0.2, 0.2), seed=0)
    assert pictures.index.groupby("source_id").size().eq(2).all()
    assert pictures.index.assign(part=parts).groupby("source_id")["part"].nunique().eq(1).all()


def test_ready_crops_are_labelled_by_the_csv(run, workshop):
    run("python crops/write_metadata.py")
    lines = (workshop / "crops" / "metadata.csv").read_text().splitlines()
    assert lines[:3] == [
        "filename,label,original",
        "scene00.jpg,REAL,",
        "scene00_spliced.jpg,FAKE,scene00.jpg",
    ]
    assert len(lines) == 121


def test_the_readme_points_here():
    readme = (ROOT / "README.md").read_text()
    assert "docs/extending.md" in readme and "CITATION.cff" in readme
