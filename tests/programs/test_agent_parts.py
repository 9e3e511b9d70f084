import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.config import (
    AgentConfig,
    AgentExperiment,
    EnvironmentConfig,
    NetworkConfig,
    ReplayConfig,
    TaskConfig,
)
from tfselfsup.programs import agent_parts
from tfselfsup.rl.ring import FIRST, MID

SEED_NAMES = ["weights", "environment", "exploration", "replay", "tasks", "curve", "evaluation"]
FRAME_SHAPE = (4, 84, 84, 1)


def test_seeds_stay_what_they_are():
    # numpy.random.SeedSequence(0).generate_state(7) >> 2. Other numbers would make every run
    # another one than it was.
    expected = [742202927, 919287289, 186412690, 721230086, 660530000, 137476955, 143593077]
    assert agent_parts.seeds(0) == dict(zip(SEED_NAMES, expected, strict=True))


def test_no_two_parts_and_no_two_runs_share_a_seed():
    drawn = [seed for run in range(50) for seed in agent_parts.seeds(run).values()]
    assert len(set(drawn)) == 50 * len(SEED_NAMES)
    assert all(type(seed) is int and 0 <= seed < 2**30 for seed in drawn)


def test_tasks_are_found_with_their_options():
    settings = AgentConfig(
        tasks=(TaskConfig("frame_order", options={"classes": 6}), TaskConfig("rotation"))
    )
    found = agent_parts.make_tasks(settings.tasks, FRAME_SHAPE, "agent.tasks")
    assert list(found) == ["frame_order", "rotation"]
    assert (found["frame_order"].num_classes, found["rotation"].num_classes) == (6, 4)


def test_a_task_given_twice_is_refused():
    settings = AgentConfig(
        tasks=(TaskConfig("frame_order"), TaskConfig("frame_order", options={"classes": 6}))
    )
    with pytest.raises(ValueError, match="each task once in agent.tasks, got 'frame_order' twice"):
        agent_parts.make_tasks(settings.tasks, FRAME_SHAPE, "agent.tasks")


def test_a_task_that_does_not_suit_the_frames_is_refused():
    with pytest.raises(ValueError, match="'frame_order' needs .* 4 frames"):
        agent_parts.make_tasks((TaskConfig("frame_order"),), (1, 84, 84, 1), "agent.tasks")


@pytest.mark.parametrize(
    ("target_update_period", "update_period", "updates"),
    [(1000, 4, 250), (2000, 4, 500), (1001, 4, 250), (10, 10, 1), (3, 4, 1)],
)
def test_target_period_in_updates(target_update_period, update_period, updates):
    settings = AgentConfig(target_update_period=target_update_period, update_period=update_period)
    assert agent_parts.target_period(settings) == updates


@pytest.mark.parametrize(
    ("num_envs", "update_period", "group"),
    [
        (8, 4, 2),
        (16, 4, 4),
        (12, 5, 2),
        (3, 4, 1),  # fewer than one: they wait until there is one
    ],
)
def test_a_group_is_as_many_updates_as_fall_due_with_a_step_of_all_games(
    num_envs, update_period, group
):
    experiment = AgentExperiment(
        environment=EnvironmentConfig(num_envs=num_envs),
        agent=AgentConfig(update_period=update_period),
    )
    agent = types.SimpleNamespace(train_step_counter=tf.Variable(0))
    learner = agent_parts.make_learner(experiment, agent, None)
    learner.close()
    assert learner.group == group


def test_the_random_agent_takes_every_action_equally_often():
    games = types.SimpleNamespace(num_actions=6)
    policy = agent_parts.random_policy(AgentExperiment(), games)
    actions = policy(np.zeros((6000, *FRAME_SHAPE[:1])))
    counts = np.bincount(actions, minlength=6)
    # Each count is binomial with mean 1000 and deviation 29.
    assert counts.shape == (6,) and (abs(counts - 1000) < 150).all()


def test_the_random_agent_follows_the_seed():
    def actions(seed):
        games = types.SimpleNamespace(num_actions=6)
        policy = agent_parts.random_policy(AgentExperiment(seed=seed), games)
        return [policy(np.zeros((20, 4))).tolist() for _ in range(2)]

    assert actions(3) == actions(3)
    assert actions(3) != actions(4)
    assert actions(3)[0] != actions(3)[1]


def frames_of(environment) -> np.ndarray:
    """The frames of the first slot in a fixed play."""
    actions = np.random.default_rng(0).integers(6, size=60)
    environment.reset()
    played = [
        environment.step(np.full(environment.batch_size, action)).observation[0]
        for action in actions
    ]
    environment.close()
    return np.array(played)


def test_stickiness_is_that_of_the_settings_unless_it_is_given():
    plain = EnvironmentConfig(num_envs=1)
    sticky = dataclasses.replace(plain, repeat_action_probability=0.9)
    make = agent_parts.make_environment
    never, often = frames_of(make(plain, 3)), frames_of(make(sticky, 3))
    assert (never != often).any()
    # 0 is given, too: scores are without stickiness where it was trained with.
    np.testing.assert_array_equal(frames_of(make(sticky, 3, repeat_action_probability=0.0)), never)
    np.testing.assert_array_equal(frames_of(make(plain, 3, repeat_action_probability=0.9)), often)


