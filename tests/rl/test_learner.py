import time

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tfselfsup.models.multi_head import FoldTime
from tfselfsup.rl.agent import SelfSupervisedDqnAgent, transition_of
from tfselfsup.rl.learner import Learner, NonFiniteLossError
from tfselfsup.rl.objectives import gradient_steps
from tfselfsup.rl.replay import Replay
from tfselfsup.rl.ring import FIRST, LAST, LOGICAL_ORDER, MID
from tfselfsup.rl.samplers import PrioritisedSampler, UniformSampler
from tfselfsup.tasks.rotation import Rotation

FRAME_SIDE = 4
NUM_ENVS = 2
NUM_ACTIONS = 3
GAMMA = 0.9
BATCH_SIZE = 8


class CountedRotation(Rotation):
    """Counts how often it is called, which in a compiled function is how often it is traced."""

    def __init__(self):
        self.calls = 0

    def transform(self, frames, seed):
        self.calls += 1
        return super().transform(frames, seed)


class WatchedReplay(Replay):
    """Notes what is asked of it, in order; samples slowly, as a large replay may."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.events = []

    def sample(self, batch_size):
        time.sleep(0.02)
        batch = super().sample(batch_size)
        self.events.append(("sample", batch))
        return batch

    def update_priorities(self, rows, td_errors):
        self.events.append(("priorities", rows, td_errors))
        super().update_priorities(rows, td_errors)

    @property
    def order(self) -> list[str]:
        return [event[0] for event in self.events]


def make_replay(sampler=None, seed=0, rewards=None) -> WatchedReplay:
    """A replay with 40 steps in each slot, which have ends and lost lives among them."""
    replay = WatchedReplay(
        capacity=NUM_ENVS * 50,
        num_envs=NUM_ENVS,
        frame_shape=(FRAME_SIDE, FRAME_SIDE),
        gamma=GAMMA,
        sampler=sampler or PrioritisedSampler(),
        seed=seed,
    )
    generator = np.random.default_rng(5)
    for t in range(40):
        position = t % 10
        step_type = FIRST if position == 0 else LAST if position == 9 else MID
        replay.append(
            generator.integers(256, size=(NUM_ENVS, FRAME_SIDE, FRAME_SIDE), dtype=np.uint8),
            np.full(NUM_ENVS, step_type),
            generator.integers(NUM_ACTIONS, size=NUM_ENVS),
            np.full(NUM_ENVS, rewards if rewards is not None else 3 * generator.normal()),
            np.full(NUM_ENVS, 0.0 if position in (5, 9) else 1.0),
        )
    return replay


def make_agent(
    mode="alternate", with_task=True, learning_rate=1e-2, task=None, **settings
) -> SelfSupervisedDqnAgent:
    tasks_found = {"rotation": task or Rotation()} if with_task else {}
    frame_shape = (4, FRAME_SIDE, FRAME_SIDE, 1)

    def build_model():
        frames = tf.keras.Input(frame_shape, dtype=tf.uint8)
        pixels = tf.keras.layers.Flatten()(FoldTime()(frames))
        features = tf.keras.layers.Dense(16, "relu", name="trunk")(pixels)
        widths = {
            "q": NUM_ACTIONS,
            **{name: task.num_classes for name, task in tasks_found.items()},
        }
        outputs = {
            name: tf.keras.layers.Dense(widths[name], name=name)(features) for name in widths
        }
        return tf.keras.Model(frames, outputs)

    tf.keras.utils.set_random_seed(1)
    return SelfSupervisedDqnAgent(
        ts.time_step_spec(tensor_spec.BoundedTensorSpec(frame_shape, tf.uint8, 0, 255)),
        tensor_spec.BoundedTensorSpec((), tf.int32, 0, NUM_ACTIONS - 1),
        build_model=build_model,
        gradient_steps=gradient_steps(
            mode,
            dict.fromkeys(tasks_found, 1.0),
            lambda: tf.keras.optimizers.legacy.Adam(learning_rate),
            pretrain_updates=3,
        ),
        tasks=tasks_found,
        gamma=GAMMA,
        **settings,
    )


@pytest.fixture
def make_learner():
    """Makes learners, and ends their threads after the test."""
    made = []

    def make(agent, replay, group=2, uses_weights=True) -> Learner:
        made.append(Learner(agent, replay, BATCH_SIZE, group, uses_weights))
        return made[-1]

    yield make
    for learner in made:
        learner.close()


def update(learner) -> list[dict[str, float]]:
    learner.begin()
    return learner.finish()


def test_updates_are_those_of_the_agent_on_the_minibatches_in_their_order(make_learner):
    # A uniform sampler draws the same rows whatever the priorities, so that the twin may sample
    # just before each update.
    agent = make_agent()
    learner = make_learner(agent, make_replay(UniformSampler()), group=2, uses_weights=False)
    reported = update(learner) + update(learner)
    assert len(reported) == learner.updates == agent.train_step_counter.numpy() == 4

    twin, twin_replay = make_agent(), make_replay(UniformSampler())
    for metrics in reported:
        batch = twin_replay.sample(BATCH_SIZE)
        expected = twin.train(tf.nest.map_structure(tf.constant, transition_of(batch)))
        assert metrics.keys() == expected.extra.metrics.keys()
        for name, value in metrics.items():
            np.testing.assert_allclose(
                value, expected.extra.metrics[name], rtol=1e-4, atol=1e-5, err_msg=name
            )
    for one, other in zip(agent.model.weights, twin.model.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("group", [1, 3])
def test_minibatches_are_sampled_before_the_priorities_of_the_group_before(make_learner, group):
    replay = make_replay()
    learner = make_learner(make_agent(with_task=False), replay, group)
    learner.begin()
    # Its own minibatches and those of the next group. Nothing more is sampled: whoever plays may
    # write to the replay.
    sampled = ["sample"] * group
    assert replay.order == sampled * 2
    time.sleep(0.1)
    assert replay.order == sampled * 2
    learner.finish()
    assert replay.order == sampled * 2 + ["priorities"] * group
    update(learner)
    assert (
        replay.order
        == sampled * 2 + (["priorities"] * group + sampled)[: 2 * group] + ["priorities"] * group
    )


def test_the_acting_weights_change_only_when_a_group_is_finished(make_learner):
    agent = make_agent()
    learner = make_learner(agent, make_replay())
    frames = learner._sample()[0].tensors.s_t.numpy().transpose(LOGICAL_ORDER)
    begun = agent.acting_model(frames)["q"].numpy()
    learner.begin()
    learner._under_way[1].result()  # the weights themselves have changed
    assert not np.allclose(agent.model(frames)["q"], begun)
    np.testing.assert_array_equal(agent.acting_model(frames)["q"], begun)
    learner.finish()
    np.testing.assert_array_equal(agent.acting_model(frames)["q"], agent.model(frames)["q"])


def test_what_fails_in_the_thread_reaches_the_caller(make_learner):
    class BrokenRotation(Rotation):
        def loss(self, outputs, examples):
            raise RuntimeError("a bug in a task")

    learner = make_learner(make_agent(task=BrokenRotation()), make_replay())
    learner.begin()
    with pytest.raises(RuntimeError, match="a bug in a task"):
        learner.finish()


def test_closing_waits_for_the_group_under_way(make_learner):
    agent = make_agent()
    learner = make_learner(agent, make_replay(), group=3)
    learner.begin()
    learner.close()
    assert agent.train_step_counter.numpy() == 3


def test_priorities_are_the_td_errors_of_the_rows_sampled(make_learner):
    agent, replay = make_agent(with_task=False, learning_rate=0.0), make_replay()
    learner = make_learner(agent, replay, group=2)
    for _ in range(2):
        update(learner)
    batches = [event[1] for event in replay.events if event[0] == "sample"][:4]
    updates = [event[1:] for event in replay.events if event[0] == "priorities"]
    for batch, (rows, td_errors) in zip(batches, updates, strict=True):
        np.testing.assert_array_equal(rows, batch.rows)
        np.testing.assert_allclose(td_errors, td_errors_of(agent, batch), atol=1e-5)


def td_errors_of(agent, batch) -> np.ndarray:
    """Double DQN's errors while the target network equals the online one."""
    q_t = agent.model(batch.s_t)["q"].numpy()[np.arange(BATCH_SIZE), batch.a_t]
    next_values = agent.model(batch.s_tpn)["q"].numpy().max(axis=1)
    return batch.r_t + GAMMA * batch.discount_t * next_values - q_t


