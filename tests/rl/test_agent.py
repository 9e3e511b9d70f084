import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents.dqn import dqn_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from tfselfsup import tasks
from tfselfsup.models import encoders, heads, multi_head, trunks
from tfselfsup.rl import clipping as clippers
from tfselfsup.rl.agent import SelfSupervisedDqnAgent, transition_of
from tfselfsup.rl.network import MultiHeadNetwork
from tfselfsup.rl.objectives import MODES, Q, gradient_steps
from tfselfsup.rl.replay import Batch
from tfselfsup.tasks.base import ClassificationTask, Examples
from tfselfsup.tasks.rotation import Rotation

FRAME_SHAPE = (4, 6, 6, 1)
NUM_ACTIONS = 3
GAMMA = 0.9
LEARNING_RATE = 1e-2
ADAM_EPSILON = 1e-3  # large, so that its place in Adam's formula matters


class EverySecond(ClassificationTask):
    """Changes every second example, whatever the seed; every third one has no answer."""

    num_classes = 2

    def __init__(self, change):
        self._change = change

    def transform(self, frames, seed):
        numbers = tf.range(tf.shape(frames)[0])
        changed = tf.reshape(numbers % 2 == 1, (-1, 1, 1, 1, 1))
        examples = tf.where(changed, self._change(frames), frames)
        return Examples(examples, numbers % 2, tf.cast(numbers % 3 != 1, tf.float32))


class RecordedRotation(Rotation):
    """Keeps all examples it made."""

    def __init__(self):
        self.made = []

    def transform(self, frames, seed):
        self.made.append(super().transform(frames, seed))
        return self.made[-1]


def seedless_tasks() -> dict:
    return {
        "mirrored": EverySecond(lambda frames: frames[:, :, :, ::-1]),
        "backwards": EverySecond(lambda frames: frames[:, ::-1]),
    }


def frame_order() -> dict:
    return {"frame_order": tasks.get("frame_order", classes=4)}


def two_tasks() -> dict:
    return {"rotation": tasks.get("rotation")} | frame_order()


@pytest.fixture(autouse=True)
def tiny_trunk(monkeypatch):
    """Adds a trunk of one layer of each kind that the studied one has."""

    def tiny(pixels):
        x = tf.keras.layers.Conv2D(4, 3, activation="relu", name="conv1")(pixels)
        return {"pooled": tf.keras.layers.Flatten(name="flatten")(x)}

    monkeypatch.setitem(trunks.TRUNKS, "tiny", trunks.Trunk(tiny, side=6))


def adam():
    return tf.keras.optimizers.legacy.Adam(LEARNING_RATE, epsilon=ADAM_EPSILON)


def specs(frame_shape, num_actions=NUM_ACTIONS) -> tuple:
    observation = tensor_spec.BoundedTensorSpec(frame_shape, tf.uint8, 0, 255)
    action = tensor_spec.BoundedTensorSpec((), tf.int32, 0, num_actions - 1)
    return ts.time_step_spec(observation), action


def build_model(tasks_found, trunk="tiny", frame_shape=FRAME_SHAPE) -> tf.keras.Model:
    q_head = functools.partial(heads.DuelingHead, NUM_ACTIONS, 8)
    task_heads = {name: task.head for name, task in tasks_found.items()}
    encoder = encoders.encoder(frame_shape, trunk)
    return multi_head.multi_head(encoder, {Q: q_head, **task_heads})


def make_agent(
    mode="alternate",
    tasks_found=None,
    weights=None,
    *,
    trunk="tiny",
    frame_shape=FRAME_SHAPE,
    pretrain_updates=2,
    make_optimizer=adam,
    weights_seed=1,
    **settings,
) -> SelfSupervisedDqnAgent:
    tasks_found = tasks_found or {}
    weights = weights or dict.fromkeys(tasks_found, 1.0)
    tf.keras.utils.set_random_seed(weights_seed)
    return SelfSupervisedDqnAgent(
        *specs(frame_shape),
        build_model=functools.partial(build_model, tasks_found, trunk, frame_shape),
        gradient_steps=gradient_steps(mode, weights, make_optimizer, pretrain_updates),
        tasks=tasks_found,
        gamma=GAMMA,
        **settings,
    )


