import json
import shutil
import statistics
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
import yaml

from tfselfsup import config
from tfselfsup.programs import agent_parts, evaluate_agent, train_agent
from tfselfsup.rl import checkpointing, policies
from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.runs import RunDirectory

# Breakout, as its scores differ from game to game even in a short play, and settings of which no
# one is a default, as the evaluation has to follow the run's.
SMALL = (
    *("--environment.game", "breakout", "--environment.num_envs", "2", "--seed", "5"),
    *("--environment.max_episode_steps", "120", "--environment.noop_max", "20"),
    *("--network.hidden_units", "16", "--replay.capacity", "1000"),
    *("--evaluation.episodes", "4", "--evaluation.num_envs", "3", "--evaluation.epsilon", "0.05"),
)
KEYS = {
    "kind": str,
    "agent": str,
    "task": (str, type(None)),
    "mode": (str, type(None)),
    "game": str,
    "seed": int,
    "agent_steps": int,
    "episodes": int,
    "mean": float,
    "std": float,
    "median": float,
    "scores": list,
    "protocol": dict,
}


pytestmark = pytest.mark.usefixtures("one_tensorflow")


@pytest.fixture(scope="module")
def run_of_two_tasks(tmp_path_factory):
    """A run with checkpoints at about 100 and 200 agent steps, which has not begun to learn."""
    run_dir = tmp_path_factory.mktemp("runs") / "two_tasks"
    tasks = "[{name: rotation}, {name: frame_order, options: {classes: 4}}]"
    train_agent.main(
        [
            *(*SMALL, "--total_steps", "200", "--agent.learning_starts", "500"),
            *("--logging.checkpoint_period", "100", "--evaluation.curve_period", "0"),
            *("--agent.tasks", tasks, "--agent.mode", "joint", "--run_dir", str(run_dir)),
        ]
    )
    return run_dir


@pytest.fixture(scope="module")
def scored(run_of_two_tasks):
    """A scored copy of the run, which is not to be written to."""
    run_dir = shutil.copytree(run_of_two_tasks, run_of_two_tasks.with_name("scored"))
    evaluate_agent.main([str(run_dir)])
    return run_dir


@pytest.fixture
def run_dir(run_of_two_tasks, tmp_path):
    """A copy of the run, to be written to."""
    return shutil.copytree(run_of_two_tasks, tmp_path / "run")


@pytest.fixture
def random_run(tmp_path):
    run_dir = tmp_path / "random"
    train_agent.main([*SMALL, "--agent.kind", "random", "--run_dir", str(run_dir)])
    return run_dir


def evaluate(run_dir: Path, *arguments) -> dict:
    evaluate_agent.main([str(run_dir), *map(str, arguments)])
    return json.loads((run_dir / "evaluation.json").read_text())