@pytest.mark.parametrize("uses_weights", [False, True])
def test_importance_weights_are_used_only_if_asked(make_learner, uses_weights):
    agent, replay = make_agent(with_task=False, learning_rate=0.0), make_replay()
    rows = np.arange(len(replay))
    replay.update_priorities(rows, 1.0 + rows % 7)  # so that the weights differ from 1
    learner = make_learner(agent, replay, group=1, uses_weights=uses_weights)
    (metrics,) = update(learner)
    batch = replay.events[1][1]
    assert batch.weights.min() < 0.8
    error = np.abs(td_errors_of(agent, batch))
    huber = np.where(error < 1, error**2 / 2, error - 0.5)
    expected = (batch.weights * huber if uses_weights else huber).mean()
    assert metrics["loss/q"] == pytest.approx(expected, rel=1e-4)


def test_no_priorities_are_written_while_q_is_not_trained(make_learner):
    replay = make_replay()
    learner = make_learner(make_agent("pretrain"), replay, group=2)  # 3 updates of pretraining
    task_metrics = {"loss/rotation", "accuracy/rotation", "gradient_norm/rotation"}
    q_metrics = {"loss/q", "gradient_norm/q", "q_values"}
    reported = update(learner)
    assert replay.order.count("priorities") == 0
    reported += update(learner)
    assert replay.order.count("priorities") == 1
    reported += update(learner)
    assert replay.order.count("priorities") == 3
    # Only what was trained is reported.
    assert [set(metrics) for metrics in reported] == [task_metrics] * 3 + [q_metrics] * 3
    assert all(np.isfinite(value) for metrics in reported for value in metrics.values())


