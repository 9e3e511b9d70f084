import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import array_spec, tensor_spec
from tf_agents.trajectories import time_step as ts

from tfselfsup import tasks
from tfselfsup.config import AgentConfig, AgentExperiment, ExplorationConfig
from tfselfsup.models.multi_head import FoldTime
from tfselfsup.rl.agent import SelfSupervisedDqnAgent
from tfselfsup.rl.collector import Collector, Episode
from tfselfsup.rl.learner import Learner
from tfselfsup.rl.objectives import gradient_steps
from tfselfsup.rl.policies import greedy_policy
from tfselfsup.rl.replay import Replay
from tfselfsup.rl.ring import FIRST, LAST, MID
from tfselfsup.rl.samplers import PrioritisedSampler
from tfselfsup.rl.training import (
    SCORE_WINDOW,
    EpisodeEnded,
    Progress,
    Stepped,
    Updated,
    epsilon_at,
    train,
    updates_between,
)


def test_epsilon_by_hand():
    # From 1 to 0.1 over the first half of 1000 steps: 0.9 / 500 a step.
    experiment = AgentExperiment(
        total_steps=1000,
        exploration=ExplorationConfig(epsilon_initial=1.0, epsilon_final=0.1, decay_fraction=0.5),
    )
    schedule = {0: 1.0, 1: 0.9982, 100: 0.82, 250: 0.55, 499: 0.1018, 500: 0.1, 1000: 0.1}
    for steps, epsilon in schedule.items():
        assert epsilon_at(steps, experiment) == pytest.approx(epsilon, abs=1e-12)


def test_epsilon_without_a_decay_is_the_final_one():
    exploration = ExplorationConfig(epsilon_initial=1.0, epsilon_final=0.1, decay_fraction=0.0)
    assert epsilon_at(0, AgentExperiment(exploration=exploration)) == pytest.approx(0.1)


def test_updates_fall_due_at_the_multiples_of_their_period():
    agent = AgentConfig(update_period=4)
    assert [updates_between(0, steps, agent) for steps in (3, 4, 7, 8)] == [0, 1, 1, 2]
    assert [updates_between(steps, 8, agent) for steps in (3, 4, 7, 8)] == [2, 1, 1, 0]


class Rows:
    """A replay that only counts its rows; the first `not_startable` of them begin nothing."""

    def __init__(self, log, capacity, not_startable):
        self.log, self.capacity, self._not_startable = log, capacity, not_startable
        self.written = 0

    def __len__(self):
        return min(self.written, self.capacity)

    @property
    def num_startable(self):
        return max(0, len(self) - self._not_startable)

    def anneal(self, progress):
        self.log.append(("anneal", progress))


class Games:
    """A collector of games that end as they are told to."""

    def __init__(self, log, rows, num_envs, ends, playing):
        self.log, self.rows, self.num_envs = log, rows, num_envs
        self.ends, self.playing = ends, playing
        self.epsilon = None
        self.steps = 0

    def store(self):
        self.log.append(("store", self.epsilon))
        self.steps += 1
        self.rows.written += self.num_envs
        return self.playing.get(self.steps, self.num_envs)

    def send(self):
        self.log.append(("send",))

    def receive(self):
        self.log.append(("receive",))
        return self.ends.get(self.steps, [])

    def choose(self):
        self.log.append(("choose", self.epsilon))


class Updates:
    """A learner whose only metric is the number of the update."""

    def __init__(self, log, group):
        self.log, self.group = log, group
        self.updates = 0

    def begin(self):
        self.log.append(("begin",))

    def finish(self):
        self.log.append(("finish",))
        self.updates += self.group
        return [{"number": self.updates - self.group + i} for i in range(self.group)]


