import contextlib
import dataclasses
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tfselfsup import command_line
from tfselfsup.command_line import built, experiment_parser, load_experiment
from tfselfsup.config import (
    AgentConfig,
    AgentExperiment,
    ClassifierExperiment,
    TaskConfig,
    differences,
)

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
ATARI = ROOT / "configs" / "atari"
TWO_TASKS = (
    TaskConfig("rotation"),
    TaskConfig("frame_order", 0.5, {"classes": 4, "share": 1.5, "flag": True}),
)


def parse(*arguments) -> AgentExperiment:
    parser = experiment_parser("")
    return built(AgentExperiment, parser, parser.parse_args(list(arguments)))


def refusal(capsys, *arguments) -> str:
    """The one line that a program prints about wrong arguments."""
    with pytest.raises(SystemExit) as error:
        parse(*arguments)
    printed = capsys.readouterr()
    assert error.value.code == 2
    assert printed.out == ""
    assert printed.err.count("\n") == 1 and printed.err.endswith("\n")
    assert ": error: " in printed.err
    return printed.err


@pytest.fixture
def file_of(tmp_path):
    """Writes a YAML file and returns its path."""

    def write(text, name="experiment.yaml") -> str:
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


# Reading


def test_without_arguments_there_are_the_defaults():
    assert parse() == AgentExperiment()


def test_a_file_changes_what_it_names_and_nothing_else(file_of):
    path = file_of("seed: 3\nagent:\n  gamma: 0.9\n  double_q: false\n")
    assert differences(AgentExperiment(), parse("--config", path)) == {
        "seed": (0, 3),
        "agent.gamma": (0.99, 0.9),
        "agent.double_q": (True, False),
    }


def test_dotted_options_reach_every_section():
    options = {
        "--total_steps": "7",
        "--environment.game": "breakout",
        "--network.precision": "mixed_bfloat16",
        "--agent.learning_rate": "2e-4",
        "--agent.clip_rewards": "false",
        "--replay.sampling": "uniform",
        "--exploration.epsilon_final": "0.05",
        "--evaluation.checkpoint": "best",
        "--logging.histograms": "true",
        "--runtime.inter_op_threads": "0",
    }
    changed = differences(
        AgentExperiment(), parse(*(part for pair in options.items() for part in pair))
    )
    assert {key: new for key, (_, new) in changed.items()} == {
        "total_steps": 7,
        "environment.game": "breakout",
        "network.precision": "mixed_bfloat16",
        "agent.learning_rate": 2e-4,
        "agent.clip_rewards": False,
        "replay.sampling": "uniform",
        "exploration.epsilon_final": 0.05,
        "evaluation.checkpoint": "best",
        "logging.histograms": True,
        "runtime.inter_op_threads": 0,
    }


# Whoever types the option first means it no less.
@pytest.mark.parametrize("file_first", [True, False])
def test_the_command_line_wins_over_the_file_and_the_file_over_the_defaults(file_of, file_first):
    path = file_of("seed: 1\ntotal_steps: 10\n")
    file, option = ["--config", path], ["--seed", "2"]
    found = parse(*file, *option) if file_first else parse(*option, *file)
    assert (found.seed, found.total_steps, found.agent) == (2, 10, AgentConfig())


def test_a_later_file_wins_over_an_earlier_one(file_of):
    one = file_of("seed: 1\ntotal_steps: 10\n", "one.yaml")
    other = file_of("seed: 2\n", "other.yaml")
    found = parse("--config", one, "--config", other)
    assert (found.seed, found.total_steps) == (2, 10)


def test_tasks_have_names_weights_and_options(file_of):
    path = file_of(
        "agent:\n"
        "  tasks:\n"
        "  - name: rotation\n"
        "  - name: frame_order\n"
        "    weight: 0.5\n"
        "    options: {classes: 4, share: 1.5, flag: true}\n"
    )
    assert parse("--config", path).agent.tasks == TWO_TASKS
    # On the command line they replace those of the file.
    override = ("--agent.tasks", "[{name: jigsaw, weight: 2}]")
    assert parse("--config", path, *override).agent.tasks == (TaskConfig("jigsaw", 2.0),)
    assert parse("--config", path, "--agent.tasks", "[]").agent.tasks == ()


