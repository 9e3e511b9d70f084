import dataclasses
from pathlib import Path

import pytest
import yaml

from tests.programs.fake_workers import write_description
from tfselfsup import command_line, config
from tfselfsup.config import AgentRuns, ClassifierRuns, Reproduction
from tfselfsup.programs.planned_runs import PlannedPretraining, PlannedSplices
from tfselfsup.programs.reproduction_plan import left_out, plan

OUT = Path("out")
PRESETS = Path(__file__).resolve().parents[2] / "configs" / "reproduce"
PROBE, NETWORK = "forged_faces/squeezenet_random", "forged_faces/mobilenet_fine_tuned"
ROTATION, DIGITS = "forged_faces/squeezenet_rotation", "digits/two_layer_cnn"


def of_agents(*experiments, **settings):
    return Reproduction(agents=AgentRuns(experiments, **settings))


def of_classifiers(*experiments, data="splices", digits=None, **settings):
    return Reproduction(
        classifiers=ClassifierRuns(experiments, **settings), data=data, digits=digits
    )


def names(planned):
    return [one.name for one in planned]


def test_agents_have_every_seed():
    planned = plan(of_agents("atari/fast_random", "atari/paper_rotation", seeds=(0, 3)), OUT)
    assert [(str(one.folder), one.experiment.seed) for one in planned] == [
        ("out/fast_random_seed0", 0),
        ("out/fast_random_seed3", 3),
        ("out/paper_rotation_seed0", 0),
        ("out/paper_rotation_seed3", 3),
    ]
    assert [one.experiment.agent.kind for one in planned] == ["random", "random", "dqn", "dqn"]
    assert planned[2].experiment.agent.tasks == (config.TaskConfig("rotation"),)
    assert all(one.needs == () for one in planned)


def test_agents_play_every_game():
    planned = plan(of_agents("atari/paper_dqn", games=("pong", "breakout"), seeds=(0, 1)), OUT)
    assert [(one.name, one.experiment.environment.game) for one in planned] == [
        ("paper_dqn_pong_seed0", "pong"),
        ("paper_dqn_pong_seed1", "pong"),
        ("paper_dqn_breakout_seed0", "breakout"),
        ("paper_dqn_breakout_seed1", "breakout"),
    ]


def test_overrides_replace_settings_of_every_kind():
    overrides = {
        "total_steps": 50,
        "environment.game": "breakout",
        "agent.double_q": False,
        "agent.learning_rate": 0.001,
        "agent.tasks": "[{name: frame_order, options: {classes: 4}}]",
        "seed": 9,
    }
    (one,) = plan(of_agents("atari/fast_dqn", seeds=(2,), overrides=overrides), OUT)
    experiment = one.experiment
    assert (experiment.total_steps, experiment.environment.game) == (50, "breakout")
    assert (experiment.agent.double_q, experiment.agent.learning_rate) == (False, 1e-3)
    assert experiment.agent.tasks == (config.TaskConfig("frame_order", 1.0, {"classes": 4}),)
    assert experiment.seed == 2  # the plan's, which names the folder
    assert experiment.agent.n_step == 3  # the experiment's own
    # The options are what the training is started with.
    assert command_line.load_experiment("atari/fast_dqn", one.options[2:]) == experiment


def test_an_experiment_may_be_a_file(tmp_path):
    (tmp_path / "mine.yaml").write_text("agent: {n_step: 7}\n")
    (one,) = plan(of_agents(str(tmp_path / "mine.yaml")), OUT)
    assert (one.experiment.agent.n_step, one.name) == (7, "mine_seed0")