class Run:
    """Runs the loop over stand-ins to its end and keeps all events.

    Attributes:
        log: what the stand-ins were asked.
        events: the events, each with the agent steps at its time.
        progress: as it is at the end.
    """

    def __init__(
        self,
        *,
        num_envs=3,
        total_steps=24,
        group=1,
        capacity=1000,
        not_startable=0,
        ends=None,
        playing=None,
        progress=None,
        **agent,
    ):
        self.log = []
        self.progress = progress or Progress()
        rows = Rows(self.log, capacity, not_startable)
        learner = Updates(self.log, group)
        learner.updates = self.progress.updates
        experiment = AgentExperiment(
            total_steps=total_steps,
            agent=AgentConfig(**{"update_period": 4, "learning_starts": 6} | agent),
            exploration=ExplorationConfig(1.0, 0.5, 0.5),
        )
        collector = Games(self.log, rows, num_envs, ends or {}, playing or {})
        events = train(experiment, collector, learner, rows, self.progress)
        self.events = [(event, self.progress.agent_steps) for event in events]

    @property
    def updates_of_each_step(self) -> list[int]:
        counts = [0]
        for event, _ in self.events:
            if isinstance(event, Updated):
                counts[-1] += 1
            elif isinstance(event, Stepped):
                counts.append(0)
        return counts[:-1]


@pytest.mark.parametrize(
    "settings, updates",
    [
        # Steps and rows 3, 6, 9 .. 24. Learning starts with 6 rows; multiples of 4 are reached on
        # the way from 3 to 6 (4), to 9 (8), to 12 (12), to 18 (16), to 21 (20) and to 24 (24).
        ({}, [0, 1, 1, 1, 0, 1, 1, 1]),
        # The same, but they wait until there are two of them.
        ({"group": 2}, [0, 0, 2, 0, 0, 2, 0, 2]),
        # Steps 8, 16, 24, and one or two multiples of 5 in each: 5; 10, 15; 20.
        ({"num_envs": 8, "update_period": 5, "learning_starts": 0}, [1, 2, 1]),
        # The two of 8 steps at once.
        ({"num_envs": 8, "group": 2}, [2, 2, 2]),
        # What would have been due before learning starts is not made up for.
        ({"learning_starts": 13}, [0, 0, 0, 0, 0, 1, 1, 1]),
        # A replay of 9 rows is full after 3 steps and never holds 13.
        ({"learning_starts": 13, "capacity": 9}, [0, 0, 1, 1, 0, 1, 1, 1]),
        # Three rows are enough to start, but no transition is complete before there are 7.
        ({"learning_starts": 3, "not_startable": 6}, [0, 0, 1, 1, 0, 1, 1, 1]),
        # Games that end cost steps: 3, 4, 6, 9, 12 .. 24, over rows 3, 6, 9 and so on.
        ({"playing": {2: 1, 3: 2}}, [0, 1, 0, 1, 1, 0, 1, 1, 1]),
    ],
)
def test_updates_by_hand(settings, updates):
    run = Run(**settings)
    assert run.updates_of_each_step == updates
    assert run.progress.updates == sum(updates)
    numbers = [event.metrics["number"] for event, _ in run.events if isinstance(event, Updated)]
    assert numbers == list(range(sum(updates)))


def test_updates_left_over_wait_in_the_progress():
    run = Run(group=2, total_steps=20)  # ends at 21, with 5 updates due since the start
    assert (run.progress.agent_steps, run.progress.updates, run.progress.updates_due) == (21, 4, 1)
    resumed = Run(group=2, total_steps=24, learning_starts=0, progress=run.progress)
    assert resumed.updates_of_each_step == [2]
    assert (resumed.progress.updates, resumed.progress.updates_due) == (6, 0)


def test_a_step_is_played_and_the_next_actions_are_chosen_while_updates_are_taken():
    run = Run(num_envs=8, total_steps=16)
    # Epsilon falls from 1 to 0.5 over 8 of the 16 steps. Two updates are due at each step.
    assert run.log == [
        ("anneal", 0.0),
        ("store", 1.0),
        ("begin",),
        ("send",),
        ("receive",),
        ("choose", 0.5),
        ("finish",),
        ("begin",),
        ("finish",),
        ("anneal", 0.5),
        ("store", 0.5),
        ("begin",),
        ("send",),
        ("receive",),
        ("choose", 0.5),
        ("finish",),
        ("begin",),
        ("finish",),
    ]
    assert run.progress.epsilon == 0.5


