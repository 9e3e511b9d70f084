from pathlib import Path

import pytest

from tests.report.scored_runs import EVALUATION
from tfselfsup.report import provenance_sections
from tfselfsup.report.classifiers import ClassifierRun


@pytest.fixture
def run(tmp_path):
    """A scored classifier with the maps of two questions, a check and a video."""
    for name in (
        *(
            "figures/smoothgrad_class_absolute/000_a.png",
            "figures/smoothgrad_task_absolute/000_a.png",
        ),
        *("figures/smoothgrad_class_absolute/randomised_layers.png", "videos/game_0.mp4"),
    ):
        path = Path(tmp_path, "own", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return ClassifierRun(tmp_path / "own", EVALUATION)


def pictures_of(run):
    first = provenance_sections.sections([], [run])[0]
    assert first.title == "Maps and games"
    return {picture.name: picture for picture in first.items}


def test_maps_of_different_questions_are_told_apart(run):
    pictures = pictures_of(run)
    assert list(pictures) == [
        "own_smoothgrad_class_absolute_000_a",
        "own_smoothgrad_class_absolute_randomised_layers",
        "own_smoothgrad_task_absolute_000_a",
        "own_game_0",
    ]
    assert len({picture.title for picture in pictures.values()}) == 4
    assert pictures["own_smoothgrad_task_absolute_000_a"].title == (
        "own: smoothgrad task absolute, 000 a"
    )


def test_pictures_that_cannot_be_read_are_listed_and_not_shown(run):
    broken = run.path / "videos" / "game_1.mp4"
    broken.symlink_to("no such file")
    (run.path / "figures" / "folder.png").mkdir()
    assert len(pictures_of(run)) == 4
    left_out = provenance_sections.unreadable_pictures([run.path, run.path])
    assert [(one.path.name, one.reason) for one in left_out] == [
        ("folder.png", "it cannot be read: Is a directory"),
        ("game_1.mp4", "it cannot be read: No such file or directory"),
    ]


def test_each_kind_of_picture_has_its_own_words(run):
    words = {name: picture.alt for name, picture in pictures_of(run).items()}
    assert words["own_smoothgrad_class_absolute_000_a"] == (
        "Map of where answers come from, of the run own: smoothgrad class absolute, 000 a."
    )
    assert words["own_smoothgrad_class_absolute_randomised_layers"].startswith("Check of maps")
    assert words["own_game_0"] == "Video of a played game, of the run own: game 0."