def test_classifiers_have_every_split_and_seed_and_need_the_splices():
    data, *planned = plan(
        of_classifiers(
            PROBE,
            NETWORK,
            splits=("random", "hard"),
            seeds=(0, 1),
            splices=50,
            splice_side=32,
            overrides={"encoder.side": 48, "training.epochs": 3},
        ),
        OUT,
    )
    assert data == PlannedSplices(OUT / "splices_50_of_32_pixels", 50, 32)
    assert len(planned) == 8
    experiments = {one.name: one.experiment for one in planned}
    for split in ("random", "hard"):
        for seed in (0, 1):
            for name in ("squeezenet_random", "mobilenet_fine_tuned"):
                own = experiments[f"{name}_{split}_seed{seed}"]
                assert (own.data.split, own.seed) == (split, seed)
                assert own.data.path == str(data.folder)
                assert own.cache == "out/features"
                assert (own.encoder.side, own.training.epochs) == (48, 3)
    assert all(one.needs == (data.folder,) for one in planned)


def test_a_pretraining_comes_before_what_takes_its_trunk():
    planned = plan(of_classifiers(pretrainings={ROTATION: PROBE}, splits=("hard",)), OUT)
    data, before, probe, _ = planned
    assert isinstance(before, PlannedPretraining) and before.experiment.mode == "pretrain"
    assert before.name == "squeezenet_rotation_hard_seed0"
    assert probe.name == "squeezenet_random_on_squeezenet_rotation_hard_seed0"
    assert probe.experiment.encoder.weights == str(before.folder)
    assert probe.experiment.encoder.side == before.experiment.encoder.side == 128
    assert probe.experiment.data == before.experiment.data
    assert before.needs == (data.folder,) and probe.needs == (data.folder, before.folder)
    assert not before.is_scored and probe.is_scored


def test_beside_what_takes_a_trunk_stands_the_same_on_random_weights():
    settings = {"pretrainings": {ROTATION: PROBE}, "splits": ("hard",)}
    overrides = {"encoder.weights": "imagenet"}  # of the pre-training
    *_, probe, control = plan(of_classifiers(**settings, overrides=overrides), OUT)
    assert control.name == "squeezenet_random_on_random_128_hard_seed0"
    assert control.experiment.encoder.weights == "random" and not control.needs[1:]
    # A pair that differs in more is not compared by the report.
    same = dataclasses.replace(control.experiment.encoder, weights=probe.experiment.encoder.weights)
    assert dataclasses.replace(control.experiment, encoder=same) == probe.experiment


def test_a_comparison_is_planned_once():
    others = {ROTATION: PROBE, "forged_faces/squeezenet_jigsaw": PROBE}
    planned = plan(of_classifiers(pretrainings=others, splits=("hard",)), OUT)
    assert [name for name in names(planned) if "_on_random" in name] == [
        "squeezenet_random_on_random_128_hard_seed0"
    ]
    # Here it is an experiment of its own.
    sides = {"encoder.side": 64}
    planned = plan(of_classifiers(PROBE, pretrainings=others, overrides=sides), OUT)
    assert names(planned)[-1] == "squeezenet_random_seed0" and len(planned) == 1 + 2 * 2 + 1


def test_faces_that_are_prepared_are_not_made(tmp_path):
    write_description(tmp_path / "faces", 10)
    (one,) = plan(of_classifiers(PROBE, data=str(tmp_path / "faces")), OUT)
    assert one.experiment.data.path == str(tmp_path / "faces") and one.needs == ()
    assert one.experiment.data.split == "hard"  # the experiment's own


@pytest.fixture
def pictures(tmp_path):
    """Files of a probe and a pre-training on a kind of data that a package adds."""
    data = "data: {kind: pictures, path: mine/pictures, split: random}\n"
    (tmp_path / "probe.yaml").write_text(data)
    tasks = "training: {tasks: [{name: rotation}]}\n"
    encoder = "encoder: {side: 32}\n"
    (tmp_path / "before.yaml").write_text(f"{data}mode: pretrain\n{encoder}{tasks}")
    return str(tmp_path / "probe.yaml"), str(tmp_path / "before.yaml")