def make_batch(seed=0, size=6, frame_shape=FRAME_SHAPE) -> Batch:
    generator = np.random.default_rng(seed)
    observations = generator.integers(256, size=(2, size, *frame_shape), dtype=np.uint8)
    return Batch(
        s_t=observations[0],
        a_t=generator.integers(NUM_ACTIONS, size=size, dtype=np.int32),
        r_t=generator.normal(scale=2, size=size).astype(np.float32),
        discount_t=generator.choice(np.float32([0, 1, GAMMA**2]), size),
        s_tpn=observations[1],
        weights=generator.uniform(0.2, 1, size).astype(np.float32),
        rows=np.arange(size),
    )


def minibatch(seed=0, **settings) -> tuple:
    return as_minibatch(make_batch(seed, **settings))


def as_minibatch(batch) -> tuple:
    return tf.nest.map_structure(tf.constant, (transition_of(batch), batch.weights))


# As the learner compiles the updates.
compiled = functools.partial(tf.function, autograph=False)


def target_of(agent) -> tf.keras.Model:
    return agent.checkpointed["target"]


def make_networks_disagree(agent) -> None:
    generator = np.random.default_rng(3)
    weights = target_of(agent).get_weights()
    target_of(agent).set_weights([w + generator.normal(0, 0.2, w.shape) for w in weights])


def weights_by_part(agent) -> dict[str, list[np.ndarray]]:
    """The online network's weights: each head's under its name, and those of the trunk."""
    parts = {"trunk": []}
    for layer in agent.model.layers:
        part = layer.name if layer.name in agent.model.output else "trunk"
        parts.setdefault(part, []).extend(layer.get_weights())
    return parts


def moved_parts(agent, train) -> set[str]:
    before = weights_by_part(agent)
    train()
    after = weights_by_part(agent)
    return {
        part
        for part in before
        if any((old != new).any() for old, new in zip(before[part], after[part], strict=True))
    }


def assert_same_weights(model, other, atol=0.0) -> None:
    for one, two in zip(model.weights, other.weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=atol, err_msg=one.name)


def slots_of(agent) -> list[np.ndarray]:
    return [v.numpy() for step in agent.gradient_steps for v in step.optimizer.variables()]


def white(pixel) -> np.ndarray:
    """An observation of two pixels, one of them white."""
    frames = np.zeros((1, 1, 2, 1), np.uint8)
    frames[0, 0, pixel] = 255
    return frames


def tabular_agent(double_q) -> SelfSupervisedDqnAgent:
    """Its Q values are rows of a table, chosen by the pixel that is white; it does not learn."""

    def build_model():
        frames = tf.keras.Input((1, 1, 2, 1), dtype=tf.uint8)
        pixels = tf.keras.layers.Flatten()(multi_head.FoldTime()(frames))
        table = tf.keras.layers.Dense(2, use_bias=False, name=Q)
        return tf.keras.Model(frames, {Q: table(pixels)})

    agent = SelfSupervisedDqnAgent(
        *specs((1, 1, 2, 1), num_actions=2),
        build_model=build_model,
        gradient_steps=gradient_steps("joint", {}, lambda: tf.keras.optimizers.legacy.SGD(0.0)),
        tasks={},
        double_q=double_q,
        gamma=0.9,
    )
    agent.model.set_weights([np.array([[1.0, 2.0], [0.5, 0.25]])])
    target_of(agent).set_weights([np.array([[7.0, 9.0], [3.0, 5.0]])])
    return agent