@pytest.mark.parametrize(
    "mode, reward, value", [("alternate", np.nan, "nan"), ("joint", np.inf, "inf")]
)
def test_a_q_loss_that_is_not_finite_is_named(make_learner, mode, reward, value):
    replay = make_replay(rewards=reward)
    learner = make_learner(make_agent(mode), replay, group=1)
    with pytest.raises(NonFiniteLossError, match=f"^the loss 'q' became {value} at update 1$"):
        update(learner)
    assert "priorities" not in replay.order


def test_a_task_s_loss_that_is_not_finite_is_named_with_its_update(make_learner):
    agent = make_agent()
    learner = make_learner(agent, make_replay())
    update(learner)
    poisoned = agent.model.get_layer("rotation")
    poisoned.set_weights([np.full_like(weights, np.nan) for weights in poisoned.get_weights()])
    with pytest.raises(NonFiniteLossError, match="^the loss 'rotation' became nan at update 3$"):
        update(learner)


def test_in_pretraining_q_is_looked_at_once_it_is_trained(make_learner):
    learner = make_learner(make_agent("pretrain"), make_replay(rewards=np.nan), group=1)
    for _ in range(3):
        update(learner)
    with pytest.raises(NonFiniteLossError, match="^the loss 'q' became nan at update 4$"):
        update(learner)


def test_a_gradient_that_is_not_finite_is_named(make_learner):
    class Cusp(Rotation):
        """Its loss is the root of 0, where the slope is infinite."""

        def loss(self, outputs, examples):
            zero = outputs - tf.stop_gradient(outputs)
            return tf.sqrt(tf.reduce_sum(zero, axis=-1))

    learner = make_learner(make_agent(task=Cusp()), make_replay())
    with pytest.raises(
        NonFiniteLossError, match="^the gradient of the loss 'rotation' became .* at update 1$"
    ):
        update(learner)


def test_the_same_seed_gives_the_same_updates(make_learner):
    def reported(agent_seed):
        learner = make_learner(make_agent(seed=agent_seed), make_replay(), group=1)
        return [metrics for _ in range(5) for metrics in update(learner)]

    first, other = reported(1), reported(2)
    assert reported(1) == first
    # The agent's seed changes the task's examples, and not what is sampled.
    assert other[0]["loss/q"] == first[0]["loss/q"]
    assert other[0]["loss/rotation"] != first[0]["loss/rotation"]


def test_the_updates_are_compiled_once(make_learner):
    task = CountedRotation()
    learner = make_learner(make_agent(task=task), make_replay(), group=2)
    for _ in range(4):
        update(learner)
    assert task.calls == 2  # once for each update of the group


def test_a_resumed_learner_counts_on(make_learner):
    agent = make_agent(with_task=False)
    agent.train_step_counter.assign(6)
    learner = make_learner(agent, make_replay())
    assert learner.updates == 6
    update(learner)
    assert learner.updates == agent.train_step_counter.numpy() == 8