def one_line_of_error(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as ended:
        evaluate_agent.main([*map(str, arguments)])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert ": error: " in errors and errors.count("\n") == 1, errors
    return errors


def test_the_written_score_has_its_keys_and_follows_from_the_games(scored):
    written = json.loads((scored / "evaluation.json").read_text())
    for name, kind in KEYS.items():
        assert isinstance(written[name], kind), name
    assert written.keys() - KEYS.keys() == {"total_steps", "finished"}
    assert (written["kind"], written["agent"]) == ("agent", "rotation+sequence")
    assert (written["task"], written["mode"]) == ("rotation+frame_order", "joint")
    assert (written["game"], written["seed"]) == ("breakout", 5)
    assert 200 <= written["agent_steps"] <= 201 and written["total_steps"] == 200
    scores = written["scores"]
    assert written["episodes"] == len(scores) == 4
    assert len(set(scores)) > 1 and all(type(score) is float for score in scores)
    assert written["mean"] == pytest.approx(statistics.mean(scores))
    assert written["std"] == pytest.approx(statistics.stdev(scores))
    assert written["median"] == pytest.approx(statistics.median(scores))
    assert written["protocol"] == {
        "checkpoint": "last",
        "epsilon": 0.05,
        "repeat_action_probability": 0.0,
        "noop_max": 20,
        "frame_skip": 4,
        "max_episode_steps": 120,
        "rewards": "raw",
        "life_loss_ends_episode": False,
    }


def test_options_replace_the_runs_settings_for_this_score_only(run_dir, capsys):
    before = (run_dir / "config.yaml").read_bytes()
    # Two games for three slots.
    written = evaluate(
        run_dir, "--episodes", 2, "--epsilon", 1, "--repeat_action_probability", 0.25
    )
    assert written["episodes"] == len(written["scores"]) == 2
    assert written["protocol"]["epsilon"] == 1.0
    assert written["protocol"]["repeat_action_probability"] == 0.25
    assert (run_dir / "config.yaml").read_bytes() == before
    assert capsys.readouterr().out == (
        f"rotation+sequence on breakout: mean {written['mean']:.2f}, std {written['std']:.2f}, "
        f"2 games, {written['agent_steps']} agent steps (last checkpoint); "
        f"{run_dir / 'evaluation.json'}\n"
    )


def test_options_may_stand_in_a_file(run_dir, tmp_path):
    (tmp_path / "options.yaml").write_text("episodes: 1\nepsilon: 0.5\n")
    written = evaluate(run_dir, "--config", tmp_path / "options.yaml", "--epsilon", "0.25")
    assert (written["episodes"], written["protocol"]["epsilon"]) == (1, 0.25)
    assert written["std"] == 0.0  # of one game


@pytest.mark.parametrize(("epsilon", "least", "most"), [(0, 0, 0), (0.5, 0.2, 0.55)])
def test_epsilon_decides_how_many_actions_are_random(epsilon, least, most, run_dir, monkeypatch):
    sent = []
    send = AtariEnvironment.send

    def recorded(environment, actions):
        sent.extend(actions)
        send(environment, actions)

    monkeypatch.setattr(AtariEnvironment, "send", recorded)
    monkeypatch.setattr(
        policies, "greedy_policy", lambda model: lambda frames: np.full(len(frames), 3)
    )
    evaluate(run_dir, "--epsilon", epsilon, "--episodes", 1)
    # Of the random actions a quarter are the policy's own.
    assert len(sent) > 50 and least <= np.mean(np.array(sent) != 3) <= most


def test_a_training_that_is_to_go_on_is_said_to_be_unfinished(run_dir, scored, capsys):
    settings = yaml.safe_load((run_dir / "config.yaml").read_text())
    settings["total_steps"] = 400
    (run_dir / "config.yaml").write_text(yaml.safe_dump(settings))
    written = evaluate(run_dir, "--episodes", 1)
    assert (written["finished"], written["total_steps"]) == (False, 400)
    assert "(last checkpoint), training not finished; " in capsys.readouterr().out
    assert json.loads((scored / "evaluation.json").read_text())["finished"] is True


def test_the_best_checkpoint_is_the_one_in_its_folder(run_dir, scored, monkeypatch):
    run = RunDirectory(run_dir)
    first, last = run.checkpoints()
    steps = {path: checkpointing.agent_steps(path) for path in (first, last)}
    assert steps[first] < steps[last]
    # As this run has learnt nothing, its best checkpoint is made up: one whose agent stands still.
    run.best.mkdir()
    shutil.copy(first / "state.json", run.best)
    experiment = run.experiment()
    environment = agent_parts.make_environment(experiment.environment, 0, 1)
    agent = agent_parts.make_agent(experiment, environment)
    agent.model.set_weights([np.zeros_like(weight) for weight in agent.model.get_weights()])
    tf.train.Checkpoint(online=agent.model).write(str(run.best / "tensors"))
    played = []
    greedy_policy = policies.greedy_policy
    monkeypatch.setattr(
        policies, "greedy_policy", lambda model: played.append(model) or greedy_policy(model)
    )
    written = evaluate(run_dir, "--checkpoint", "best", "--episodes", 1)
    assert written["protocol"]["checkpoint"] == "best"
    assert written["agent_steps"] == steps[first]
    (model,) = played
    assert not any(weight.any() for weight in model.get_weights())
    assert json.loads((scored / "evaluation.json").read_text())["agent_steps"] == steps[last]


def test_a_video_shows_a_whole_game(run_dir, capsys):
    written = evaluate(run_dir, "--episodes", 1, "--video")
    path = run_dir / "videos" / f"game_at_{written['agent_steps']}_steps.mp4"
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert list(path.parent.iterdir()) == [path]
    video = cv2.VideoCapture(str(path))
    size = [video.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    assert size == [320, 420]  # twice the console's
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    # The frame after the reset, and four for each of 120 steps unless the game ended before.
    assert 100 < len(frames) <= 1 + 4 * 120
    assert (frames[0] != frames[-1]).any()


def test_the_random_agent_is_scored_without_a_checkpoint(random_run):
    written = evaluate(random_run)
    assert (written["agent"], written["task"], written["mode"]) == ("random", None, None)
    assert (written["agent_steps"], written["total_steps"]) == (0, 0)
    assert written["protocol"]["checkpoint"] is None
    assert written["protocol"]["epsilon"] == 1.0  # whatever the settings say
    assert len(written["scores"]) == 4 and written["finished"] is True


def test_a_game_has_one_name_in_scores_however_it_was_spelled(tmp_path):
    run_dir = tmp_path / "run"
    options = (*SMALL, "--environment.game", "Breakout", "--agent.kind", "random")
    train_agent.main([*options, "--run_dir", str(run_dir)])
    # The published figures, and the other seeds' runs, stand under this name.
    assert evaluate(run_dir, "--episodes", 1)["game"] == "breakout"


@pytest.mark.parametrize(
    ("tasks", "kind", "name"),
    [
        ((), "dqn", "dqn"),
        ((), "random", "random"),
        (("rotation",), "dqn", "rotation"),
        (("frame_order",), "dqn", "sequence"),
        (("rotation", "frame_order"), "dqn", "rotation+sequence"),
        (("a_new_task",), "dqn", "a_new_task"),
        (("rotation",), "random", "random"),  # it learns nothing, tasks or not
    ],
)
def test_agents_are_named_as_in_the_study(tasks, kind, name):
    settings = config.AgentConfig(kind=kind, tasks=tuple(map(config.TaskConfig, tasks)))
    assert evaluate_agent.agent_name(settings) == name


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys):
    message = one_line_of_error(capsys, tmp_path)
    assert "config.yaml" in message and str(tmp_path) in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("choice", ["last", "best"])
def test_a_run_without_a_checkpoint_is_refused(choice, run_dir, capsys):
    shutil.rmtree(run_dir / "checkpoints")
    message = one_line_of_error(capsys, run_dir, "--checkpoint", choice)
    assert f"checkpoint in {run_dir}" in message and "train" in message
    assert not (run_dir / "evaluation.json").exists()


def test_a_score_that_cannot_be_written_is_one_line(run_dir, monkeypatch, capsys):
    def no_space(self, evaluation):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDirectory, "write_evaluation", no_space)
    with pytest.raises(SystemExit) as ended:
        evaluate_agent.main([str(run_dir), "--episodes", "1"])
    assert ended.value.code == 2
    assert "error: [Errno 28] No space left" in capsys.readouterr().err.splitlines()[-1]


def test_a_configuration_that_does_not_fit_is_refused(run_dir, capsys):
    settings = yaml.safe_load((run_dir / "config.yaml").read_text())
    settings["agent"]["n_steps"] = 3
    (run_dir / "config.yaml").write_text(yaml.safe_dump(settings))
    assert "n_steps" in one_line_of_error(capsys, run_dir)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--episodes", "0", ["episodes", "0"]),
        ("--epsilon", "2", ["epsilon", "2"]),
        ("--checkpoint", "newest", ["checkpoint", "newest", "last", "best"]),
        ("--episode", "3", ["--episode", "episodes"]),
    ],
)
def test_a_bad_option_is_one_line_that_names_it(option, value, told, run_dir, capsys):
    message = one_line_of_error(capsys, run_dir, option, value)
    for part in told:
        assert part in message
    assert not (run_dir / "evaluation.json").exists()