# From state 0, whose online values are 1 and 2, to state 1. There the online network prefers action
# 0 and the target network says 3 and 5, so that DQN bootstraps from 5 and double DQN from 3.
TABULAR_BATCH = Batch(
    s_t=np.stack([white(0)] * 3),
    a_t=np.array([1, 0, 0], np.int32),
    r_t=np.array([0.5, 0.5, 1.0], np.float32),
    discount_t=np.array([1.0, 0.0, 0.81], np.float32),  # the last one is of 3 steps
    s_tpn=np.stack([white(1)] * 3),
    weights=np.array([1.0, 0.5, 0.25], np.float32),
    rows=np.arange(3),
)


@pytest.mark.parametrize(
    "double_q, errors, losses",
    [
        # One step:    0.5 + 0.9 * 5          - 2 = 3.0,   beyond 1, so 3.0 - 1/2
        # Terminal:    0.5                    - 1 = -0.5,  within 1, so 0.5**2 / 2
        # Three steps: 1.0 + 0.9 * 0.81 * 5   - 1 = 3.645, beyond 1, so 3.645 - 1/2
        (False, [3.0, -0.5, 3.645], [2.5, 0.125, 3.145]),
        # One step:    0.5 + 0.9 * 3          - 2 = 1.2,   beyond 1, so 1.2 - 1/2
        # Three steps: 1.0 + 0.9 * 0.81 * 3   - 1 = 2.187, beyond 1, so 2.187 - 1/2
        (True, [1.2, -0.5, 2.187], [0.7, 0.125, 1.687]),
    ],
)
def test_td_errors_and_huber_loss_by_hand(double_q, errors, losses):
    agent = tabular_agent(double_q)
    transition, weights = as_minibatch(TABULAR_BATCH)
    unweighted = agent.train(transition)
    assert unweighted.loss.numpy() == pytest.approx(sum(losses) / 3, rel=1e-6)
    # The weights are 1, 1/2 and 1/4; the mean is over all three whatever they are.
    weighted = agent.train(transition, weights)
    expected = (losses[0] + losses[1] / 2 + losses[2] / 4) / 3
    assert weighted.loss.numpy() == pytest.approx(expected, rel=1e-6)
    for info in (unweighted, weighted):
        np.testing.assert_allclose(info.extra.td_error, errors, rtol=1e-6)  # never weighted
        assert info.extra.metrics["loss/q"].numpy() == info.loss.numpy()
        # The values of the actions taken are 2, 1 and 1.
        assert info.extra.metrics["q_values"].numpy() == pytest.approx(4 / 3)


def test_q_loss_is_the_one_tf_agents_computes_of_the_same_agent():
    for double_q in (False, True):
        agent = tabular_agent(double_q)
        arguments = as_minibatch(TABULAR_BATCH)
        theirs = agent.loss(*arguments, gamma=0.9)  # `loss` does not know the agent's own
        ours = agent.train(*arguments)
        np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-6)
        np.testing.assert_allclose(ours.extra.td_error, theirs.extra.td_error, rtol=1e-6)


def copied(build, model) -> tf.keras.Model:
    """A fresh model with the same weights."""
    copy = build()
    copy.set_weights(model.get_weights())
    return copy


def tf_agents_own(agent_class, agent, clip_norm=None, period=1):
    """TF-Agents' agent with the same weights; nothing in it is ours but the network."""
    online, target = (
        MultiHeadNetwork(
            agent.time_step_spec.observation,
            functools.partial(copied, functools.partial(build_model, {}), model),
        )
        for model in (agent.model, target_of(agent))
    )
    return agent_class(
        agent.time_step_spec,
        agent.action_spec,
        q_network=online,
        target_q_network=target,
        optimizer=adam(),
        gamma=GAMMA,
        gradient_clipping=clip_norm,
        target_update_period=period,
    )


TF_AGENTS = [(False, dqn_agent.DqnAgent), (True, dqn_agent.DdqnAgent)]


@pytest.mark.parametrize("double_q, agent_class", TF_AGENTS)
def test_loss_agrees_with_tf_agents(double_q, agent_class):
    agent = make_agent(double_q=double_q)
    make_networks_disagree(agent)
    theirs = tf_agents_own(agent_class, agent)
    # TF-Agents' `loss`, as against its `train`, does not know the agent's own gamma.
    expected = theirs.loss(*minibatch(size=32), gamma=GAMMA)
    info = agent.train(*minibatch(size=32))
    np.testing.assert_allclose(info.loss, expected.loss, rtol=1e-5)
    np.testing.assert_allclose(info.extra.td_error, expected.extra.td_error, atol=1e-5)