def test_data_of_a_package_stay_what_they_are(pictures):
    probe, before = pictures
    given = of_classifiers(
        *(probe, PROBE),
        pretrainings={before: probe},
        splits=("hard",),
        seeds=(1,),
        overrides={"encoder.side": 48},
    )
    data, face, *planned = plan(given, OUT)
    assert (face.name, face.experiment.data.path) == (
        "squeezenet_random_hard_seed1",
        str(data.folder),
    )
    assert names(planned) == [
        "before_seed1",
        "probe_on_before_seed1",
        "probe_seed1",
        "probe_on_random_32_seed1",
    ]
    for one in planned:
        settings = one.experiment.data
        assert (settings.kind, settings.path, settings.split) == (
            "pictures",
            "mine/pictures",
            "random",
        )
        assert data.folder not in one.needs
    assert planned[1].needs == (planned[0].folder,)
    # Without faces no faces are made.
    assert names(plan(of_classifiers(probe), OUT)) == ["probe_seed0"]


def test_a_trunk_is_not_taken_from_data_of_another_kind(pictures):
    given = of_classifiers(pretrainings={ROTATION: pictures[0]})
    with pytest.raises(ValueError, match=r"got faces of .* and pictures of"):
        plan(given, OUT)


def test_digits_are_left_out_where_there_are_none(tmp_path):
    without = of_classifiers(PROBE, DIGITS, splits=("hard",))
    assert left_out(without) == [DIGITS]
    assert names(plan(without, OUT))[1:] == ["squeezenet_random_hard_seed0"]
    path = str(tmp_path / "usps.h5")
    given = of_classifiers(DIGITS, splits=("hard",), seeds=(0, 1), digits=path)
    assert left_out(given) == []
    # What is not there is noticed before anything is trained.
    with pytest.raises(ValueError, match=r"expected an HDF5 file of digits, got .*usps\.h5; give"):
        plan(given, OUT)
    Path(path).touch()
    planned = plan(given, OUT)
    # They have no faces, and a split of their own.
    assert names(planned) == ["two_layer_cnn_seed0", "two_layer_cnn_seed1"]
    assert all(one.needs == () for one in planned)
    settings = planned[0].experiment.data
    assert (settings.path, settings.kind, settings.split) == (path, "digits", "official")


