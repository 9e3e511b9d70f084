import json

import pytest

from tests.report.scored_runs import EVALUATION
from tfselfsup.config import AgentExperiment
from tfselfsup.report import provenance, provenance_sections
from tfselfsup.report.agents import AgentRun
from tfselfsup.report.classifiers import ClassifierRun
from tfselfsup.runs import RunDirectory


@pytest.fixture
def made(tmp_path):
    """Writes run directories with these settings and files."""

    def make(name, config, **files):
        path = tmp_path / name
        path.mkdir()
        (path / "config.yaml").write_text(config)
        for file, content in files.items():
            (path / f"{file}.json").write_text(content)
        return path

    return make


def settings(path):
    return RunDirectory(path).experiment()


def rows_of(frame) -> dict:
    return frame.set_index("setting").T.to_dict("list")


def test_only_what_differs_is_listed(made):
    groups = {
        "slow": settings(made("a", "seed: 1\nagent: {learning_rate: 1.0e-4}\n")),
        "quick": settings(made("b", "agent: {learning_rate: 0.5, tasks: [{name: rotation}]}\n")),
    }
    frame = provenance.setting_differences(groups)
    assert list(frame) == ["setting", "slow", "quick"]
    assert rows_of(frame) == {
        "agent.learning_rate": ["0.0001", "0.5"],
        "agent.tasks.rotation": ["", "1"],
    }


def test_settings_that_a_mode_does_not_read_are_passed_over(made):
    groups = {
        "probe": settings(made("a", "mode: probe\nprobe: {epochs: 3}\ntraining: {epochs: 5}\n")),
        "trained": settings(made("b", "mode: fine_tune\ntraining: {epochs: 6}\n")),
    }
    assert rows_of(provenance.setting_differences(groups)) == {"mode": ["probe", "fine_tune"]}
    groups["longer"] = settings(made("c", "mode: fine_tune\ntraining: {epochs: 7}\n"))
    assert rows_of(provenance.setting_differences(groups)) == {
        "mode": ["probe", "fine_tune", "fine_tune"],
        "training.epochs": ["", "6", "7"],
    }


def test_the_weights_of_several_seeds_have_one_name(made):
    # Each seed has a file of its own.
    config = "mode: probe\nencoder: {weights: runs/squeezenet_rotation_0}\n"
    run = ClassifierRun(
        made("a", config),
        EVALUATION | {"weights": "rotation"},
        experiment=settings(made("b", config)),
    )
    (experiment,) = provenance.settings_of_classifiers([run], "dfdc").values()
    assert experiment.encoder.weights == "rotation"


def environment(revision) -> str:
    facts = {"python": "3.11.1", "versions": {"numpy": "1.26.4", "x": None}, "cores": 2}
    return json.dumps(facts | {"git_revision": revision, "command": ["secret"]})


def test_runs_of_one_environment_share_a_row(made):
    paths = [
        made("unknown", ""),
        made("a", "", environment=environment("abc")),
        made("b", "", environment=environment("abc")),
        made("c", "", environment=environment("def")),
        made("broken", "", environment="{"),
        made("strange", "", environment="[1]"),
    ]
    frame = provenance.environments([*paths, paths[0]])
    assert frame.to_dict("records") == [
        row | {"python": "3.11.1", "numpy": "1.26.4", "cores": "2", "git_revision": revision}
        for row, revision in (
            ({"runs": "2", "first": "a"}, "abc"),
            ({"runs": "1", "first": "c"}, "def"),
        )
    ] + [
        {"runs": "3", "first": "unknown", "python": "unknown"}
        | dict.fromkeys(("numpy", "cores", "git_revision"), "")
    ]


def test_the_sections_have_what_there_is(made):
    alone = AgentRun(made("a", ""), AgentExperiment(), {"agent": "dqn", "game": "pong"}, None)
    (environments,) = provenance_sections.sections([alone], [])
    assert environments.title == "Environments" and not environments.items
    assert "not known" in environments.text[0]

    probe = made("p", "mode: probe\nencoder: {weights: random}\n", environment=environment("abc"))
    other = made("q", "mode: probe\nencoder: {weights: imagenet}\n")
    for folder, file in (("figures", "map of a.png"), ("videos", "game.mp4")):
        (probe / folder).mkdir()
        (probe / folder / file).touch()
    classifiers = [
        ClassifierRun(path, EVALUATION | {"weights": weights}, experiment=settings(path))
        for path, weights in ((probe, "random"), (other, "imagenet"))
    ]
    pictures, differing, environments = provenance_sections.sections([], classifiers)
    assert [(item.name, item.file) for item in pictures.items] == [
        ("p_map_of_a", probe / "figures" / "map of a.png"),
        ("p_game", probe / "videos" / "game.mp4"),
    ]
    assert all("run p" in item.alt for item in pictures.items)
    (table,) = differing.items
    assert table.name == "settings_of_classifiers_of_dfdc"
    assert rows_of(table.frame) == {"encoder.weights": ["random", "imagenet"]}
    assert list(table.frame)[1:] == ["mobilenet, random", "mobilenet, imagenet"]
    assert environments.items[0].name == "environments"
