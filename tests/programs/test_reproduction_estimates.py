import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import fake_workers
from tests.programs.made_up_program import appeared, is_alive
from tfselfsup import command_line
from tfselfsup.config import (
    AgentRuns,
    ClassifierExperiment,
    ClassifierRuns,
    ImageDataConfig,
    Reproduction,
    RuntimeConfig,
)
from tfselfsup.programs import reproduction_estimates as estimates
from tfselfsup.programs import reproduction_speeds as speeds
from tfselfsup.programs.reproduction_plan import plan
from tfselfsup.programs.reproduction_speeds import AgentSpeed, ClassifierSpeed, SpliceSpeed

PROBE, IMAGENET = "forged_faces/squeezenet_random", "forged_faces/squeezenet_imagenet"
NETWORK, MODULE = "forged_faces/mobilenet_fine_tuned", "forged_faces/bigbigan_resnet50"
SPEEDS = {
    speeds.measure_agent: AgentSpeed(4.0, 10.0, 100.0, 1000.0),
    speeds.measure_classifier: ClassifierSpeed(4.0, 10.0, 20.0, None),
    speeds.measure_splices: SpliceSpeed(4.0, 100.0),
}


@pytest.fixture
def measured(monkeypatch):
    """Replaces the measurement; lists what is measured."""
    measured = []

    def measure(requests):
        measured.extend(requests.values())
        return {key: _speed(request) for key, request in requests.items()}

    monkeypatch.setattr(speeds, "measure", measure)
    return measured


def _speed(request):
    speed = SPEEDS[request.measure]
    if isinstance(speed, ClassifierSpeed):
        if request.argument.encoder.trunk.startswith("bigbigan"):
            return None
        return speed._replace(fitted=1000.0 if request.argument.mode == "probe" else None)
    return speed


def agents(tmp_path, *names, **settings):
    return plan(Reproduction(agents=AgentRuns(names, **settings)), tmp_path)


def classifiers(tmp_path, *names, **settings):
    given = {"splices": 1000, "splits": ("hard",), **settings}
    return plan(Reproduction(classifiers=ClassifierRuns(names, **given)), tmp_path)


def estimate(planned):
    return estimates.estimates(planned, estimates.measured_speeds(planned))


def make(one):
    for program, *arguments in one.commands(None):
        fake_workers.PROGRAMS[program](*arguments)


def test_each_kind_is_measured_once(measured, tmp_path):
    estimate(
        agents(
            *(tmp_path, "atari/paper_random", "atari/paper_dqn", "atari/paper_rotation"),
            games=("pong", "breakout"),
            seeds=(0, 1),
        )
    )
    # Games and seeds are alike.
    assert [request.argument.agent.kind for request in measured] == ["random", "dqn", "dqn"]
    measured.clear()
    estimate(classifiers(tmp_path, PROBE, IMAGENET, NETWORK, splits=("random", "hard")))
    # Weights and splits are alike, too.
    assert [request.measure for request in measured] == [
        speeds.measure_splices,
        speeds.measure_classifier,
        speeds.measure_classifier,
    ]
    assert [request.argument.mode for request in measured[1:]] == ["probe", "fine_tune"]
    assert measured[1].runtime == RuntimeConfig(0, 0)


def test_nothing_is_measured_where_nothing_is_left_to_do(measured, tmp_path):
    planned = agents(tmp_path, "atari/fast_random")
    make(planned[0])
    assert estimate(planned) == [0.0] and measured == []


def test_the_time_of_an_agent(measured, tmp_path):
    overrides = {
        "total_steps": 11_000,
        "agent.learning_starts": 1000,
        "evaluation.episodes": 10,
        "evaluation.curve_period": 5000,
        "evaluation.curve_episodes": 2,
    }
    (one,) = agents(tmp_path, "atari/fast_dqn", overrides=overrides)
    # Two programs import, one compiles and the other half of that; 10,000 steps are learnt from;
    # 10 and twice 2 games of 2,000 steps, and the steps before learning, are only played.
    assert estimate([one]) == [pytest.approx(2 * 4 + 15 + 100 + (10 + 4) * 2 + 1)]
    # Half of it is there.
    one.run.start(one.experiment)
    one.run.checkpoint(5500).mkdir()
    assert estimate([one]) == [pytest.approx(2 * 4 + 15 + 55 + (10 + 2) * 2)]


def test_the_time_of_an_agent_that_learns_nothing(monkeypatch, measured, tmp_path):
    monkeypatch.setitem(SPEEDS, speeds.measure_agent, AgentSpeed(4.0, 0.0, None, 5000.0))
    assert estimate(agents(tmp_path, "atari/fast_random")) == [pytest.approx(2 * 4 + 40)]


def test_the_time_of_a_network(measured, tmp_path):
    overrides = {"training.epochs": 5, "data.fractions": "[0.6, 0.1, 0.3]"}
    data, one = classifiers(tmp_path, NETWORK, overrides=overrides)
    # 5 epochs of 600; 100 to validate after each and twice more, and 300 to test, at a third.
    expected = 2 * 4 + 15 + (5 * 600 + (7 * 100 + 300) / 3) / 20
    assert estimate([data, one]) == [pytest.approx(4 + 20), pytest.approx(expected)]