@pytest.mark.parametrize(
    ("reproduction", "expected"),
    [
        (Reproduction(), "agents.experiments or classifiers.experiments"),
        (of_agents(PROBE), "put it into classifiers.experiments"),
        (of_classifiers("atari/fast_dqn"), "put it into agents.experiments"),
        (of_classifiers(pretrainings={PROBE: PROBE}), "a probe"),
        (of_classifiers(PROBE, data="nowhere"), "bin/prepare_faces"),
        (of_agents("atari/fast_dqn", "atari/fast_dqn"), "several for out/fast_dqn_seed0"),
        (of_agents("atari/fast_dqm"), "atari/fast_dqm"),
        (of_agents("atari/fast_dqn", overrides={"agent.n_steps": 3}), "agent.n_step"),
        (of_agents("atari/fast_dqn", overrides={"foo": 3}), "settings that atari/fast_dqn takes"),
        (of_agents("atari/fast_dqn", games=("pongg",)), "an Atari game, got 'pongg'"),
        (of_agents("atari/fast_dqn", seeds=()), "agents.seeds"),
        (of_classifiers(PROBE, seeds=()), "classifiers.seeds"),
        (of_classifiers(pretrainings={ROTATION: NETWORK}), "one encoder.trunk"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_plan_that_makes_no_sense_is_refused(reproduction, expected):
    with pytest.raises(ValueError, match=expected):
        plan(reproduction, OUT)


def test_a_half_without_experiments_needs_no_seeds():
    agents, classifiers = AgentRuns(("atari/fast_dqn",)), ClassifierRuns((PROBE,))
    assert plan(Reproduction(agents, ClassifierRuns(seeds=())), OUT)
    assert plan(Reproduction(AgentRuns(seeds=()), classifiers), OUT)


def preset(name, **settings):
    parser = command_line.ExperimentParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(Reproduction)
    options = [text for key, value in settings.items() for text in (f"--{key}", value)]
    parsed = parser.parse_args(["--config", f"reproduce/{name}", *options])
    return command_line.built(Reproduction, parser, parsed)


def test_the_smoke_preset_is_both_halves_of_the_study_and_downloads_nothing():
    planned = plan(preset("smoke"), OUT)
    agents, classifiers = planned[:4], planned[5:]
    assert [one.experiment.agent.kind for one in agents] == ["random", "dqn", "dqn", "dqn"]
    tasks = [[task.name for task in one.experiment.agent.tasks] for one in agents]
    assert tasks == [[], [], ["rotation"], ["frame_order"]]
    assert {one.total_steps for one in agents} == {0, 3000}
    assert {one.experiment.mode for one in classifiers} == {"probe", "fine_tune", "pretrain"}
    folders = {str(one.folder) for one in classifiers}
    assert {one.experiment.encoder.weights for one in classifiers} - folders == {"random"}
    tasks = [one.experiment.training.tasks for one in classifiers]
    assert config.TaskConfig("rotation") in [task for some in tasks for task in some]


def test_the_quick_preset_has_every_task():
    planned = plan(preset("quick"), OUT)
    agents = [one for one in planned if hasattr(one, "total_steps")]
    tasks = [task.name for one in agents for task in one.experiment.agent.tasks]
    assert tasks == ["rotation", "frame_order", "jigsaw", "arrow_of_time"]
    networks = [one for one in planned[len(agents) + 1 :] if one.experiment.mode == "fine_tune"]
    tasks = [[task.name for task in one.experiment.training.tasks] for one in networks]
    assert tasks == [[], ["rotation"], ["jigsaw"], ["colorization"]] * 2


def test_the_paper_preset_is_the_study_with_what_it_left_out(tmp_path):
    write_description(tmp_path, 10)
    digits = tmp_path / "usps.h5"
    digits.touch()
    planned = plan(preset("paper", data=str(tmp_path), digits=str(digits)), OUT)
    agents = [one for one in planned if hasattr(one, "total_steps")]
    assert len(agents) == 2 * 4 * 5
    assert {one.experiment.total_steps for one in agents} == {1_000_000}
    assert {one.experiment.environment.game for one in agents} == {"pong", "breakout"}
    faces = [one for one in planned[40:] if one.experiment.data.kind == "faces"]
    assert len(faces) == 6 * 2 * 3
    assert {one.experiment.data.split for one in faces} == {"random", "hard"}
    assert len(planned) - 40 - len(faces) == 2 * 3  # digits, without and with rotation


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_can_be_planned_without_data(path):
    settings = yaml.safe_load(path.read_text())
    planned = plan(preset(path.stem), OUT)
    agents = settings["agents"]
    count = len(agents["experiments"]) * len(agents.get("games", [0])) * len(agents["seeds"])
    assert sum(hasattr(one, "total_steps") for one in planned) == count
    for position, one in enumerate(planned):
        assert set(one.needs) <= {other.folder for other in planned[:position]}


def test_what_several_pre_trainings_are_compared_with_is_made_once(pictures, tmp_path):
    probe, before = pictures
    after = tmp_path / "other.yaml"
    after.write_text((tmp_path / "before.yaml").read_text().replace("rotation", "jigsaw"))
    beside = tmp_path / "random_32.yaml"
    beside.write_text((tmp_path / "probe.yaml").read_text() + "encoder: {side: 32}\n")
    pretrainings = {before: probe, str(after): probe}
    planned = plan(of_classifiers(pretrainings=pretrainings), OUT)
    assert names(planned) == [
        *("before_seed0", "probe_on_before_seed0", "other_seed0", "probe_on_other_seed0"),
        "probe_on_random_32_seed0",
    ]
    planned = plan(of_classifiers(str(beside), pretrainings=pretrainings), OUT)
    assert names(planned)[-1] == "random_32_seed0"
