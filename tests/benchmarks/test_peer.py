import sys

import pytest

from tfselfsup.benchmarks import peer

SETTINGS = {"num_envs": 3}


@pytest.fixture
def script_of(monkeypatch, tmp_path):
    """Puts a script in the place of the library, which is not installed here."""

    def write(text):
        script = tmp_path / "script.py"
        script.write_text(text)
        monkeypatch.setattr(peer, "SCRIPT", script)

    return write


def test_a_peer_warms_up_and_then_trains_an_interval_at_a_time(script_of):
    script_of(
        "import json, sys\n"
        "settings = json.loads(sys.argv[1])\n"
        "print('loading the game')\n"
        "print('ready', flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(int(line) / settings['num_envs'], flush=True)\n"
    )
    one = peer.Peer(sys.executable, SETTINGS)
    one.run(30)
    one.run(6)
    assert one.steps_per_second == [30 / 10.0, 6 / 2.0]
    assert one.name == "Stable-Baselines3, 3 games"
    one.close()


@pytest.mark.parametrize(
    "text", ["import no_such_library", "print('ready', flush=True)\nimport no_such_library"]
)
def test_a_peer_that_ends_says_why_in_one_line(script_of, text):
    script_of(text)
    with pytest.raises(ValueError, match="No module named 'no_such_library'.*performance.md"):
        peer.Peer(sys.executable, SETTINGS).run(10)


def test_a_peer_that_had_ended_before_it_was_asked_says_why_too(script_of):
    script_of("print('ready', flush=True)\nimport no_such_library")
    one = peer.Peer(sys.executable, SETTINGS)
    one._process.wait()
    with pytest.raises(ValueError, match="No module named 'no_such_library'.*performance.md"):
        one.run(10)


def test_an_interpreter_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="--peer_python.*no/such/python"):
        peer.Peer("no/such/python", SETTINGS)


def test_the_real_script_is_where_it_is_looked_for():
    assert peer.SCRIPT.is_file()
