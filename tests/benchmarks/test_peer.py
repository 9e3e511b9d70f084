import sys

import pytest

from tfselfsup.benchmarks import peer

SETTINGS = {"num_envs": 3}
A_LOOP = """
import json, sys
import gymnasium

with open(__file__ + ".called", "w") as called:
    json.dump(sys.argv[1:], called)
games = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")])
games.reset()
with open("log", "w") as log, open(__file__ + ".steps", "w") as steps:
    for turn in range(1_000_000):
        print("its own log, which is no answer")
        steps.seek(0)
        steps.write(f"{turn:9}")
        steps.flush()
        games.step(games.action_space.sample())
"""


@pytest.fixture
def started(tmp_path):
    """Starts a peer that is a script, in the place of a library that is not installed here."""

    def start(text):
        script = tmp_path / "script.py"
        script.write_text(text)
        return peer.Peer("a library", "--a_python", sys.executable, script, SETTINGS)

    return start


def test_a_peer_warms_up_and_then_trains_an_interval_at_a_time(started):
    one = started(
        "import json, sys\n"
        "settings = json.loads(sys.argv[1])\n"
        "print('loading the game')\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(int(line) / settings['num_envs'], flush=True)\n"
    )
    one.run(30)
    one.run(6)
    assert one.steps_per_second == [30 / 10.0, 6 / 2.0]
    one.close()


@pytest.mark.parametrize(
    "text", ["import no_such_library", "print('ready', flush=True)\nimport no_such_library"]
)
def test_a_peer_that_ends_says_why_in_one_line(started, text):
    with pytest.raises(
        ValueError, match="a library ended.*No module named 'no_such_library'.*performance.md"
    ):
        started(text).run(10)


def test_a_peer_that_had_ended_before_it_was_asked_says_why_too(started):
    one = started("print('ready', flush=True)\nimport no_such_library")
    one._process.wait()
    with pytest.raises(ValueError, match="No module named 'no_such_library'.*performance.md"):
        one.run(10)


@pytest.mark.parametrize(
    "start, option",
    [(peer.stable_baselines3, "--peer_python"), (peer.cleanrl, "--cleanrl_python")],
)
def test_an_interpreter_that_is_not_there_is_named(start, option):
    with pytest.raises(ValueError, match=f"{option}.*no/such/python"):
        start("no/such/python", SETTINGS)


@pytest.mark.parametrize("games, name", [(1, "1 game"), (3, "3 games")])
def test_stable_baselines3_is_named_with_its_games(games, name, tmp_path, monkeypatch):
    (tmp_path / "stable_baselines3_dqn.py").write_text("print('ready', flush=True)")
    monkeypatch.setattr(peer, "SCRIPTS", tmp_path)
    one = peer.stable_baselines3(sys.executable, {"num_envs": games})
    assert one.name == f"Stable-Baselines3, {name}"
    one.close()


@pytest.mark.parametrize("name", ["stable_baselines3_dqn.py", "cleanrl_dqn.py"])
def test_the_real_scripts_are_where_they_are_looked_for(name):
    assert (peer.SCRIPTS / name).is_file()


def test_cleanrl_s_loop_runs_as_it_is_and_waits_at_the_end_of_an_interval(tmp_path, monkeypatch):
    """With a loop of the same shape, as CleanRL needs an older gymnasium than this project."""
    script = tmp_path / "cleanrl" / "dqn_atari.py"
    script.parent.mkdir()
    script.write_text(A_LOOP)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    ours = {
        "game": "space_invaders",
        "learning_rate": 0.5,
        "capacity": 70,
        "learning_starts": 20,
        "batch_size": 32,
        "update_period": 4,
        "target_update_period": 10,
        "epsilon": 0.25,
        "warm_up": 5,
    }

    def turns_begun():
        return int(script.with_name("dqn_atari.py.steps").read_text())

    one = peer.cleanrl(sys.executable, ours)
    assert turns_begun() == 20 + 5  # the one that waits
    one.run(12)
    one.run(8)
    assert turns_begun() == 20 + 5 + 12 + 8
    assert len(one.steps_per_second) == 2 and min(one.steps_per_second) > 0
    one.close()
    assert one._process.returncode == 0
    called = script.with_name("dqn_atari.py.called").read_text()
    for words in [
        ["--env-id", "SpaceInvadersNoFrameskip-v4"],
        ["--learning-rate", "0.5"],
        ["--buffer-size", "70"],
        ["--learning-starts", "20"],
        ["--batch-size", "32"],
        ["--train-frequency", "4"],
        ["--target-network-frequency", "10"],
        ["--start-e", "0.25"],
        ["--end-e", "0.25"],
    ]:
        assert ", ".join(f'"{word}"' for word in words) in called
    assert not (tmp_path / "log").exists()  # what it writes is not left with whoever measures