def test_load_experiment_reads_a_file_or_a_name_with_overrides(file_of):
    assert load_experiment(Path(file_of("seed: 3\n"))).seed == 3
    assert load_experiment(file_of("seed: 3\n"), ("--seed", "4")).seed == 4
    assert load_experiment("atari/fast_dqn", ("--total_steps", "9")) == dataclasses.replace(
        load_experiment(ATARI / "fast_dqn.yaml"), total_steps=9
    )


def test_what_is_printed_loads_to_the_same(capsys, file_of):
    path = file_of(
        "seed: 3\nagent:\n  learning_rate: 1e-5\n  tasks:\n  - name: frame_order\n"
        "    options: {classes: 4}\n"
    )
    with pytest.raises(SystemExit) as ended:
        parse("--config", path, "--network.dueling", "false", "--print_config")
    assert not ended.value.code
    printed = capsys.readouterr().out
    # Everything is there, also what is as by default.
    assert yaml.safe_load(printed).keys() == {
        key.name for key in dataclasses.fields(AgentExperiment)
    }
    again = parse("--config", file_of(printed, "printed.yaml"))
    assert again == parse("--config", path, "--network.dueling", "false")
    assert again.agent.tasks == (TaskConfig("frame_order", options={"classes": 4}),)


@pytest.mark.parametrize("kind, learns, steps", [("dqn", True, 9), ("random", False, 0)])
def test_what_follows_from_settings_is_no_setting(kind, learns, steps, capsys):
    given = ("--agent.kind", kind, "--total_steps", "9")
    experiment = parse(*given)
    assert (experiment.agent.learns, experiment.training_steps) == (learns, steps)
    with pytest.raises(SystemExit):
        parse(*given, "--print_config")
    written = yaml.safe_load(capsys.readouterr().out)
    assert written.keys() == {key.name for key in dataclasses.fields(AgentExperiment)}
    assert written["agent"].keys() == {key.name for key in dataclasses.fields(AgentConfig)}
    for option in ("agent.learns", "training_steps"):
        assert option in refusal(capsys, f"--{option}", "1")


def type_tree(value):
    if dataclasses.is_dataclass(value):
        return {key.name: type_tree(getattr(value, key.name)) for key in dataclasses.fields(value)}
    return type(value)


@pytest.mark.parametrize("written", ["file", "command line"])
def test_numbers_are_plain(file_of, written):
    # The parser's own numbers are subclasses, which TensorFlow and JSON need not take; and whole
    # numbers are floats where floats are meant.
    if written == "file":
        path = file_of("seed: 2\nagent: {gamma: 1, gradient_clip_norm: 3, tasks: [{name: a}]}\n")
        found = parse("--config", path)
    else:
        tasks = "[{name: a, weight: 2}]"
        found = parse("--seed", "2", "--agent.gamma", "1", "--agent.tasks", tasks)
    assert type_tree(found) == type_tree(AgentExperiment())
    assert type_tree(found.agent.tasks[0]) == type_tree(TaskConfig("a", 1.0))
    leaves = {int, float, bool, str, tuple}
    assert {kind for kind in _leaves(type_tree(found))} == leaves


def _leaves(tree):
    for value in tree.values():
        if isinstance(value, dict):
            yield from _leaves(value)
        else:
            yield value