def test_features_that_another_probe_computes_take_no_time(measured, tmp_path):
    planned = classifiers(tmp_path, IMAGENET, PROBE, splits=("random", "hard"), seeds=(0, 1))
    fitting, encoding = 2 * 4 + 15 + 700 / 1000, 1000 / 20
    found = dict(zip((one.name for one in planned), estimate(planned), strict=True))
    computed = {name for name, seconds in found.items() if seconds == fitting + encoding}
    # Of random weights there are as many as seeds.
    assert computed == {
        "squeezenet_imagenet_random_seed0",
        "squeezenet_random_random_seed0",
        "squeezenet_random_random_seed1",
    }
    rest = {name for name, seconds in found.items() if seconds == pytest.approx(fitting)}
    assert len(rest) == 5


def test_what_cannot_be_measured_is_unknown(measured, tmp_path):
    data, probe, module = classifiers(tmp_path, PROBE, MODULE)
    assert [seconds is None for seconds in estimate([data, probe, module])] == [False, False, True]


def test_the_images_of_a_data_set_are_counted(measured, tmp_path):
    fake_workers.write_description(tmp_path / "faces", 2000)
    reproduction = Reproduction(classifiers=ClassifierRuns((PROBE,)), data=str(tmp_path / "faces"))
    (seconds,) = estimate(plan(reproduction, tmp_path))
    assert seconds == pytest.approx(2 * 4 + 15 + 1400 / 1000 + 2000 / 20)


@pytest.mark.parametrize(("kind", "channels"), [("faces", 3), ("digits", 1), ("theirs", 5)])
def test_images_that_are_made_up_have_the_channels_of_their_kind(kind, channels, monkeypatch):
    from tfselfsup.programs import classifier_encoders, classifier_parts

    class Theirs(classifier_parts.DigitData):
        channels = 5

    class Seen(Exception):
        pass

    def make_encoder(experiment, data):
        assert data.channels == channels
        raise Seen

    monkeypatch.setitem(classifier_parts.DATA, "theirs", Theirs)
    monkeypatch.setattr(classifier_encoders, "make_encoder", make_encoder)
    with pytest.raises(Seen):
        speeds.measure_classifier(ClassifierExperiment(data=ImageDataConfig(kind=kind)))


@pytest.mark.parametrize(
    ("name", "overrides", "is_fitted"),
    [(PROBE, ("--encoder.side", "32"), True), ("digits/two_layer_cnn_rotation", (), False)],
)
def test_a_classifier_is_measured(name, overrides, is_fitted):
    speed = speeds.measure_classifier(command_line.load_experiment(name, overrides))
    assert speed.images > 1 and speed.building > 0
    assert (speed.fitted is not None) == is_fitted


def test_a_module_is_not_measured():
    assert speeds.measure_classifier(command_line.load_experiment(MODULE)) is None


def test_a_measurement_that_fails_is_told_and_the_others_are_made(monkeypatch, capfd):
    monkeypatch.setattr(speeds, "_start", _quick_start)
    requests = {
        "bad": speeds.Request(_broken, None, "a_run_seed0", RuntimeConfig()),
        "good": speeds.Request(_made, 2.0, "splices", RuntimeConfig()),
    }
    assert speeds.measure(requests) == {"bad": None, "good": SpliceSpeed(0.0, 2.0)}
    errors = capfd.readouterr().err
    assert errors.startswith("measuring 2 kinds of run on this machine\n")  # no terminal, no bar
    assert "time of a_run_seed0 and of runs like it: out of luck\n" in errors


def _quick_start(runtime, parent):
    del runtime, parent


def _broken(argument):
    raise TypeError("out of\nluck")


def _made(images):
    return SpliceSpeed(0.0, images)


MEASURING = """
import os, sys, time
from pathlib import Path
from tfselfsup.config import RuntimeConfig
from tfselfsup.programs import reproduction_speeds as speeds

# In both processes, as TensorFlow takes seconds to start.
speeds.start_tensorflow = speeds.import_quietly = lambda _: None

def sleep(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)

if __name__ == "__main__":
    speeds.measure({0: speeds.Request(sleep, sys.argv[1], "a run", RuntimeConfig())})
"""


def test_the_measuring_process_ends_with_the_plan(tmp_path):
    (tmp_path / "measuring.py").write_text(MEASURING)
    command = [sys.executable, str(tmp_path / "measuring.py"), str(tmp_path / "pid")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen(command, env=environment) as plan_process:
        measuring = int(appeared(tmp_path / "pid"))
        plan_process.kill()
    for _ in range(100):
        if not is_alive(measuring):
            return
        time.sleep(0.1)
    os.kill(measuring, signal.SIGKILL)
    raise AssertionError("it went on")


@pytest.mark.slow
def test_the_measurements_measure(tmp_path):
    planned = [
        *agents(tmp_path, "atari/fast_random", "atari/fast_rotation"),
        *classifiers(
            *(tmp_path, PROBE, NETWORK, "forged_faces/mobilenet_fine_tuned_rotation"),
            overrides={"encoder.side": 32},
        ),
    ]
    found = estimates.measured_speeds(planned)
    assert len(found) == 6 and None not in found.values()
    random, rotation, splices, probe, network, with_task = found.values()
    assert random.learning is None and random.playing > rotation.playing > rotation.learning
    assert splices.images > 1 and probe.fitted > 1
    assert probe.images > network.images > with_task.images > 1
    assert all(seconds > 0 for seconds in estimates.estimates(planned, found))
