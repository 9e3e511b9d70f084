import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.config import (
    AgentConfig,
    AgentExperiment,
    EnvironmentConfig,
    LoggingConfig,
    NetworkConfig,
    ReplayConfig,
    TaskConfig,
)
from tfselfsup.programs import agent_parts
from tfselfsup.rl import checkpointing
from tfselfsup.rl.agent import transition_of
from tfselfsup.rl.checkpointing import Checkpointer
from tfselfsup.rl.ring import FIRST, MID
from tfselfsup.rl.training import EpisodeEnded, Progress, Stepped, Updated
from tfselfsup.runs import RunDirectory, files

NUM_ENVS = 2
TARGET_PERIOD = 3  # updates
EXPERIMENT = AgentExperiment(
    environment=EnvironmentConfig(num_envs=NUM_ENVS),
    network=NetworkConfig(hidden_units=4),
    agent=AgentConfig(
        learning_rate=1e-2,
        n_step=2,
        update_period=4,
        target_update_period=4 * TARGET_PERIOD,
        tasks=(TaskConfig("rotation"),),
    ),
    replay=ReplayConfig(capacity=60),
)
PROGRESS = Progress(
    agent_steps=120,
    updates=30,
    updates_due=1,
    episodes=3,
    seconds=12.5,
    epsilon=0.3,
    scores=[-21.0, -20.0, 1.5],
    lengths=[900, 800, 1000],
)