# Refusing


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--agent.learning_rate", "fast", "PositiveFloat"),
        ("--agent.double_q", "perhaps", "bool"),
        ("--total_steps", "1.5", "Int"),
        ("--agent.kind", "ppo", "'dqn', 'random'"),
        ("--agent.mode", "both", "'alternate', 'joint', 'pretrain'"),
        ("--network.precision", "float16", "'float32', 'mixed_bfloat16'"),
        ("--evaluation.checkpoint", "first", "'last', 'best'"),
        ("--total_steps", "-1", "v>=0"),
        ("--environment.num_envs", "0", "v>0"),
        ("--environment.repeat_action_probability", "1.01", "v<=1"),
        ("--agent.gamma", "-0.1", "v>=0"),
        ("--agent.gamma", "nan", "v>=0"),
        ("--agent.learning_rate", "0", "v>0"),
        ("--replay.alpha", "1.2", "v<=1"),
        ("--runtime.intra_op_threads", "-2", "v>=0"),
        ("--agent.tasks", "rotation", "[{name: rotation}]"),
    ],
)
def test_a_wrong_value_on_the_command_line(capsys, option, value, expected):
    message = refusal(capsys, option, value)
    assert option.removeprefix("--") in message
    assert expected in message and value in message


@pytest.mark.parametrize(
    "text, key, expected, given",
    [
        ("agent: {learning_rate: fast}", "agent.learning_rate", "PositiveFloat", "fast"),
        ("agent: {double_q: 1}", "agent.double_q", "bool", "1"),
        ("environment: {game: 3}", "environment.game", "str", "3"),
        ("seed: 1.5", "seed", "Int", "1.5"),
        ("seed: true", "seed", "Int", "True"),
        ("agent: {kind: ppo}", "agent.kind", "'dqn', 'random'", "ppo"),
        ("total_steps: -1", "total_steps", "v>=0", "-1"),
        ("exploration: {decay_fraction: 1.5}", "exploration.decay_fraction", "v<=1", "1.5"),
        ("agent: {tasks: rotation}", "agent.tasks", "[{name: rotation}]", "rotation"),
        ("agent: {tasks: [rotation]}", "agent.tasks", "{name: rotation}", "rotation"),
        ("agent: {tasks: [{name: a, weight: -2}]}", "tasks.weight", "v>=0", "-2"),
        ("agent: {tasks: [{name: a, options: 3}]}", "tasks.options", "dict", "3"),
        ("agent: {tasks: [{name: a, options: {1: 2}}]}", "tasks.options", "names", "1"),
        ("agent: 3", "agent", "AgentConfig|mapping|dict", "3"),
        ("environment: [7]", "environment", "EnvironmentConfig|mapping|dict", "7"),
        # A key left empty in YAML.
        ("agent:", "agent", "AgentConfig|mapping|dict|value", "None|null"),
        ("seed:", "seed", "Int|value", "None|null"),
        ("environment: {game: }", "environment.game", "str|value", "None|null"),
        ("agent: {tasks: }", "agent.tasks", "list|value", "None|null"),
        ("agent: {tasks: [{name: a, options: }]}", "agent.tasks", "dict|value", "None|null"),
    ],
)
def test_a_wrong_value_in_a_file(capsys, file_of, text, key, expected, given):
    message = refusal(capsys, "--config", file_of(text))
    assert key in message
    assert any(word in message for word in expected.split("|"))
    assert any(word in message for word in given.split("|"))


@pytest.mark.parametrize(
    "option, near",
    [
        ("--agent.learnin_rate", "agent.learning_rate"),
        ("--agent.learning", "agent.learning_rate"),  # no abbreviations
        ("--learning_rate", "agent.learning_rate"),
        ("--total_step", "total_steps"),
    ],
)
def test_an_unknown_option_gives_the_nearest_ones(capsys, option, near):
    message = refusal(capsys, option, "1")
    given, did_you_mean = message.split("Did you mean ")
    assert option in given and near in did_you_mean


@pytest.mark.parametrize(
    "text, key, near",
    [
        ("agent: {learnin_rate: 1}", "learnin_rate", "agent.learning_rate"),
        ("learning_rate: 1", "learning_rate", "agent.learning_rate"),
        ("total_step: 1", "total_step", "total_steps"),
    ],
)
def test_an_unknown_key_gives_the_nearest_ones(capsys, file_of, text, key, near):
    message = refusal(capsys, "--config", file_of(text))
    assert f"'{key}'" in message
    assert near in message.partition("Did you mean ")[2]


def test_an_unknown_option_like_none(capsys):
    assert "--zzzz 1. See --help" in refusal(capsys, "--zzzz", "1")