def test_events_come_in_order_with_the_progress_of_their_time():
    games = [Episode(2.0, 5), Episode(-1.0, 7)]
    run = Run(num_envs=4, total_steps=8, learning_starts=0, ends={2: games})
    progress = run.progress
    assert run.events == [
        (Updated({"number": 0}), 4),
        (Stepped(progress, steps_before=0, finished=False), 4),
        (Updated({"number": 1}), 8),
        (EpisodeEnded(games[0]), 8),
        (EpisodeEnded(games[1]), 8),
        (Stepped(progress, steps_before=4, finished=True), 8),
    ]
    assert dataclasses.replace(progress, seconds=0.0) == Progress(
        agent_steps=8,
        updates=2,
        episodes=2,
        epsilon=0.5,  # at the last step
        scores=[2.0, -1.0],
        lengths=[5, 7],
    )
    assert progress.seconds > 0


def test_a_resumed_run_goes_on_where_it_was():
    before = Progress(agent_steps=12, updates=3, episodes=4, seconds=100.0, scores=[1.0] * 4)
    run = Run(learning_starts=0, progress=before, ends={1: [Episode(5.0, 2)]})
    assert run.updates_of_each_step == [0, 1, 1, 1]
    assert run.log[:2] == [("anneal", 0.5), ("store", 0.5)]
    assert run.progress is before
    assert (before.agent_steps, before.updates, before.episodes) == (24, 6, 5)
    assert before.scores == [1.0] * 4 + [5.0] and before.seconds > 100


def test_a_finished_run_does_nothing():
    run = Run(progress=Progress(agent_steps=24))
    assert (run.events, run.log) == ([], [])


def test_periods_are_reached_at_their_multiples():
    stepped = Stepped(Progress(agent_steps=24), steps_before=21, finished=False)
    reached = {period: stepped.reached(period) for period in (0, 2, 4, 5, 8, 24, 25)}
    # 22, 24; 24; 20 and 25 are outside; 24; 24; 25 is outside.
    assert reached == {0: False, 2: True, 4: True, 5: False, 8: True, 24: True, 25: False}
    stepped = Stepped(Progress(agent_steps=24), steps_before=24, finished=False)
    assert not stepped.reached(24)  # no step was played: it would be saved twice


def test_the_newest_scores_are_kept():
    progress = Progress()
    for i in range(SCORE_WINDOW + 20):
        progress.add(Episode(float(i), 2 * i))
    assert progress.episodes == SCORE_WINDOW + 20
    assert progress.scores == [float(i) for i in range(20, SCORE_WINDOW + 20)]
    assert progress.lengths == [2 * i for i in range(20, SCORE_WINDOW + 20)]


class Catch:
    """Catch a ball that falls straight down, in slots side by side; +1 or -1 at the end.

    The picture is SIDE x SIDE. The ball starts in any column of the top row and the paddle in any
    of the bottom one; actions are left, stay and right. A game takes SIDE - 1 steps.
    """

    SIDE = 5
    num_actions = 3

    def __init__(self, num_envs, seed):
        self.batch_size = num_envs
        self._generator = np.random.default_rng(seed)

    def action_spec(self):
        return array_spec.BoundedArraySpec((), np.int32, 0, self.num_actions - 1)

    def get_info(self):
        return {"lives": np.zeros(self.batch_size, np.int32)}

    def reset(self):
        self._row, self._ball, self._paddle = np.zeros((3, self.batch_size), int)
        self._stack = np.zeros((self.batch_size, 4, self.SIDE, self.SIDE, 1), np.uint8)
        self._step_type = np.full(self.batch_size, LAST, np.int32)
        return self._step(np.ones(self.batch_size, int))

    def send(self, actions):
        self._outcome = self._step(actions)

    def recv(self):
        return self._outcome

    def _step(self, actions):
        begins = self._step_type == LAST
        starts = self._generator.integers(self.SIDE, size=(2, self.batch_size))
        moved = np.clip(self._paddle + actions - 1, 0, self.SIDE - 1)
        self._row = np.where(begins, 0, self._row + 1)
        self._ball, self._paddle = np.where(begins, starts, [self._ball, moved])
        ends = self._row == self.SIDE - 1
        self._step_type = np.where(begins, FIRST, np.where(ends, LAST, MID)).astype(np.int32)
        frame = np.zeros_like(self._stack[:, :1])
        slots = np.arange(self.batch_size)
        frame[slots, 0, self._row, self._ball] = 255
        frame[slots, 0, -1, self._paddle] = 128
        before = np.where(begins[:, np.newaxis, np.newaxis, np.newaxis, np.newaxis], 0, self._stack)
        self._stack = np.concatenate([before[:, 1:], frame], axis=1)
        reward = ends * np.where(self._ball == self._paddle, 1, -1)
        return ts.TimeStep(
            self._step_type, reward.astype(np.float32), 1 - ends.astype(np.float32), self._stack
        )