class KilledError(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def environment():
    environment = agent_parts.make_environment(EXPERIMENT.environment, 0, num_envs=1)
    yield environment
    environment.close()


class Parts:
    """What a checkpointer saves: a real agent, a real replay and a random generator."""

    def __init__(self, environment, seed: int):
        experiment = dataclasses.replace(EXPERIMENT, seed=seed)
        self.agent = agent_parts.make_agent(experiment, environment)
        self.replay = agent_parts.make_replay(experiment)
        self.generator = np.random.default_rng(seed)

    def play(self, steps: int, seed: int, begins: bool = False) -> None:
        made_up = np.random.default_rng(seed)
        for step in range(steps):
            self.replay.append(
                made_up.integers(256, size=(NUM_ENVS, 84, 84), dtype=np.uint8),
                np.full(NUM_ENVS, FIRST if begins and step == 0 else MID),
                made_up.integers(6, size=NUM_ENVS),
                np.zeros(NUM_ENVS) if begins and step == 0 else made_up.normal(size=NUM_ENVS),
                np.ones(NUM_ENVS),
            )

    def learn(self, updates: int) -> None:
        for _ in range(updates):
            batch = self.replay.sample(4)
            info = self.agent.train_several([(transition_of(batch), batch.weights)])[0]
            self.replay.update_priorities(batch.rows, info.extra.td_error.numpy())

    def variables(self) -> dict[str, list[np.ndarray]]:
        agent = self.agent
        return {
            "online": [variable.numpy() for variable in agent.model.weights],
            "target": [variable.numpy() for variable in agent._target_q_network.model.weights],
            "updates": [agent.train_step_counter.numpy()],
        } | {
            step.norm_name: [variable.numpy() for variable in step.optimizer.variables()]
            for step in agent.gradient_steps
        }


def make_trained(environment) -> Parts:
    """An agent that has learnt a little; its target network lags behind."""
    parts = Parts(environment, seed=1)
    parts.play(24, seed=1, begins=True)
    parts.learn(TARGET_PERIOD + 1)
    parts.generator.random(5)
    return parts


@pytest.fixture(scope="module")
def trained(environment) -> Parts:
    """Is saved again and again, and nowhere changed."""
    return make_trained(environment)


@pytest.fixture(scope="module")
def other(environment) -> Parts:
    """Has the same settings, everything else is different; a place to restore to."""
    parts = Parts(environment, seed=2)
    parts.play(29, seed=2, begins=True)
    parts.learn(1)
    return parts


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    return run


def checkpointer(run, parts, **settings) -> Checkpointer:
    return Checkpointer(run, LoggingConfig(**settings), parts.agent, parts.replay, parts.generator)


def assert_same_variables(one, other) -> None:
    assert one.keys() == other.keys()
    for name in one:
        for left, right in zip(one[name], other[name], strict=True):
            np.testing.assert_array_equal(left, right, err_msg=name)


def progress_at(steps: int) -> Progress:
    return Progress(agent_steps=steps)


def names_in(path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_everything_comes_back(run, trained, other):
    saved = trained.variables()
    generator_state = trained.generator.bit_generator.state
    checkpointer(run, trained).save_all(PROGRESS)

    # All of it has moved, or the comparison would be one of initial values.
    slots = [value for name, values in saved.items() if "norm" in name for value in values]
    assert saved["updates"] == [TARGET_PERIOD + 1]
    assert len(slots) > 40 and all(np.any(slot) for slot in slots)
    assert any((a != b).any() for a, b in zip(saved["online"], saved["target"], strict=True))
    for name, values in other.variables().items():
        assert any((a != b).any() for a, b in zip(saved[name], values, strict=True)), name
    assert other.generator.bit_generator.state != generator_state
    assert len(other.replay) != len(trained.replay)

    assert checkpointer(run, other).restore() == PROGRESS
    assert_same_variables(saved, other.variables())
    assert other.generator.bit_generator.state == generator_state
    assert len(other.replay) == len(trained.replay)


def test_a_restored_run_goes_on_alike(run, environment):
    parts = make_trained(environment)
    checkpointer(run, parts).save_all(PROGRESS)
    restored = Parts(environment, seed=1)
    checkpointer(run, restored).restore()
    parts.replay.end_episodes()  # as restoring does
    both = (parts, restored)
    for one in both:
        one.play(5, seed=4, begins=True)
    for _ in range(3):  # the same rows, frames, weights, in the same order
        batch, again = (one.replay.sample(32) for one in both)
        for name, part in batch._asdict().items():
            np.testing.assert_array_equal(getattr(again, name), part, err_msg=name)
    assert parts.generator.random() == restored.generator.random()
    for one in both:
        one.learn(TARGET_PERIOD - 1)
        # The target network is copied to at the same update as without the interruption.
        assert one.agent.train_step_counter.numpy() == 2 * TARGET_PERIOD
        values = one.variables()
        for online, target in zip(values["online"], values["target"], strict=True):
            np.testing.assert_array_equal(online, target)
    again = restored.variables()
    for name, values in parts.variables().items():
        for left, right in zip(values, again[name], strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_run_without_a_checkpoint_is_at_its_beginning(run, other):
    before = other.variables()
    assert checkpointer(run, other).restore() == Progress()
    assert_same_variables(before, other.variables())


def test_progress_is_a_copy(run, other):
    # The run's own keeps changing while it is a listener's.
    progress = dataclasses.replace(PROGRESS, scores=[1.0])
    saver = checkpointer(run, other)
    saver.save(progress)
    progress.scores = [2.0]
    progress.agent_steps = 999
    assert saver.restore() == dataclasses.replace(PROGRESS, scores=[1.0])


def test_a_restored_agent_acts_with_the_restored_weights(run, environment, trained):
    checkpointer(run, trained).save(PROGRESS)
    restored = Parts(environment, seed=1)
    checkpointer(run, restored).restore()
    frames = np.random.default_rng(0).integers(256, size=(3, 4, 84, 84, 1), dtype=np.uint8)
    values = restored.agent.acting_model(frames)["q"]
    np.testing.assert_array_equal(values, trained.agent.model(frames)["q"])


def test_the_newest_steps_are_marked_as_ended_on_restoring(run, environment, other):
    parts = Parts(environment, seed=5)
    parts.play(10, seed=5, begins=True)
    assert parts.replay.num_startable == 8 * NUM_ENVS  # n_step is 2
    checkpointer(run, parts).save_all(PROGRESS)
    checkpointer(run, other).restore()
    # All but the newest row start a transition, because the game counts as cut off there; and a
    # game that goes on is refused.
    assert other.replay.num_startable == 9 * NUM_ENVS
    with pytest.raises(ValueError, match="FIRST"):
        other.play(1, seed=6)
    other.play(1, seed=6, begins=True)


def test_the_newest_checkpoint_is_restored(run, trained, other):
    for variable in other.agent.model.weights:
        variable.assign_add(tf.ones_like(variable))
    older = checkpointer(run, other, keep_checkpoints=3)
    for steps in (90, 100):
        older.save(progress_at(steps))
    older.save_best(progress_at(2000), 1.0)
    checkpointer(run, trained, keep_checkpoints=3).save(progress_at(1000))
    assert older.restore() == progress_at(1000)
    assert_same_variables(trained.variables(), other.variables())


# The snapshot of the replay has a period of its own.
@pytest.mark.parametrize("replay_at, checkpoint_at", [(100, 110), (100, 90)])
def test_a_replay_older_or_newer_than_the_checkpoint_is_taken(
    run, other, environment, replay_at, checkpoint_at
):
    parts = Parts(environment, seed=5)
    parts.play(6, seed=5, begins=True)
    savers = {
        replay_at: checkpointer(run, parts, replay_period=1, checkpoint_period=0),
        checkpoint_at: checkpointer(run, parts, replay_period=0, checkpoint_period=1),
    }
    rows = {}
    for steps in sorted(savers):
        savers[steps](Stepped(progress_at(steps), steps - 1, finished=False))
        rows[steps] = len(parts.replay)
        parts.play(4, seed=6)
    assert checkpointer(run, other).restore() == progress_at(checkpoint_at)
    assert len(other.replay) == rows[replay_at] != rows[checkpoint_at]
    assert other.replay.num_startable == rows[replay_at] - NUM_ENVS


def test_without_a_snapshot_the_replay_stays_as_it_is(run, trained, environment):
    checkpointer(run, trained).save(PROGRESS)
    assert names_in(run.path) == {"checkpoints"}
    fresh = Parts(environment, seed=3)
    assert checkpointer(run, fresh).restore() == PROGRESS
    assert len(fresh.replay) == 0
    assert_same_variables(trained.variables(), fresh.variables())


class TinyAgent:
    """Stands for an agent where nothing depends on what is saved."""

    checkpointed = {"online": tf.Variable(0.0)}


@pytest.mark.parametrize(
    "checkpoint_period, replay_period, num_envs, checkpoints, replays",
    [
        (10, 0, 1, [10, 20, 25], []),
        (0, 0, 1, [25], []),  # only at the end
        (25, 25, 1, [25], [25]),  # once, though the period and the run end there
        (5, 10, 1, [5, 10, 15, 20, 25], [10, 20]),
        (10, 20, 7, [14, 21, 28], [21]),  # steps of 7 jump over the periods
        (2, 3, 7, [7, 14, 21, 28], [7, 14, 21, 28]),  # one for several periods
    ],
)
def test_periods(
    run, monkeypatch, checkpoint_period, replay_period, num_envs, checkpoints, replays
):
    replay = agent_parts.make_replay(EXPERIMENT)
    settings = LoggingConfig(
        checkpoint_period=checkpoint_period, replay_period=replay_period, keep_checkpoints=99
    )
    saver = Checkpointer(run, settings, TinyAgent(), replay, np.random.default_rng())
    saved = []
    progress = Progress()

    def save(folder):
        folder.mkdir()
        saved.append(progress.agent_steps)

    monkeypatch.setattr(replay, "save", save)
    while progress.agent_steps < 25:
        before = progress.agent_steps
        progress.agent_steps += num_envs
        for event in (Updated({}), EpisodeEnded(None)):
            saver(event)
        saver(Stepped(progress, before, finished=progress.agent_steps >= 25))
    assert saved == replays
    assert [checkpointing.agent_steps(path) for path in run.checkpoints()] == checkpoints
    assert [path.name for path in run.checkpoints()] == [f"step_{at}" for at in checkpoints]


@pytest.mark.parametrize("keep", [1, 2])
def test_only_the_newest_checkpoints_stay(run, trained, keep):
    saver = checkpointer(run, trained, keep_checkpoints=keep)
    saver.save_best(progress_at(10), 1.0)
    for steps in (10, 20, 30):
        saver.save(progress_at(steps))
    kept = {f"step_{steps}" for steps in (10, 20, 30)[-keep:]}
    assert names_in(run.path / "checkpoints") == kept | {"best"}


def test_the_best_checkpoint_is_replaced(run, trained, environment):
    saver = checkpointer(run, trained)
    assert saver.best_score() == float("-inf")
    saver.save_best(progress_at(10), -3.25)
    saver.save_best(progress_at(20), 1.5)
    assert saver.best_score() == 1.5
    assert names_in(run.path / "checkpoints") == {"best"}
    assert checkpointing.agent_steps(run.best) == 20
    model = agent_parts.make_agent(EXPERIMENT, environment).model
    checkpointing.load_weights(model, run.chosen_checkpoint("best"))
    for left, right in zip(model.weights, trained.agent.model.weights, strict=True):
        np.testing.assert_array_equal(left, right)


class Killing:
    """A generator whose state cannot be asked for: the process ends after the tensors."""

    @property
    def bit_generator(self):
        raise KilledError


def test_a_kill_between_the_tensors_and_the_rename_leaves_the_older_one(
    run, trained, other, monkeypatch
):
    saver = checkpointer(run, trained)
    saver.save(progress_at(10))
    saved = trained.variables()
    killed = Checkpointer(run, LoggingConfig(), other.agent, other.replay, Killing())
    with monkeypatch.context() as dead, pytest.raises(KilledError):
        dead.setattr(files, "remove", lambda path: None)  # a killed process tidies nothing up
        killed.save(progress_at(20))
    left = run.path / "checkpoints" / "step_20.writing"
    assert (left / "tensors.index").exists()  # it was killed where it should be
    assert run.checkpoints() == [run.checkpoint(10)]
    assert saver.restore() == progress_at(10)
    assert_same_variables(saved, trained.variables())
    # What was left is in nobody's way.
    saver.save(progress_at(20))
    assert names_in(run.path / "checkpoints") == {"step_10", "step_20"}
    assert saver.restore() == progress_at(20)


def test_a_kill_while_the_replay_is_written_leaves_the_older_one(run, trained, other, monkeypatch):
    saver = checkpointer(run, trained)
    saver.save_all(progress_at(10))
    stored = len(trained.replay)

    def killed(folder):
        folder.mkdir()
        (folder / "frames.npy").write_bytes(b"half")
        raise KilledError

    monkeypatch.setattr(trained.replay, "save", killed)
    with pytest.raises(KilledError):
        saver(Stepped(progress_at(10**6), 10, False))
    assert checkpointer(run, other).restore() == progress_at(10)
    assert len(other.replay) == stored


def test_a_checkpoint_knows_its_steps(run, trained):
    checkpointer(run, trained).save(progress_at(1234))
    assert checkpointing.agent_steps(run.checkpoint(1234)) == 1234


def test_only_the_online_network_is_read_for_playing(run, trained, environment):
    checkpointer(run, trained).save(PROGRESS)
    saved = trained.variables()
    assert any((a != b).any() for a, b in zip(saved["online"], saved["target"], strict=True))
    fresh = Parts(environment, seed=3)
    before = fresh.variables()
    checkpointing.load_weights(fresh.agent.model, run.checkpoint(120))
    after = fresh.variables()
    assert_same_variables(after, before | {"online": saved["online"]})


@pytest.mark.parametrize(
    "other_settings",
    [
        {"network": NetworkConfig(hidden_units=8)},
        {"agent": AgentConfig(tasks=(TaskConfig("rotation"), TaskConfig("frame_order")))},
    ],
)
def test_weights_of_another_network_are_refused(run, trained, environment, other_settings):
    checkpointer(run, trained).save(PROGRESS)
    experiment = dataclasses.replace(EXPERIMENT, **other_settings)
    model = agent_parts.make_agent(experiment, environment).model
    with pytest.raises(ValueError, match="step_120 is damaged or of another network"):
        checkpointing.load_weights(model, run.checkpoint(120))


def test_a_damaged_checkpoint_is_named(run, trained, environment):
    checkpointer(run, trained).save(PROGRESS)
    for part in run.checkpoint(120).glob("tensors*"):
        part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ValueError, match="step_120 is damaged or of another network"):
        checkpointing.load_weights(trained.agent.model, run.checkpoint(120))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"progress": 1}'])
def test_a_damaged_state_is_named(content, run, trained):
    checkpointer(run, trained).save(PROGRESS)
    (run.checkpoint(120) / "state.json").write_text(content)
    expected = "^[^ ]*step_120 is damaged or of another network .*delete it"
    with pytest.raises(ValueError, match=expected):
        checkpointer(run, trained).restore()
    with pytest.raises(ValueError, match=expected):
        checkpointing.trained_steps(run)


@pytest.mark.parametrize(
    "name, kept, reason",
    [
        ("replay.json", b"", "Expecting value"),
        ("replay.json", b"{}", "'settings'"),
        ("frames.npy", 1000, "mmap length"),
        ("frames.npy", b"", "No data left"),
    ],
)
def test_a_damaged_snapshot_of_the_replay_is_named_and_may_be_deleted(
    name, kept, reason, run, trained, environment
):
    checkpointer(run, trained).save_all(PROGRESS)
    file = run.replay / name
    file.write_bytes(kept if isinstance(kept, bytes) else file.read_bytes()[:kept])
    fresh = Parts(environment, seed=3)
    saver = checkpointer(run, fresh)
    with pytest.raises(ValueError) as raised:
        saver.restore()
    message = str(raised.value)
    assert message.startswith(f"{run.replay} is damaged") and reason in message
    assert message.endswith("; delete it to go on with an empty memory")
    shutil.rmtree(run.replay)
    assert saver.restore() == PROGRESS
    assert len(fresh.replay) == 0