def test_an_unknown_key_of_a_task(capsys, file_of):
    message = refusal(capsys, "--config", file_of("agent: {tasks: [{name: a, wight: 2}]}"))
    assert "wight" in message
    message = refusal(capsys, "--config", file_of("agent: {tasks: [{weight: 2}]}"))
    assert "required" in message and "name" in message


@pytest.mark.parametrize("name", ["missing.yaml", "atari/missing", "/nowhere/missing.yaml"])
def test_a_missing_file(capsys, name):
    message = refusal(capsys, "--config", name)
    assert "config" in message and "does not exist" in message and name in message
    assert "atari/fast_arrow_of_time, atari/fast_dqn, atari/fast_jigsaw" in message


def test_a_folder_instead_of_a_file(capsys, tmp_path):
    assert f"not a file: '{tmp_path}'" in refusal(capsys, "--config", str(tmp_path))


# In a long command line, or with several files, only its name tells which file it is.
@pytest.mark.parametrize(
    "text, problem",
    [
        ("agent: [1\n", "parsing"),
        ("seed: 1\n  total_steps: 2\n", "parsing"),
        ("seed: 2024-13-45\n", "parsing"),
        ("- seed: 1\n- 2\n", "mapping"),
        # What stands for itself, or for more than any memory holds.
        ("agent: &a {kind: *a}\n", "no references, got *a"),
        ("seed: " + 3000 * "[" + 3000 * "]", "20 levels"),
        ("just words\n", "mapping"),
        ("", "mapping"),
    ],
)
def test_a_file_without_settings_is_named_with_its_problem(capsys, file_of, text, problem):
    path = file_of(text)
    message = refusal(capsys, "--config", path)
    assert path in message and problem in message


def test_a_file_that_is_no_text(capsys, tmp_path):
    path = tmp_path / "experiment.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    assert "experiment.yaml" in refusal(capsys, "--config", str(path))


@pytest.mark.parametrize(
    "text",
    [
        "seed: !!python/object/apply:os.mkdir ['{}']",
        "agent: {{tasks: [{{name: a, options: {{b: !!python/object/apply:os.mkdir ['{}']}}}}]}}",
    ],
)
def test_a_file_cannot_execute_anything(capsys, file_of, tmp_path, text):
    victim = tmp_path / "made_by_the_file"
    assert "os.mkdir" in refusal(capsys, "--config", file_of(text.format(victim)))
    assert not victim.exists()


# jsonargparse has a notation of its own for classes to be made.
@pytest.mark.parametrize(
    "text",
    [
        "agent: {tasks: [{name: a, options: {b: {class_path: zipfile.ZipFile, "
        "init_args: {file: VICTIM, mode: w}}}}]}",
        "agent: {tasks: [{name: a, options: {b: {class_path: side_effect.Task}}}]}",
        # A module that is only imported already runs.
        "agent: {tasks: [{class_path: side_effect.Task}]}",
        "agent: {class_path: side_effect.Task}",
    ],
)
def test_a_file_cannot_import_or_make_anything(capsys, file_of, monkeypatch, tmp_path, text):
    victim = tmp_path / "made_by_the_file"
    module = f"open({str(victim)!r}, 'w')\nTask = dict\n"
    (tmp_path / "side_effect.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "side_effect", raising=False)
    path = file_of(text.replace("VICTIM", str(victim)))
    # As an option of a task it may stay the plain mapping that it is.
    with contextlib.suppress(SystemExit):
        parse("--config", path)
    assert "Traceback" not in capsys.readouterr().err
    assert "side_effect" not in sys.modules
    assert not victim.exists()


# Named experiments


@pytest.mark.parametrize("name", ["atari/fast_sequence", "atari/fast_sequence.yaml"])
@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_named_experiments_are_found_from_everywhere(monkeypatch, tmp_path, name, joined, last):
    monkeypatch.chdir(tmp_path)
    arguments = [f"--config={name}"] if joined else ["--config", name]
    if not last:
        arguments += ["--seed", "0"]
    assert parse(*arguments) == load_experiment(ATARI / "fast_sequence.yaml")


def test_a_file_here_wins_over_a_named_experiment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "atari").mkdir()
    (tmp_path / "atari" / "fast_dqn.yaml").write_text("seed: 77\n")
    assert load_experiment("atari/fast_dqn.yaml").seed == 77