@pytest.mark.parametrize("double_q, agent_class", TF_AGENTS)
def test_updates_agree_with_tf_agents(double_q, agent_class):
    agent = make_agent(
        double_q=double_q,
        target_update_period=3,
        clip_gradients=clipper("per_variable", 0.1),
    )
    theirs = tf_agents_own(agent_class, agent, clip_norm=0.1, period=3)
    for update in range(7):
        info = agent.train(*minibatch(update))
        theirs.train(*minibatch(update))
        assert info.extra.metrics["gradient_norm/q"] > 0.2  # there is something to clip
    assert_same_weights(agent.model, theirs._q_network, atol=1e-5)
    assert_same_weights(target_of(agent), theirs._target_q_network, atol=1e-5)


def clipper(clipping, norm):
    return clippers.get(clipping, norm)


class NumpyAdam:
    """Kingma and Ba (2015), arXiv:1412.6980, with the epsilon hat of the end of its section 2."""

    def __init__(self):
        self.moments = {}

    def apply(self, gradients, variables):
        for gradient, variable in zip(gradients, variables, strict=True):
            m, v, t = self.moments.get(id(variable), (0.0, 0.0, 0))
            m, v, t = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2, t + 1
            self.moments[id(variable)] = m, v, t
            rate = LEARNING_RATE * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            variable.assign(variable.numpy() - rate * m / (np.sqrt(v) + ADAM_EPSILON))


class Reference:
    """The agent's updates as plain formulas, on copies of its networks."""

    def __init__(self, agent, build, mode, tasks_found, weights, clipping, clip_norm):
        self.online, self.target = copied(build, agent.model), copied(build, target_of(agent))
        self.mode, self.tasks, self.weights = mode, tasks_found, weights
        self.clipping, self.clip_norm = clipping, clip_norm
        self.adams = {}
        self.updates = 0

    def update(self, batch, pretrain_updates, target_period) -> np.ndarray:
        """Takes an update; returns the TD errors, or NaN where Q is not trained."""
        steps = {
            "alternate": [{Q: 1.0}, self.weights],
            "joint": [{Q: 1.0} | self.weights],
            "pretrain": [self.weights if self.updates < pretrain_updates else {Q: 1.0}],
        }[self.mode]
        td_errors = np.full(len(batch.r_t), np.nan)
        for factors in steps if self.tasks else [{Q: 1.0}]:
            if Q in factors:
                y = self._targets(batch)
                td_errors = y - self._q(batch).numpy()
            else:
                y = None
            self._step(factors, batch, y)
        self.updates += 1
        if self.updates % target_period == 0:
            self.target.set_weights(self.online.get_weights())
        return td_errors

    def _targets(self, batch) -> np.ndarray:
        greedy = self.online(batch.s_tpn)[Q].numpy().argmax(axis=1)
        values = self.target(batch.s_tpn)[Q].numpy()[np.arange(len(greedy)), greedy]
        return batch.r_t + GAMMA * batch.discount_t * values

    def _q(self, batch) -> tf.Tensor:
        return tf.reduce_sum(self.online(batch.s_t)[Q] * tf.one_hot(batch.a_t, NUM_ACTIONS), axis=1)

    def _step(self, factors, batch, y) -> None:
        head_names = {Q, *self.tasks}
        variables = [
            variable
            for layer in self.online.layers
            if layer.name in factors or layer.name not in head_names
            for variable in layer.trainable_weights
        ]
        with tf.GradientTape() as tape:
            total = 0.0
            for name, factor in factors.items():
                loss = self._q_loss(batch, y) if name == Q else self._task_loss(name, batch.s_t)
                total += factor * loss
        gradients = [gradient.numpy() for gradient in tape.gradient(total, variables)]
        optimizer = self.adams.setdefault(tuple(factors), NumpyAdam())
        optimizer.apply(self._clip(gradients), variables)

    def _q_loss(self, batch, y) -> tf.Tensor:
        error = tf.abs(y - self._q(batch))
        return tf.reduce_mean(batch.weights * tf.where(error < 1, error**2 / 2, error - 0.5))

    def _task_loss(self, name, s_t) -> tf.Tensor:
        examples = self.tasks[name].transform(s_t, None)
        probabilities = tf.nn.softmax(self.online(examples.frames)[name])
        answers = tf.gather(probabilities, examples.targets, batch_dims=1)
        return -tf.reduce_mean(tf.math.log(answers[examples.weights > 0]))

    def _clip(self, gradients) -> list[np.ndarray]:
        norms = [np.linalg.norm(gradient) for gradient in gradients]
        if self.clipping == "global":
            norms = [np.linalg.norm(norms)] * len(norms)
        factors = [min(1, self.clip_norm / norm) for norm in norms]
        return [factor * gradient for factor, gradient in zip(factors, gradients, strict=True)]


