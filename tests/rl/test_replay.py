import json

import numpy as np
import pytest

from tfselfsup.rl import ring
from tfselfsup.rl.replay import Replay
from tfselfsup.rl.ring import FIRST, LAST, MID
from tfselfsup.rl.samplers import PrioritisedSampler, Sampler, UniformSampler

NUM_ENVS = 3
FRAME_SHAPE = (2, 2)
GAMMA = 0.9


class EveryRow(Sampler):
    """Draws each startable row once, and checks that it heard of each change."""

    def allocate(self, num_rows):
        self.rows = set()

    def add(self, rows):
        assert self.rows.isdisjoint(rows.tolist())
        self.rows.update(rows.tolist())

    def remove(self, rows):
        assert self.rows.issuperset(rows.tolist())
        self.rows.difference_update(rows.tolist())

    def draw(self, startable, batch_size, generator):
        rows = np.flatnonzero(startable)
        assert self.rows == set(rows.tolist())
        assert batch_size == rows.size
        return rows, np.ones(rows.size, np.float32)


class Games:
    """Random streams of steps with episodes of 1 to 12 steps, and all they ever were."""

    def __init__(self, seed: int):
        self.generator = np.random.default_rng(seed)
        self.slots = [[] for _ in range(NUM_ENVS)]

    def step(self) -> dict:
        rows = [self._next(slot) for slot in range(NUM_ENVS)]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def end_episodes(self):
        for slot in self.slots:
            slot[-1]["step_types"] = LAST

    def _next(self, slot: int) -> dict:
        past, generator = self.slots[slot], self.generator
        begins = not past or past[-1]["step_types"] == LAST
        ends = not begins and generator.random() < (0.5 if len(past) % 4 else 0.1)
        terminates_or_loses_a_life = not begins and generator.random() < (0.5 if ends else 0.15)
        t = len(past)
        row = {
            # Unique, and never zero as the padding is.
            "frames": np.array([[t % 256, t // 256], [slot, 255]], np.uint8),
            "step_types": FIRST if begins else LAST if ends else MID,
            "actions": generator.integers(18),
            "rewards": 0.0 if begins else generator.normal(),
            "discounts": 0.0 if terminates_or_loses_a_life else 1.0,
        }
        past.append(row)
        return row.copy()


def naive_observation(rows: list[dict], t: int, stack: int) -> np.ndarray:
    frames = []
    for k in range(stack):
        frames.insert(0, rows[t - k]["frames"])
        if rows[t - k]["step_types"] == FIRST:
            break
    padding = [np.zeros(FRAME_SHAPE, np.uint8)] * (stack - len(frames))
    return np.array(padding + frames)[..., np.newaxis]


def naive_transition(rows: list[dict], t: int, stack: int, n_step: int) -> dict | None:
    """The transition that starts at row t, or None if it is not complete or does not exist."""
    if rows[t]["step_types"] == LAST:
        return None
    r_t, scale = 0.0, 1.0
    for m in range(1, n_step + 1):
        if t + m == len(rows):
            return None
        arrived = rows[t + m]
        r_t += scale * arrived["rewards"]
        discount_t = scale * arrived["discounts"]
        scale *= GAMMA * arrived["discounts"]
        if arrived["step_types"] == LAST:
            break
    return {
        "s_t": naive_observation(rows, t, stack),
        "a_t": rows[t]["actions"],
        "r_t": r_t,
        "discount_t": discount_t,
        "s_tpn": naive_observation(rows, t + m, stack),
    }


def naive_transitions(games: Games, length: int, stack: int, n_step: int) -> dict:
    """All transitions that can be sampled, by slot and step."""
    steps = len(games.slots[0])
    oldest = 0 if steps <= length else steps - length + stack - 1
    transitions = {
        (slot, t): naive_transition(rows, t, stack, n_step)
        for slot, rows in enumerate(games.slots)
        for t in range(oldest, steps)
    }
    return {key: value for key, value in transitions.items() if value}


def make_replay(sampler, length=23, **settings) -> Replay:
    settings = {"stack": 4, "n_step": 3, "gamma": GAMMA, "seed": 7} | settings
    return Replay(
        capacity=NUM_ENVS * length,
        num_envs=NUM_ENVS,
        frame_shape=FRAME_SHAPE,
        sampler=sampler,
        **settings,
    )


def play(replay: Replay, games: Games, steps: int) -> None:
    for _ in range(steps):
        replay.append(**games.step())


def assert_equal_samples(one: Replay, other: Replay, batches: int = 5) -> None:
    for _ in range(batches):
        batch = one.sample(16)
        for name, part in other.sample(16)._asdict().items():
            np.testing.assert_array_equal(getattr(batch, name), part, err_msg=name)


@pytest.mark.parametrize("stack", [1, 4])
@pytest.mark.parametrize("n_step", [1, 3, 5])
# 23 steps make 7 rounds of the ring; stack + n_step is the shortest there can be.
@pytest.mark.parametrize("shortest", [False, True])
def test_every_transition_agrees_with_a_list_of_everything(stack, n_step, shortest):
    length = stack + n_step if shortest else 23
    replay = make_replay(EveryRow(), length, stack=stack, n_step=n_step)
    games = Games(seed=n_step)
    compared = 0
    for step in range(160):
        replay.append(**games.step())
        if step % 29 == 28:
            replay.end_episodes()
            games.end_episodes()
        expected = naive_transitions(games, length, stack, n_step)
        assert replay.num_startable == len(expected)
        assert len(replay) == NUM_ENVS * min(step + 1, length)
        if not expected:
            continue
        batch = replay.sample(len(expected))
        for i, (low, high, slot) in enumerate(batch.s_t[:, -1, [0, 0, 1], [0, 1, 0], 0]):
            transition = expected.pop((slot, int(low) + 256 * int(high)))
            np.testing.assert_array_equal(batch.s_t[i], transition["s_t"])
            np.testing.assert_array_equal(batch.s_tpn[i], transition["s_tpn"])
            assert batch.a_t[i] == transition["a_t"]
            assert batch.r_t[i] == pytest.approx(transition["r_t"], rel=1e-5, abs=1e-6)
            assert batch.discount_t[i] == pytest.approx(transition["discount_t"], rel=1e-6)
            compared += 1
        assert not expected  # every one was found
    # The shortest ring with n_step = 1 has one row a slot to compare at each of the 160 steps, and
    # about a quarter of those are LAST.
    assert compared > 160 * NUM_ENVS / 2


def test_batch_types():
    replay = make_replay(PrioritisedSampler())
    play(replay, Games(0), 10)
    batch = replay.sample(8)
    assert {name: (part.shape, part.dtype) for name, part in batch._asdict().items()} == {
        "s_t": ((8, 4, 2, 2, 1), np.uint8),
        "a_t": ((8,), np.int32),
        "r_t": ((8,), np.float32),
        "discount_t": ((8,), np.float32),
        "s_tpn": ((8, 4, 2, 2, 1), np.uint8),
        "weights": ((8,), np.float32),
        "rows": ((8,), np.int64),
    }
    # TensorFlow gets them without a copy by NumPy.
    for observations in (batch.s_t, batch.s_tpn):
        assert observations.transpose(ring.MEMORY_ORDER).flags.c_contiguous
        there_and_back = observations.transpose(ring.MEMORY_ORDER).transpose(ring.LOGICAL_ORDER)
        np.testing.assert_array_equal(there_and_back, observations)


def test_batches_share_no_memory_with_the_replay():
    replay, games = make_replay(UniformSampler()), Games(0)
    play(replay, games, 30)
    batch = replay.sample(16)
    copies = [part.copy() for part in batch]
    play(replay, games, 30)
    replay.sample(16)
    for part, copy in zip(batch, copies, strict=True):
        np.testing.assert_array_equal(part, copy)


@pytest.mark.parametrize("sampler", [UniformSampler, PrioritisedSampler])
def test_same_seed_same_samples(sampler):
    replays = [make_replay(sampler(), seed=seed) for seed in (1, 1, 2)]
    for replay in replays:
        play(replay, Games(0), 40)
    assert_equal_samples(replays[0], replays[1])
    assert not np.array_equal(replays[0].sample(16).rows, replays[2].sample(16).rows)


def test_uniform_sampling_reaches_every_transition_equally_often():
    replay = make_replay(UniformSampler())
    play(replay, Games(0), 60)
    rows, counts = np.unique(replay.sample(20_000).rows, return_counts=True)
    assert rows.size == replay.num_startable
    expected = 20_000 / rows.size
    chi_square = ((counts - expected) ** 2 / expected).sum()
    # Its mean is rows - 1, its variance 2 * (rows - 1).
    assert abs(chi_square - (rows.size - 1)) < 4 * np.sqrt(2 * (rows.size - 1))


def test_priorities_are_those_of_the_rows_sampled():
    replay = make_replay(PrioritisedSampler(alpha=1.0, epsilon=1e-3))
    play(replay, Games(0), 60)
    rows = np.unique(replay.sample(1000).rows)
    assert rows.size == replay.num_startable
    errors = np.where(np.arange(rows.size) % 2, -3.0, 1.0)
    replay.update_priorities(rows, errors)
    drawn, counts = np.unique(replay.sample(20_000).rows, return_counts=True)
    np.testing.assert_array_equal(drawn, rows)
    np.testing.assert_allclose(
        counts / 20_000, np.abs(errors) / np.abs(errors).sum(), rtol=0.02, atol=1e-4
    )


def test_priorities_of_overwritten_rows_are_ignored():
    sampler = PrioritisedSampler()
    replay, games = make_replay(sampler), Games(0)
    play(replay, games, 40)
    rows = np.unique(replay.sample(1000).rows)
    play(replay, games, 9)
    before = sampler.state()["priorities"].copy()
    replay.update_priorities(rows, np.full(rows.size, 100.0))
    after = sampler.state()["priorities"]
    np.testing.assert_array_equal(after > 0, before > 0)
    assert np.count_nonzero(after) == replay.num_startable
    gone = before[rows] == 0
    assert gone.any() and (after[rows[~gone]] > 15).all()  # 100**0.6 is 15.8


def test_anneal_reaches_the_sampler():
    sampler = PrioritisedSampler(beta_initial=0.5, beta_final=0.7)
    make_replay(sampler).anneal(0.5)
    assert sampler.beta == pytest.approx(0.6)


def test_nothing_crosses_the_end_of_episodes():
    replay = make_replay(EveryRow(), length=40, n_step=5)

    def append(t, step_type):
        frames = np.full((NUM_ENVS, *FRAME_SHAPE), t, np.uint8)
        replay.append(frames, [step_type] * NUM_ENVS, [0] * NUM_ENVS, [t] * NUM_ENVS, [1.0] * 3)

    replay.end_episodes()  # nothing to end
    for t in range(1, 9):
        append(t, FIRST if t == 1 else MID)
    assert replay.num_startable == NUM_ENVS * 3  # rows 1 to 3 are followed by 5 more
    replay.end_episodes()
    assert replay.num_startable == NUM_ENVS * 7  # all but the newest
    with pytest.raises(ValueError, match="FIRST"):
        append(9, MID)
    for t in range(101, 109):
        append(t, FIRST if t == 101 else MID)
    batch = replay.sample(replay.num_startable)
    newest, reached = batch.s_t[:, -1, 0, 0, 0], batch.s_tpn[:, -1, 0, 0, 0]
    assert set(newest) == {1, 2, 3, 4, 5, 6, 7, 101, 102, 103}
    for observations, now in ((batch.s_t, newest), (batch.s_tpn, reached)):
        sides = observations[:, :, 0, 0, 0] > 100
        empty = observations[:, :, 0, 0, 0] == 0
        assert ((sides == (now > 100)[:, np.newaxis]) | empty).all()
    np.testing.assert_array_equal(
        reached, np.where(newest < 100, np.minimum(newest + 5, 8), newest + 5)
    )
    # From 6 only the rewards 7 and 8 are left, and bootstrapping goes on at row 8.
    np.testing.assert_allclose(batch.r_t[newest == 6], 7 + GAMMA * 8, rtol=1e-6)
    np.testing.assert_allclose(batch.discount_t[newest == 6], GAMMA, rtol=1e-6)


@pytest.mark.parametrize("sampler", [UniformSampler, PrioritisedSampler])
@pytest.mark.parametrize("steps", [0, 12, 23, 57])
def test_saved_and_loaded_goes_on_alike(tmp_path, sampler, steps):
    replay, games = make_replay(sampler()), Games(0)
    play(replay, games, steps)
    if steps:
        batch = replay.sample(16)
        replay.update_priorities(batch.rows, np.linspace(-2, 9, 16))
    replay.save(tmp_path / "new")
    loaded = make_replay(sampler(), seed=99)
    play(loaded, Games(1), 31)  # none of which may be left
    loaded.load(tmp_path / "new")
    assert (len(loaded), loaded.num_startable) == (len(replay), replay.num_startable)
    if steps:
        assert_equal_samples(replay, loaded)
    for _ in range(30):
        rows = games.step()
        replay.append(**rows)
        loaded.append(**rows)
    assert_equal_samples(replay, loaded)


def test_only_rows_in_use_are_saved(tmp_path):
    replay, games = make_replay(UniformSampler()), Games(0)
    play(replay, games, 5)
    replay.save(tmp_path)
    assert np.load(tmp_path / "frames.npy").shape == (NUM_ENVS * 5, *FRAME_SHAPE)
    play(replay, games, 50)
    replay.save(tmp_path)
    assert np.load(tmp_path / "frames.npy").shape == (NUM_ENVS * 23, *FRAME_SHAPE)


def test_loading_what_does_not_fit(tmp_path):
    saved = make_replay(UniformSampler())
    play(saved, Games(0), 12)
    saved.save(tmp_path)
    for other, message in [
        (make_replay(UniformSampler(), length=24), "length must be 23, as in .*, got 24"),
        (make_replay(UniformSampler(), stack=3), "stack must be 4, as in .*, got 3"),
        (make_replay(UniformSampler(), n_step=1), "n_step must be 3, as in .*, got 1"),
        (make_replay(UniformSampler(), gamma=0.5), "gamma must be 0.9, as in .*, got 0.5"),
        (make_replay(PrioritisedSampler()), "sampler must be UniformSampler, as in .*, got Prio"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            other.load(tmp_path)
        assert "\n" not in str(error.value)

    other, twin = make_replay(UniformSampler()), make_replay(UniformSampler())
    for replay in (other, twin):
        play(replay, Games(1), 10)
    np.save(tmp_path / "rewards.npy", np.zeros(1, np.float32))
    with pytest.raises(ValueError, match=r"rewards.npy must hold float32 \(36,\), got float32 \(1"):
        other.load(tmp_path)
    (tmp_path / "rewards.npy").unlink()
    with pytest.raises(FileNotFoundError, match="rewards.npy"):
        other.load(tmp_path)
    assert_equal_samples(other, twin)  # the failures have left it unchanged


def test_saved_files_are_plain(tmp_path):
    replay = make_replay(PrioritisedSampler())
    play(replay, Games(0), 12)
    replay.save(tmp_path)
    assert json.loads((tmp_path / "replay.json").read_text())["steps"] == 12
    for path in tmp_path.glob("*.npy"):
        assert np.load(path, allow_pickle=False).dtype != object


def test_bad_input():
    for settings, message in [
        ({"length": 6}, r"at least num_envs \* \(stack \+ n_step\) = 21, got 18"),
        ({"n_step": 0}, "must be at least 1, got 3, 4, 0"),
        ({"stack": 0}, "must be at least 1, got 3, 0, 3"),
        ({"gamma": 0}, r"gamma must lie in \(0, 1\], got 0"),
        ({"gamma": 1.01}, r"gamma must lie in \(0, 1\], got 1.01"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_replay(UniformSampler(), **settings)

    replay, games = make_replay(PrioritisedSampler()), Games(0)
    with pytest.raises(ValueError, match="no transition is complete in 0 rows; append more first"):
        replay.sample(4)
    with pytest.raises(ValueError, match="frames must have shape"):
        replay.append(**games.step() | {"frames": np.zeros((3, 84, 84), np.uint8)})
    replay, games = make_replay(PrioritisedSampler()), Games(0)
    play(replay, games, 20)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        replay.sample(0)
    with pytest.raises(ValueError, match=r"td_errors must have shape \(4,\), got \(4, 1\)"):
        replay.update_priorities(replay.sample(4).rows, np.zeros((4, 1)))
    with pytest.raises(ValueError, match="TD errors must be finite"):
        replay.update_priorities(replay.sample(4).rows, np.full(4, np.inf))


def test_capacity_is_rounded_down_to_whole_steps():
    replay = Replay(
        capacity=32, num_envs=3, frame_shape=FRAME_SHAPE, sampler=UniformSampler(), seed=0
    )
    assert (replay.capacity, len(replay)) == (30, 0)
    play(replay, Games(0), 20)
    assert (replay.capacity, len(replay)) == (30, 30)


def test_stacks_are_what_the_emulator_gave():
    vector_env = pytest.importorskip("ale_py.vector_env")
    env = vector_env.AtariVectorEnv(
        "pong",
        num_envs=2,
        reward_clipping=False,
        autoreset_mode="NextStep",
        max_num_frames_per_episode=160,
    )
    generator = np.random.default_rng(0)
    length, n_step = 150, 3
    replay = Replay(
        capacity=2 * length, num_envs=2, n_step=n_step, gamma=GAMMA, sampler=EveryRow(), seed=0
    )
    observed, step_types = [], []
    observation, _ = env.reset(seed=0)
    step_type, reward, discount = np.full(2, FIRST), np.zeros(2), np.ones(2)
    for _ in range(400):
        observed.append(observation.copy())
        step_types.append(step_type)
        action = generator.integers(6, size=2)
        replay.append(observation[:, -1], step_type, action, reward, discount)
        observation, reward, terminated, truncated, _ = env.step(action)
        ended = terminated | truncated
        step_type = np.where(step_type == LAST, FIRST, np.where(ended, LAST, MID))
        discount = 1.0 - terminated
    env.close()
    assert (np.array(step_types) == LAST).sum() >= 10

    batch = replay.sample(replay.num_startable)
    # Rows of 400 steps in a ring of 150: row t % 150 of slot i has number (t % 150) * 2 + i.
    compared = 0
    for t in range(400 - length + 3, 400 - n_step):
        for slot in range(2):
            index = np.flatnonzero(batch.rows == t % length * 2 + slot)
            assert index.size == (step_types[t][slot] != LAST)
            later = [k for k in range(1, n_step + 1) if step_types[t + k][slot] == LAST]
            m = later[0] if later else n_step
            for i in index:
                np.testing.assert_array_equal(batch.s_t[i, ..., 0], observed[t][slot])
                np.testing.assert_array_equal(batch.s_tpn[i, ..., 0], observed[t + m][slot])
                compared += 1
    assert compared > 250
