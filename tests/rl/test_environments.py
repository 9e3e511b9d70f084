import numpy as np
import pytest

from tfselfsup.rl.environments import AtariEnvironment

FIRST, MID, LAST = 0, 1, 2


def make_environment(game="pong", num_envs=2, **settings) -> AtariEnvironment:
    return AtariEnvironment(game, num_envs, **{"seed": 3, "num_threads": 1} | settings)


def random_actions(environment, steps, seed=0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shape = (steps, environment.batch_size)
    return generator.integers(environment.action_spec().maximum + 1, size=shape)


def play(environment, actions) -> list:
    """The time steps of reset() and of every action."""
    return [environment.reset(), *(environment.step(action) for action in actions)]


def assert_same_games(one, other) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        for name in left._fields:
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_specs_and_time_steps_agree():
    environment = make_environment(num_envs=3)
    assert environment.batched and environment.batch_size == 3
    specs = environment.time_step_spec()
    for time_step in play(environment, random_actions(environment, 2)):
        for name, spec in specs._asdict().items():
            values = getattr(time_step, name)
            assert (values.shape, values.dtype) == ((3, *spec.shape), spec.dtype), name
    assert environment.num_actions == 6  # of the console's 18
    assert environment.action_spec().maximum == 5


def test_cut_off_games_go_from_last_to_first_and_keep_their_discount():
    environment = make_environment("breakout", max_episode_steps=20)
    steps = play(environment, random_actions(environment, 70))
    step_types = np.array([step.step_type for step in steps])
    # A FIRST and 20 steps are 21 rows.
    expected = np.tile([FIRST] + [MID] * 19 + [LAST], 4)[:71]
    np.testing.assert_array_equal(step_types, np.stack([expected] * 2, axis=1))
    np.testing.assert_array_equal([step.discount for step in steps], np.ones((71, 2)))
    assert not np.array([step.reward for step in steps])[step_types == FIRST].any()


@pytest.fixture(scope="module")
def breakout():
    """Random play until every slot has lost a whole game, with the lives after every step."""
    environment = make_environment("breakout", num_envs=3, seed=1)
    actions = random_actions(environment, 3000)
    steps, lives = [environment.reset()], [environment.get_info()["lives"]]
    ended = np.zeros(3, int)
    for action in actions:
        steps.append(environment.step(action))
        lives.append(environment.get_info()["lives"])
        ended += steps[-1].is_last()
        if (ended >= 2).all():
            return steps, np.array(lives)
    raise AssertionError(f"expected two games in each slot, got {ended}")


def test_discount_is_zero_where_a_game_ends_and_only_there(breakout):
    steps, _ = breakout
    for step in steps:
        np.testing.assert_array_equal(step.discount, np.where(step.is_last(), 0, 1))


def test_first_follows_last_with_reward_zero(breakout):
    steps, _ = breakout
    assert steps[0].is_first().all()
    for before, step in zip(steps, steps[1:], strict=False):
        np.testing.assert_array_equal(step.is_first(), before.is_last())
        assert not step.reward[step.is_first()].any()


def test_a_lost_life_ends_nothing(breakout):
    steps, lives = breakout
    lost = 0
    for t in range(1, len(steps)):
        one_less = lives[t] == lives[t - 1] - 1
        np.testing.assert_array_equal(steps[t].is_last(), one_less & (lives[t] == 0))
        lost += one_less.sum()
    assert lost >= 3 * 2 * 5  # two games of five lives in each of three slots


def test_stacks_begin_with_zeros_and_then_shift(breakout):
    steps, _ = breakout
    begun = 0
    for before, step in zip([None, *steps], steps, strict=False):
        for slot in np.flatnonzero(step.is_first()):
            assert not step.observation[slot, :3].any()
            assert step.observation[slot, 3].any()
            begun += 1
        for slot in np.flatnonzero(~step.is_first()):
            np.testing.assert_array_equal(step.observation[slot, :3], before.observation[slot, 1:])
    assert begun >= 6


def test_rewards_are_those_of_the_game():
    environment = make_environment("ms_pacman", seed=0)
    rewards = [step.reward for step in play(environment, random_actions(environment, 300))]
    assert np.max(rewards) >= 10  # a pill


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_same_seed_same_games_whatever_the_threads(sticky):
    settings = {"num_envs": 4, "repeat_action_probability": sticky, "max_episode_steps": 25}
    environments = [
        make_environment(seed=seed, num_threads=threads, **settings)
        for seed, threads in ((3, 1), (3, 2), (4, 1))
    ]
    actions = random_actions(environments[0], 60)
    games = [play(environment, actions) for environment in environments]
    assert_same_games(games[0], games[1])
    assert any(
        (one.observation != other.observation).any()
        for one, other in zip(games[0], games[2], strict=True)
    )
    # The slots differ from each other, too: by their no-op starts.
    assert (games[0][30].observation[0] != games[0][30].observation[1]).any()


def test_a_slot_plays_alike_whatever_the_number_of_slots():
    few, many = make_environment(num_envs=2), make_environment(num_envs=4)
    np.testing.assert_array_equal(few.seeds, many.seeds[:2])
    actions = random_actions(many, 30)
    for left, right in zip(play(few, actions[:, :2]), play(many, actions), strict=True):
        np.testing.assert_array_equal(left.observation, right.observation[:2])


def test_several_numbers_make_a_seed():
    seeds = [make_environment(seed=seed).seeds for seed in ((3, 0), (3, 1000), (3, 1000))]
    assert (seeds[0] != seeds[1]).all()
    np.testing.assert_array_equal(seeds[1], seeds[2])


def test_reset_starts_anew():
    environment = make_environment(repeat_action_probability=0.25, max_episode_steps=25)
    actions = random_actions(environment, 40)
    games = play(environment, actions)
    assert_same_games(games, play(environment, actions))
    environment.send(actions[0])  # and also while a step is under way
    assert_same_games(games, play(environment, actions))


def test_send_and_recv_equal_step():
    environment = make_environment(max_episode_steps=20)
    actions = random_actions(environment, 50)
    games = play(environment, actions)
    asynchronous = [environment.reset()]
    for action in actions:
        environment.send(action)
        asynchronous.append(environment.recv())
        assert environment.current_time_step() is asynchronous[-1]
    assert_same_games(games, asynchronous)


def test_time_steps_are_not_overwritten():
    environment = make_environment(max_episode_steps=20)
    steps, copies = [], []
    for step in (environment.reset(), *map(environment.step, random_actions(environment, 50))):
        steps.append(step)
        copies.append(type(step)(*(part.copy() for part in step)))
    environment.reset()
    environment.step(np.zeros(2, int))
    assert_same_games(steps, copies)


def test_order_of_calls():
    environment = make_environment()
    with pytest.raises(RuntimeError, match="must follow"):
        environment.send(np.zeros(2, int))
    environment.reset()
    with pytest.raises(RuntimeError, match="must follow"):
        environment.recv()
    environment.send(np.zeros(2, int))
    with pytest.raises(RuntimeError, match="must follow"):
        environment.send(np.zeros(2, int))
    assert environment.recv().observation.shape == (2, 4, 84, 84, 1)


@pytest.mark.parametrize("actions", [[0], [0, 6], [-1, 0], [[0, 0]], [0, 0, 0]])
def test_bad_actions(actions):
    environment = make_environment()
    environment.reset()
    with pytest.raises(ValueError, match="expected 2 actions from 0 to 5, got"):
        environment.send(np.array(actions))
    environment.step(np.zeros(2, int))  # it still works


@pytest.mark.parametrize("sticky", [0.0, 0.25])
@pytest.mark.parametrize("frame_skip, noop_max", [(4, 30), (3, 0)])
@pytest.mark.parametrize("game", ["pong", "breakout"])
def test_the_colour_emulator_plays_the_same_game(game, frame_skip, noop_max, sticky):
    environment = make_environment(
        game,
        frame_skip=frame_skip,
        noop_max=noop_max,
        repeat_action_probability=sticky,
        max_episode_steps=300,
    )
    screen = environment.colour_emulator()
    frames, info = screen.reset(seed=environment.seeds[:1])
    assert frames.shape == (1, 1, 210, 160, 3) and frames.dtype == np.uint8
    assert (frames[..., 0] != frames[..., 2]).any()
    environment.reset()
    rewards = 0
    for action in random_actions(environment, 300):
        step = environment.step(action)
        reward, ended = 0, False
        for _ in range(frame_skip):
            if not ended:
                _, gained, terminated, truncated, info = screen.step(action[:1].astype(np.int32))
                reward, ended = reward + gained[0], bool(terminated[0] | truncated[0])
        assert (reward, ended) == (step.reward[0], step.is_last()[0])
        assert info["lives"][0] == environment.get_info()["lives"][0]
        rewards += reward
        if ended:
            break
    # Points are lost in Pong, and lives in Breakout.
    assert ended and (rewards or info["lives"][0] < 5)


@pytest.mark.parametrize(
    "setting, value",
    [
        ("num_envs", 0),
        ("noop_max", -1),
        ("frame_skip", 0),
        ("repeat_action_probability", 1.5),
        ("repeat_action_probability", float("nan")),
        ("max_episode_steps", 0),
    ],
)
def test_bad_ranges(setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be from .*, got {value}$"):
        make_environment(**{setting: value})