@pytest.mark.parametrize(
    "mode, tasks_found, clipping",
    [
        ("joint", {}, "per_variable"),
        ("alternate", seedless_tasks(), "per_variable"),
        ("joint", seedless_tasks(), "global"),
        ("pretrain", seedless_tasks(), "global"),
    ],
)
def test_updates_equal_a_plain_reference(mode, tasks_found, clipping):
    compare_with_reference(mode, tasks_found, clipping)


def test_updates_of_the_studied_network_equal_a_plain_reference():
    compare_with_reference(
        "alternate", seedless_tasks(), "per_variable", updates=2, trunk="nature_cnn", side=84
    )


def compare_with_reference(mode, tasks_found, clipping, updates=5, trunk="tiny", side=6):
    weights = {name: 0.5 + 2 * i for i, name in enumerate(tasks_found)}
    frame_shape = (4, side, side, 1)
    agent = make_agent(
        mode,
        tasks_found,
        weights,
        trunk=trunk,
        frame_shape=frame_shape,
        pretrain_updates=2,
        target_update_period=2,
        clip_gradients=clipper(clipping, 0.1),
    )
    make_networks_disagree(agent)
    build = functools.partial(build_model, tasks_found, trunk, frame_shape)
    reference = Reference(agent, build, mode, tasks_found, weights, clipping, clip_norm=0.1)
    train = compiled(agent.train)
    for update in range(updates):
        batch = make_batch(update, frame_shape=frame_shape)
        info = train(*as_minibatch(batch))
        td_errors = reference.update(batch, pretrain_updates=2, target_period=2)
        np.testing.assert_allclose(info.extra.td_error, td_errors, rtol=1e-5, atol=1e-5)
        assert_same_weights(agent.model, reference.online, atol=1e-5)
        assert_same_weights(target_of(agent), reference.target, atol=1e-5)