NUM_ENVS = 8


def learn_to_catch(total_steps, seed=0, mode="alternate") -> tuple:
    """Trains with real parts; returns the progress, all metrics and the final weights."""
    experiment = AgentExperiment(
        total_steps=total_steps,
        agent=AgentConfig(learning_starts=200),
        exploration=ExplorationConfig(1.0, 0.02, 0.4),
    )
    rotation = tasks.get("rotation")
    games = Catch(NUM_ENVS, seed)
    frame_shape = (4, Catch.SIDE, Catch.SIDE, 1)

    def build_model():
        frames = tf.keras.Input(frame_shape, dtype=tf.uint8)
        pixels = tf.keras.layers.Flatten()(FoldTime()(frames))
        features = tf.keras.layers.Dense(128, "relu", name="trunk")(pixels)
        q_values = tf.keras.layers.Dense(3, name="q")(features)
        angles = tf.keras.layers.Dense(rotation.num_classes, name="rotation")(features)
        return tf.keras.Model(frames, {"q": q_values, "rotation": angles})

    tf.keras.utils.set_random_seed(seed)
    agent = SelfSupervisedDqnAgent(
        ts.time_step_spec(tensor_spec.BoundedTensorSpec(frame_shape, tf.uint8, 0, 255)),
        tensor_spec.from_spec(games.action_spec()),
        build_model=build_model,
        gradient_steps=gradient_steps(
            mode,
            {"rotation": 1.0},
            lambda: tf.keras.optimizers.legacy.Adam(2e-3),
            pretrain_updates=100,
        ),
        tasks={"rotation": rotation},
        gamma=0.95,
        target_update_period=50,
        seed=seed,
    )
    replay = Replay(
        capacity=5000,
        num_envs=NUM_ENVS,
        frame_shape=frame_shape[1:3],
        gamma=0.95,
        sampler=PrioritisedSampler(),
        seed=seed,
    )
    learner = Learner(agent, replay, batch_size=64, group=2, uses_weights=True)
    collector = Collector(
        games,
        replay,
        greedy_policy(agent.acting_model),
        np.random.default_rng(seed),
        clip_rewards=True,
        life_loss_ends_episode=True,
    )
    progress = Progress()
    events = train(experiment, collector, learner, replay, progress)
    metrics = [event.metrics for event in events if isinstance(event, Updated)]
    learner.close()
    return progress, metrics, agent.model.get_weights()


def random_scores() -> np.ndarray:
    """Scores of random play, each of one game."""
    games, generator = Catch(1000, seed=0), np.random.default_rng(0)
    games.reset()
    for _ in range(Catch.SIDE - 1):
        games.send(generator.integers(3, size=1000))
    return games.recv().reward


@pytest.mark.parametrize(
    "mode, total_steps",
    [
        ("alternate", 3000),
        pytest.param("joint", 6000, marks=pytest.mark.slow),
        pytest.param("pretrain", 6000, marks=pytest.mark.slow),
    ],
)
def test_a_small_game_is_learnt_beside_a_task(mode, total_steps):
    progress, metrics, _ = learn_to_catch(total_steps, mode=mode)
    # The newest 100 games take the last 400 of the steps; a few of their moves are random.
    assert np.mean(progress.scores) > 0.6
    assert random_scores().mean() < -0.4
    accuracies = [update["accuracy/rotation"] for update in metrics if "loss/rotation" in update]
    assert np.mean(accuracies[:10]) < 0.6 and np.mean(accuracies[-10:]) > 0.8


def test_the_same_seed_gives_the_same_run():
    (one, metrics, weights), (again, metrics_again, weights_again), (other, *_) = (
        learn_to_catch(600, seed) for seed in (1, 1, 2)
    )
    assert len(metrics) > 100 and metrics == metrics_again
    assert one.scores == again.scores and one.episodes == again.episodes > 50
    for left, right in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert one.scores != other.scores