def test_an_installed_package_has_the_named_experiments_inside(monkeypatch, tmp_path):
    assert command_line.named_configs() == ROOT / "configs"
    package = tmp_path / "site-packages" / "tfselfsup"
    (package / "configs" / "atari").mkdir(parents=True)
    (package / "configs" / "atari" / "one.yaml").write_text("seed: 77\n")
    monkeypatch.setattr(command_line, "__file__", str(package / "command_line.py"))
    assert load_experiment("atari/one").seed == 77


# The files of configs/


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "configs").with_suffix(""))


def named(prefix: str) -> dict[str, AgentExperiment]:
    return {path.stem: load_experiment(path) for path in ATARI.glob(f"{prefix}_*.yaml")}


def test_there_are_the_experiments_of_the_study():
    agents = {"random", "dqn", "rotation", "sequence"}
    for prefix in ("paper", "fast"):
        assert {f"{prefix}_{agent}" for agent in agents} <= named(prefix).keys()


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.parent == ATARI], ids=name_of)
def test_every_experiment_loads_and_prints_itself(capsys, file_of, path):
    experiment = load_experiment(path)
    with pytest.raises(SystemExit):
        parse("--config", name_of(path), "--print_config")
    assert load_experiment(file_of(capsys.readouterr().out)) == experiment
    # And there is no key in it that the parser passes over.
    for section, settings in yaml.safe_load(path.read_text()).items():
        found = getattr(experiment, section)
        if dataclasses.is_dataclass(found):
            assert settings.keys() <= {key.name for key in dataclasses.fields(found)}


CLASSIFIERS = [path for path in CONFIGS if path.parent.name in ("forged_faces", "digits")]


def classifier(*arguments) -> ClassifierExperiment:
    parser = experiment_parser("", ClassifierExperiment)
    return built(ClassifierExperiment, parser, parser.parse_args(list(arguments)))


@pytest.mark.parametrize("path", CLASSIFIERS, ids=name_of)
def test_every_classifier_loads_and_prints_itself(capsys, file_of, path):
    experiment = load_experiment(path)
    assert isinstance(experiment, ClassifierExperiment)
    with pytest.raises(SystemExit):
        classifier("--config", name_of(path), "--print_config")
    # What is printed has all sections, by which its kind is known again.
    assert load_experiment(file_of(capsys.readouterr().out)) == experiment


def test_a_file_is_of_the_kind_that_has_its_sections(file_of):
    assert isinstance(load_experiment(file_of("seed: 3")), AgentExperiment)
    found = load_experiment(file_of("seed: 3\nmode: pretrain"))
    assert isinstance(found, ClassifierExperiment) and (found.seed, found.mode) == (3, "pretrain")
    with pytest.raises(ValueError, match="encoder"):
        load_experiment(file_of("encoder: {trunk: alexnet}\nagent: {gamma: 0.5}"))


@pytest.mark.parametrize(
    "option, value, told",
    [
        ("--training.tasks", "rotation", "[{name: rotation}]"),
        ("--training.tasks", "[{name: rotation, weight: -1}]", "tasks.weight"),
        ("--probe.strengths", "[0]", "probe.strengths"),
        ("--encoder.side", "0", "encoder.side"),
        ("--training.augmentation.crop", "0", "training.augmentation.crop"),
        ("--training.augmentation.jpeg", "101", "training.augmentation.jpeg"),
        ("--data.split", "house", "data.split"),
        ("--encoder.trunc", "alexnet", "encoder.trunk"),
    ],
)
def test_a_wrong_setting_of_a_classifier_is_one_line(capsys, option, value, told):
    with pytest.raises(SystemExit) as ended:
        classifier(option, value)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_the_first_line_is_the_command(path):
    first, *_ = path.read_text().splitlines()
    assert first.startswith("# bin/")
    program, *arguments = shlex.split(first.removeprefix("# "))
    assert (ROOT / program).is_file()
    if path.parent == ATARI:
        assert arguments == ["--config", name_of(path), "--run_dir", f"runs/{path.stem}"]
    else:
        assert path.stem in arguments or name_of(path) in arguments


