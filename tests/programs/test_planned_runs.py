import dataclasses
from pathlib import Path

import pytest

from tests.programs import fake_workers
from tfselfsup.config import AgentRuns, ClassifierRuns, Reproduction, RuntimeConfig
from tfselfsup.programs.reproduction_plan import plan
from tfselfsup.runs import RunDirectory

PROBE, NETWORK = "forged_faces/squeezenet_random", "forged_faces/mobilenet_fine_tuned"
ROTATION = "forged_faces/squeezenet_rotation"


@pytest.fixture
def all_kinds(tmp_path):
    """One of each: an agent, splices, a pre-training, probes on it and on its own, a network."""
    agents = AgentRuns(("atari/fast_dqn",))
    classifiers = ClassifierRuns((PROBE, NETWORK), {ROTATION: PROBE})
    names = ("agent", "splices", "pretraining", "on_pretraining", "probe", "network", "control")
    return dict(zip(names, plan(Reproduction(agents, classifiers), tmp_path), strict=True))


def make(one):
    for program, *arguments in one.commands(None):
        assert not one.is_done()
        fake_workers.PROGRAMS[program](*arguments)


def test_each_is_done_once_its_programs_have_run(all_kinds):
    for one in all_kinds.values():
        assert one.status().state == "to do"
        make(one)
        assert one.is_done() and one.status().state == "done"


@pytest.mark.parametrize("kind", ["agent", "pretraining", "probe", "network"])
def test_a_run_with_other_settings_is_not_the_one_asked_for(all_kinds, kind):
    one = all_kinds[kind]
    make(one)
    other = dataclasses.replace(one.experiment, seed=5)
    assert not dataclasses.replace(one, experiment=other).is_done()


@pytest.mark.parametrize("kind", ["agent", "pretraining", "probe", "network"])
def test_threads_do_not_make_another_run(all_kinds, kind):
    one = all_kinds[kind]
    make(one)
    other = dataclasses.replace(one.experiment, runtime=RuntimeConfig(5, 5))
    assert dataclasses.replace(one, experiment=other).is_done()


@pytest.mark.parametrize("kind", ["pretraining", "network"])
def test_a_network_that_has_epochs_left_is_unfinished(all_kinds, kind):
    one = all_kinds[kind]
    make(one)
    newest = one.run.checkpoints()[-1]
    newest.rename(newest.with_name("step_1"))
    assert one.steps_done == 1 and one.status().state == "unfinished"


@pytest.mark.parametrize(
    "change",
    [
        {"part": "validation"},
        {"protocol": {"checkpoint": "last"}},
        {"protocol": None},
        {"protocol": "last"},
    ],
    ids=str,
)
def test_a_score_of_another_kind_is_not_the_final_one(all_kinds, change):
    one = all_kinds["network"]
    make(one)
    one.run.write_evaluation(one.run.evaluation() | change)
    assert not one.is_done()


def test_a_score_that_cannot_be_read_is_named(all_kinds):
    one = all_kinds["probe"]
    make(one)
    Path(one.folder, "evaluation.json").write_text("[")
    with pytest.raises(ValueError, match="evaluation.json"):
        one.is_done()


def test_an_agent_that_is_to_be_trained_for_longer_is_not_done(all_kinds):
    one = all_kinds["agent"]
    make(one)
    longer = dataclasses.replace(one.experiment, total_steps=2 * one.experiment.total_steps)
    # Settings are written as soon as the longer training begins.
    one.run.start(longer)
    assert not dataclasses.replace(one, experiment=longer).is_done()


def test_the_programs_of_an_agent(all_kinds):
    one = all_kinds["agent"]
    training, scoring = one.commands(None)
    assert training == ("train_agent", *one.options, "--run_dir", str(one.folder))
    assert scoring == ("evaluate_agent", str(one.folder))


# The agent has 1 thread in an operation and 3 operations side by side; the network all there are.
@pytest.mark.parametrize(("kind", "intra", "inter"), [("agent", 1, 2), ("network", 2, 2)])
def test_runs_that_share_a_machine_have_no_more_threads_than_their_share(
    all_kinds, kind, intra, inter
):
    one = all_kinds[kind]
    command = one.commands(2)[0]
    make_with = fake_workers.PROGRAMS[command[0]]
    make_with(*command[1:])
    assert RunDirectory(one.folder).experiment().runtime == RuntimeConfig(intra, inter)


@pytest.mark.parametrize("make", [lambda path: path.write_text("{"), lambda path: path.mkdir()])
def test_what_cannot_be_read_is_broken(make, tmp_path):
    (one,) = plan(Reproduction(agents=AgentRuns(("atari/fast_random",))), tmp_path)
    one.run.start(one.experiment)
    assert one.status() == ("unfinished", None)
    make(one.folder / "evaluation.json")
    state, fault = one.status()
    assert state == "broken" and "evaluation.json" in fault
    assert not one.status().is_to_be_made