def test_the_games_are_those_of_the_settings_unless_their_number_is_given():
    settings = EnvironmentConfig("breakout", num_envs=3, max_episode_steps=7, frame_skip=2)
    environment = agent_parts.make_environment(settings, 0)
    assert environment.batch_size == 3
    assert environment.num_actions == 4  # of Breakout
    environment.reset()
    lasts = [environment.step(np.zeros(3, int)).is_last().all() for _ in range(7)]
    assert lasts == 6 * [False] + [True]
    frame_number = environment.get_info()["episode_frame_number"]
    assert environment.frame_skip == 2 and (frame_number >= 14).all()
    assert agent_parts.make_environment(settings, 0, num_envs=2).batch_size == 2


@pytest.fixture(scope="module")
def game():
    environment = agent_parts.make_environment(EnvironmentConfig(num_envs=1), 0)
    yield environment
    environment.close()


def experiment_with_tasks(**settings) -> AgentExperiment:
    agent = AgentConfig(tasks=(TaskConfig("rotation"),))
    return AgentExperiment(agent=agent, network=NetworkConfig(hidden_units=4), **settings)


@pytest.mark.parametrize(
    ("dueling", "parameters"),
    [
        # 3136 features, 4 hidden units and 6 actions; dueling has two streams and a value.
        (False, 3136 * 4 + 4 + 4 * 6 + 6),
        (True, 3136 * 8 + 8 + 4 * 6 + 6 + 4 * 1 + 1),
    ],
)
def test_the_network_has_the_q_head_of_the_settings_and_a_head_for_each_task(
    game, dueling, parameters
):
    experiment = AgentExperiment(network=NetworkConfig(dueling=dueling, hidden_units=4))
    found = agent_parts.make_tasks((TaskConfig("rotation"),), FRAME_SHAPE, "agent.tasks")
    model = agent_parts.make_model(experiment, game, found)
    assert model.input_shape == (None, *FRAME_SHAPE)
    assert {name: output.shape[1] for name, output in model.output.items()} == {
        "q": 6,
        "rotation": 4,
    }
    assert model.get_layer("q").count_params() == parameters


def test_an_agents_weights_depend_on_the_seed_only(game):
    def weights(seed):
        model = agent_parts.make_agent(experiment_with_tasks(seed=seed), game).model
        return np.concatenate([weight.ravel() for weight in model.get_weights()])

    first = weights(1)
    tf.random.normal([3])  # draws from the global generator, which must not matter
    np.testing.assert_array_equal(weights(1), first)
    other = weights(2)
    assert (first != other).mean() > 0.9  # all but the biases, which begin at zero


def test_an_agent_takes_the_gradient_steps_of_its_mode(game):
    experiment = experiment_with_tasks()
    settings = dataclasses.replace(
        experiment.agent,
        mode="pretrain",
        pretrain_updates=3,
        tasks=(TaskConfig("rotation", weight=0.5),),
        learning_rate=3e-4,
        adam_epsilon=2e-5,
    )
    agent = agent_parts.make_agent(dataclasses.replace(experiment, agent=settings), game)
    steps = [
        (dict(step.weights), step.first_update, step.end_update) for step in agent.gradient_steps
    ]
    assert steps == [({"rotation": 0.5}, 0, 3), ({"q": 1.0}, 3, None)]
    optimizers = [step.optimizer for step in agent.gradient_steps]
    assert optimizers[0] is not optimizers[1]
    for optimizer in optimizers:
        config = optimizer.get_config()
        assert (config["learning_rate"], config["epsilon"]) == pytest.approx((3e-4, 2e-5))


def rewards_of_one(experiment):
    """A replay memory of one game with reward 1 at each of 12 steps."""
    memory = agent_parts.make_replay(experiment)
    for t in range(12):
        frame = np.full((1, 84, 84), t + 1, np.uint8)
        step_type = [FIRST if t == 0 else MID]
        memory.append(frame, np.array(step_type), np.array([0]), np.array([1.0]), np.array([1.0]))
    return memory


def test_the_replay_memory_has_the_agents_return():
    experiment = AgentExperiment(
        environment=EnvironmentConfig(num_envs=1), agent=AgentConfig(n_step=3, gamma=0.5)
    )
    batch = rewards_of_one(experiment).sample(8)
    np.testing.assert_allclose(batch.r_t, 1.75)  # 1 + 0.5 + 0.25
    np.testing.assert_allclose(batch.discount_t, 0.25)  # the learner multiplies by one gamma more


def test_the_replay_memory_samples_as_the_settings_say():
    def weights(sampling):
        replay = ReplayConfig(sampling=sampling, capacity=100, alpha=1.0, beta_initial=1.0)
        environment = EnvironmentConfig(num_envs=1)
        memory = rewards_of_one(AgentExperiment(environment=environment, replay=replay))
        rows = np.unique(memory.sample(64).rows)
        memory.update_priorities(rows, np.arange(1.0, len(rows) + 1))
        return memory.sample(64).weights

    np.testing.assert_array_equal(weights("uniform"), 1)
    # Priorities 1 to 11 and exponents 1: the weight of priority p is 1 / p.
    assert len(np.unique(weights("prioritised"))) > 3


def test_the_replay_memory_is_as_large_as_the_settings_say():
    experiment = AgentExperiment(
        environment=EnvironmentConfig(num_envs=3), replay=ReplayConfig(capacity=100)
    )
    assert agent_parts.make_replay(experiment).capacity == 99  # 33 steps of each game