def test_fast_agents_differ_in_nothing_but_the_task():
    agents = named("fast")
    dqn, random = agents.pop("fast_dqn"), agents.pop("fast_random")
    assert dqn.agent.tasks == () and dqn.agent.kind == "dqn"
    for agent in agents.values():
        assert agent.agent.tasks
        assert differences(dqn, agent).keys() == {"agent.tasks"}
    assert agents["fast_rotation"].agent.tasks == (TaskConfig("rotation", weight=0.1),)
    sequence = TaskConfig("frame_order", options={"classes": 12})
    assert agents["fast_sequence"].agent.tasks == (sequence,)
    assert_scored_alike(dqn, random)


def test_agents_of_the_study_differ_in_nothing_but_the_task():
    agents = named("paper")
    dqn, random = agents.pop("paper_dqn"), agents.pop("paper_random")
    for agent in agents.values():
        assert agent.agent.tasks
        assert differences(dqn, agent).keys() == {"agent.tasks"}
    assert_scored_alike(dqn, random)


def assert_scored_alike(one, random):
    """The random agent learns nothing, so that only the game and the scoring count."""
    assert random.agent.kind == "random"
    assert random.evaluation == one.evaluation
    assert differences(one.environment, random.environment).keys() <= {"num_envs"}
    assert random.seed == one.seed


@pytest.mark.parametrize(
    "name, tasks",
    [
        ("paper_dqn", ()),
        ("paper_rotation", (TaskConfig("rotation", 1.0),)),
        # The code of the study has 6 classes, its report 4.
        ("paper_sequence", (TaskConfig("frame_order", 1.0, {"classes": 6}),)),
    ],
)
def test_paper_experiments_hold_the_settings_of_the_study(name, tasks):
    experiment = load_experiment(f"atari/{name}")
    expected = {
        "total_steps": 1_000_000,
        "environment": {
            "game": "pong",
            "num_envs": 1,
            "frame_skip": 4,
        },
        "network": {
            "trunk": "nature_cnn",
            "dueling": True,
            "hidden_units": 256,
            "precision": "float32",
        },
        "agent": {
            "kind": "dqn",
            "double_q": True,
            "gamma": 0.99,
            "n_step": 1,
            "batch_size": 32,
            "update_period": 4,
            "target_update_period": 1_000,
            "learning_starts": 10_000,
            "learning_rate": 1e-4,
            "gradient_clip_norm": 10.0,
            "gradient_clipping": "per_variable",
            "clip_rewards": True,
            "mode": "alternate",
        },
        "replay": {
            "capacity": 10_000,
            "sampling": "prioritised",
            "alpha": 0.6,
            "beta_initial": 0.4,
            "beta_final": 1.0,
        },
        "exploration": {"epsilon_initial": 1.0, "epsilon_final": 0.01, "decay_fraction": 0.1},
    }
    found = dataclasses.asdict(experiment)
    for section, settings in expected.items():
        if isinstance(settings, dict):
            assert found[section] | settings == found[section]
        else:
            assert found[section] == settings
    assert experiment.agent.tasks == tasks
    # Scored as the study is not: full games, raw scores, the table's number of them.
    assert experiment.evaluation.episodes == 100


def test_the_defaults_are_those_of_the_study_but_for_the_games_side_by_side():
    dqn = load_experiment("atari/paper_dqn")
    assert differences(AgentExperiment(), dqn) == {"environment.num_envs": (8, 1)}


def test_importing_the_settings_imports_no_heavy_library():
    heavy = ("tensorflow", "tf_agents", "keras", "ale_py", "gymnasium", "cv2", "matplotlib")
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, tfselfsup.command_line, tfselfsup.runs\n"
            f"print(sorted(sys.modules.keys() & set({heavy})))",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]\n"