@pytest.mark.parametrize("mode", ["alternate", "pretrain"])
def test_several_updates_at_once_are_the_same_as_one_after_the_other(mode):
    agents = [make_agent(mode, frame_order(), target_update_period=2) for _ in range(2)]
    for agent in agents:
        make_networks_disagree(agent)
    minibatches = [minibatch(seed, size=8) for seed in range(4)]
    train_several = compiled(agents[0].train_several)
    # The target network is copied amid the three, after the second.
    at_once = [*train_several(minibatches[:3]), *train_several(minibatches[3:])]
    train = compiled(agents[1].train)
    apart = [train(*one) for one in minibatches]
    for one, other in zip(at_once, apart, strict=True):
        np.testing.assert_allclose(one.extra.td_error, other.extra.td_error, atol=1e-5)
        assert one.extra.metrics.keys() == other.extra.metrics.keys()
        for name, value in one.extra.metrics.items():
            np.testing.assert_allclose(value, other.extra.metrics[name], atol=1e-5, err_msg=name)
    assert_same_weights(agents[0].model, agents[1].model, atol=1e-5)
    assert_same_weights(target_of(agents[0]), target_of(agents[1]), atol=1e-5)
    for one, other in zip(slots_of(agents[0]), slots_of(agents[1]), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("mode", ["plain", "joint"])
def test_actions_come_from_the_weights_of_the_last_snapshot(mode):
    agent = make_agent("joint", {} if mode == "plain" else frame_order())
    frames = make_batch(5).s_t
    np.testing.assert_array_equal(agent.acting_model(frames)[Q], agent.model(frames)[Q])
    before = agent.acting_model(frames)[Q].numpy()
    agent.train(*minibatch())
    np.testing.assert_array_equal(agent.acting_model(frames)[Q], before)
    assert not np.allclose(agent.model(frames)[Q], before)
    agent.take_snapshot()
    np.testing.assert_array_equal(agent.acting_model(frames)[Q], agent.model(frames)[Q])
    agent.train(*minibatch())  # the copy has not become the same variables
    assert not np.allclose(agent.acting_model(frames)[Q], agent.model(frames)[Q])


@pytest.mark.parametrize("mode", ["plain", *MODES])
def test_the_reported_metrics_are_those_announced(mode):
    plain = mode == "plain"
    agent = make_agent("joint" if plain else mode, {} if plain else two_tasks())
    info = agent.train(*minibatch())
    assert len(set(agent.metric_names)) == len(agent.metric_names)
    assert set(info.extra.metrics) == set(agent.metric_names)
    assert all(value.shape == () for value in info.extra.metrics.values())
    assert info.extra.td_error.shape == (6,)
    for name in agent.model.output:
        reported = not np.isnan(info.extra.metrics[f"loss/{name}"])
        assert reported == agent.trains_at(name, update=0)


def test_each_step_of_alternate_leaves_the_head_of_the_other_alone():
    agent = make_agent("alternate", two_tasks())
    q_step, task_step = agent.gradient_steps
    task_step.optimizer.learning_rate = 0.0
    moved = moved_parts(agent, lambda: agent.train(*minibatch(0)))
    assert moved == {"trunk", "q"}
    q_step.optimizer.learning_rate, task_step.optimizer.learning_rate = 0.0, LEARNING_RATE
    moved = moved_parts(agent, lambda: agent.train(*minibatch(1)))
    assert moved == {"trunk", "rotation", "frame_order"}


def test_each_step_of_alternate_has_slots_of_its_own():
    agent = make_agent("alternate", two_tasks())
    agent.train(*minibatch())
    q_optimizer, task_optimizer = (step.optimizer for step in agent.gradient_steps)
    heads_of = {name: agent.model.get_layer(name).trainable_weights for name in agent.model.output}
    trunk = agent.model.get_layer("conv1").trainable_weights
    # A first and a second moment for every variable, and the number of steps.
    assert len(q_optimizer.variables()) == 1 + 2 * len(trunk + heads_of["q"])
    assert len(task_optimizer.variables()) == 1 + 2 * len(
        trunk + heads_of["rotation"] + heads_of["frame_order"]
    )
    for variable in trunk:
        one, other = (o.get_slot(variable, "m") for o in (q_optimizer, task_optimizer))
        assert one is not other and np.abs(one - other).max() > 1e-6


def test_pretrain_trains_the_task_alone_and_then_q_alone():
    agent = make_agent("pretrain", frame_order(), pretrain_updates=2)
    train = compiled(agent.train)
    for update, trained in enumerate(["frame_order", "frame_order", "q", "q"]):
        assert [name for name in agent.model.output if agent.trains_at(name, update)] == [trained]
        infos = []
        moved = moved_parts(agent, lambda u=update, i=infos: i.append(train(*minibatch(u))))
        assert moved == {"trunk", trained}
        metrics, td_error = infos[0].extra.metrics, infos[0].extra.td_error
        for name in agent.model.output:
            for kind in ("loss", "gradient_norm"):
                assert np.isfinite(metrics[f"{kind}/{name}"]) == (name == trained)
        finite = np.isfinite(td_error)
        assert finite.all() if trained == "q" else not finite.any()
    # Adam corrects the bias of its moments by the number of its own steps.
    assert [step.optimizer.iterations.numpy() for step in agent.gradient_steps] == [2, 2]


def test_a_task_changes_the_trunk_in_joint_unless_its_weight_is_zero():
    agents = [
        make_agent("joint"),
        *(make_agent("joint", frame_order(), {"frame_order": weight}) for weight in (0.0, 1.0)),
    ]
    for agent in agents:
        for update in range(3):
            agent.train(*minibatch(update))
    plain, zero, one = (agent.model.get_layer("conv1").kernel.numpy() for agent in agents)
    np.testing.assert_allclose(zero, plain, rtol=0, atol=1e-6)
    assert np.abs(one - zero).max() > 1e-3
    plain_head, zero_head = (agent.model.get_layer("q") for agent in agents[:2])
    assert_same_weights(plain_head, zero_head, atol=1e-6)


def test_the_target_network_follows_at_its_period_only():
    agent = make_agent(target_update_period=3)
    assert_same_weights(agent.model, target_of(agent))
    train = compiled(agent.train)
    before = target_of(agent).get_weights()
    for update in range(1, 8):
        train(*minibatch(update))
        if update % 3 == 0:
            assert_same_weights(agent.model, target_of(agent))
            before = target_of(agent).get_weights()
        for old, new in zip(before, target_of(agent).get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
        moved = [
            (online != target).any()
            for online, target in zip(agent.model.get_weights(), before, strict=True)
        ]
        assert all(moved) == any(moved) == (update % 3 != 0)


def test_examples_without_an_answer_teach_nothing():
    agent = make_agent("alternate", two_tasks(), clip_gradients=clipper("global", 1.0))
    agent.gradient_steps[0].optimizer.learning_rate = 0.0
    blank = make_batch()._replace(s_t=np.zeros((6, *FRAME_SHAPE), np.uint8))
    infos = []
    moved = moved_parts(agent, lambda: infos.append(agent.train(*as_minibatch(blank))))
    metrics = infos[0].extra.metrics
    assert moved == set()
    assert metrics["loss/rotation"].numpy() == metrics["loss/frame_order"].numpy() == 0
    assert metrics["gradient_norm/rotation+frame_order"].numpy() == 0


def test_a_task_s_loss_is_the_mean_over_the_examples_with_an_answer():
    agent = make_agent("alternate", {"rotation": tasks.get("rotation")})
    agent.gradient_steps[0].optimizer.learning_rate = 0.0
    # With every logit the same, an answer costs log(4) nats; half of the examples have one.
    head = agent.model.get_layer("rotation")
    head.set_weights([np.zeros_like(weights) for weights in head.get_weights()])
    batch = make_batch()
    batch.s_t[::2] = 0
    metrics = agent.train(*as_minibatch(batch)).extra.metrics
    assert metrics["loss/rotation"].numpy() == pytest.approx(np.log(4))


def examples_of(agent_seed) -> list[Examples]:
    rotation = RecordedRotation()
    agent = make_agent("alternate", {"rotation": rotation}, seed=agent_seed)
    for _ in range(2):
        agent.train(*minibatch(size=32))  # the same minibatch at each update
    return rotation.made


def test_examples_follow_from_the_seed_and_the_update():
    one, again, other = examples_of(5), examples_of(5), examples_of(6)
    assert len(one) == 2
    for left, right in zip(one, again, strict=True):
        for mine, yours in zip(left, right, strict=True):
            np.testing.assert_array_equal(mine, yours)
    for left, right in [*itertools.combinations(one, 2), *zip(one, other, strict=True)]:
        # Of 32 angles drawn anew a quarter is the same by chance; 24 would be 6 deviations off.
        assert np.count_nonzero(left.targets == right.targets) < 24


def test_two_tasks_of_one_update_do_not_draw_the_same_numbers():
    first, second = RecordedRotation(), RecordedRotation()
    agent = make_agent("joint", {"first": first, "second": second})
    agent.train(*minibatch(size=32))
    assert np.count_nonzero(first.made[0].targets == second.made[0].targets) < 24


@pytest.mark.parametrize("clipping", ["per_variable", "global", "off"])
def test_gradients_are_clipped(clipping):
    norm = 0.0 if clipping == "off" else 0.1
    agent = make_agent(
        make_optimizer=lambda: tf.keras.optimizers.legacy.SGD(1.0),
        clip_gradients=clipper("global" if clipping == "off" else clipping, norm),
    )
    before = agent.model.get_weights()
    metrics = agent.train(*minibatch()).extra.metrics
    # With a learning rate of 1 the weights move by the clipped gradients.
    moved = [b - a for b, a in zip(before, agent.model.get_weights(), strict=True)]
    norms = np.array([np.linalg.norm(one) for one in moved])
    reported = metrics["gradient_norm/q"].numpy()  # before it is clipped
    assert reported > 0.5
    if clipping == "off":
        assert np.linalg.norm(norms) == pytest.approx(reported, rel=1e-4)
    elif clipping == "global":
        assert np.linalg.norm(norms) == pytest.approx(0.1, rel=1e-4)
    else:
        assert norms.max() == pytest.approx(0.1, rel=1e-4)
        assert np.count_nonzero(np.isclose(norms, 0.1, rtol=1e-4)) > 1


@pytest.mark.parametrize("mode", ["alternate", "pretrain"])
def test_a_restored_agent_goes_on_as_if_nothing_had_happened(tmp_path, mode):
    # The copy to the target network and the end of pretraining come after the restoring.
    settings = {"target_update_period": 3, "pretrain_updates": 2}
    agents = [make_agent(mode, frame_order(), weights_seed=i, **settings) for i in range(2)]
    train, train_other = (compiled(agent.train) for agent in agents)
    train(*minibatch(0))
    tf.train.Checkpoint(**agents[0].checkpointed).write(str(tmp_path / "tensors"))
    went_on = [train(*minibatch(seed)) for seed in range(1, 4)]
    for seed in range(50, 52):  # none of which may be left
        train_other(*minibatch(seed))
    checkpoint = tf.train.Checkpoint(**agents[1].checkpointed)
    checkpoint.read(str(tmp_path / "tensors")).assert_consumed()
    again = [train_other(*minibatch(seed)) for seed in range(1, 4)]
    for one, repeated in zip(went_on, again, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, one, repeated)
    assert_same_weights(agents[0].model, agents[1].model)
    assert_same_weights(target_of(agents[0]), target_of(agents[1]))
    for one, repeated in zip(slots_of(agents[0]), slots_of(agents[1]), strict=True):
        np.testing.assert_array_equal(one, repeated)


def test_a_fresh_agent_already_has_all_that_a_checkpoint_holds(tmp_path):
    trained, fresh = (make_agent("alternate", frame_order(), weights_seed=i) for i in range(2))
    trained.train(*minibatch())
    tf.train.Checkpoint(**trained.checkpointed).write(str(tmp_path / "tensors"))
    status = tf.train.Checkpoint(**fresh.checkpointed).read(str(tmp_path / "tensors"))
    status.assert_consumed()  # nothing waits for a variable that is yet to be made
    for one, restored in zip(slots_of(trained), slots_of(fresh), strict=True):
        np.testing.assert_array_equal(one, restored)


def test_a_batch_of_the_replay_becomes_a_transition():
    batch = make_batch()
    transition = transition_of(batch)
    assert transition.time_step.observation is batch.s_t
    assert transition.next_time_step.observation is batch.s_tpn
    assert transition.action_step.action is batch.a_t
    np.testing.assert_array_equal(transition.next_time_step.reward, batch.r_t)
    np.testing.assert_array_equal(transition.next_time_step.discount, batch.discount_t)
    # TF-Agents' loss leaves out what begins at LAST; the replay holds no such transition.
    assert not transition.time_step.is_last().any()
