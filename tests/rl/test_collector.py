import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.collector import Collector, Episode
from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.replay import Replay
from tfselfsup.rl.ring import FIRST, LAST, MID
from tfselfsup.rl.samplers import Sampler

NUM_ACTIONS = 4

# Two slots, a row for each step. Slot 0 loses a life at step 2, then the game at step 3, and ends
# another one at step 6. Slot 1 loses a life at step 3 and is cut off at step 4; the game after that
# begins with fewer lives than were left, which loses none.
STEP_TYPES = np.array(
    [[FIRST, FIRST], [MID, MID], [MID, MID], [LAST, MID], [FIRST, LAST], [MID, FIRST], [LAST, MID]]
)
REWARDS = np.array([[0, 0], [4, 0.5], [-7, 0], [2, 3], [0, 0], [1, 0], [5, 0]])
DISCOUNTS = np.array([[1, 1], [1, 1], [1, 1], [0, 1], [1, 1], [1, 1], [0, 1]])
LIVES = np.array([[3, 5], [3, 5], [2, 5], [0, 4], [3, 4], [3, 3], [0, 3]])


class ScriptedGames:
    """Plays what is written above, whatever the actions."""

    def __init__(self):
        self.sent = []
        self._t = 0
        self._in_flight = False

    batch_size = 2
    num_actions = NUM_ACTIONS

    def reset(self):
        return self._time_step()

    def send(self, actions):
        assert not self._in_flight
        self._in_flight = True
        self.sent.append(actions)

    def recv(self):
        assert self._in_flight
        self._in_flight = False
        self._t += 1
        return self._time_step()

    def get_info(self):
        return {"lives": LIVES[self._t]}

    def observation(self, t):
        """Different at every step, slot, frame and pixel: uint8 [2, 4, 2, 2, 1]."""
        frame, slot = np.arange(4)[:, np.newaxis], np.arange(2)[:, np.newaxis, np.newaxis]
        pixels = 64 * frame + 8 * t + 4 * slot + np.arange(4)
        return pixels.reshape(2, 4, 2, 2, 1).astype(np.uint8)

    def _time_step(self):
        t = self._t
        return ts.TimeStep(
            STEP_TYPES[t].astype(np.int32),
            REWARDS[t].astype(np.float32),
            DISCOUNTS[t].astype(np.float32),
            self.observation(t),
        )


class ManySlots(ScriptedGames):
    """Games in which nothing ever happens, many of them."""

    batch_size = 2000

    def get_info(self):
        return {"lives": np.zeros(self.batch_size, np.int32)}

    def _time_step(self):
        return ts.restart(np.zeros((self.batch_size, 4, 2, 2, 1), np.uint8), self.batch_size)


class WrittenDown:
    """Keeps the rows as they are appended."""

    def __init__(self):
        self.rows = []

    def append(self, frames, step_types, actions, rewards, discounts):
        self.rows.append((frames, step_types, actions, rewards, discounts))


def not_to_be_asked(observation):
    raise AssertionError("the policy was asked")


def make_collector(
    games, replay=None, policy=not_to_be_asked, clip_rewards=True, life_loss_ends_episode=True
) -> Collector:
    return Collector(
        games,
        WrittenDown() if replay is None else replay,
        policy,
        np.random.default_rng(0),
        clip_rewards=clip_rewards,
        life_loss_ends_episode=life_loss_ends_episode,
    )


def play_script(**settings) -> tuple:
    """The games, all rows by name, and what every send() and receive() returned."""
    games, replay = ScriptedGames(), WrittenDown()
    collector = make_collector(games, replay, **settings)
    sent, received = [], []
    for _ in range(len(STEP_TYPES) - 1):
        sent.append(collector.store())
        collector.send()
        received.append(collector.receive())
    sent.append(collector.store())
    collector.send()
    names = ("frames", "step_types", "actions", "rewards", "discounts")
    columns = zip(*replay.rows, strict=True)
    rows = {name: np.array(column) for name, column in zip(names, columns, strict=True)}
    return games, rows, sent, received


def test_the_newest_frame_is_stored_with_the_action_taken_at_it():
    games, rows, _, _ = play_script()
    newest = [games.observation(t)[:, 3, :, :, 0] for t in range(len(STEP_TYPES))]
    np.testing.assert_array_equal(rows["frames"], newest)
    assert rows["frames"].dtype == np.uint8
    np.testing.assert_array_equal(rows["actions"], games.sent)
    np.testing.assert_array_equal(rows["step_types"], STEP_TYPES)


def test_rewards_are_clipped_if_asked():
    clipped = [[0, 0], [1, 0.5], [-1, 0], [1, 1], [0, 0], [1, 0], [1, 0]]
    np.testing.assert_array_equal(play_script(clip_rewards=True)[1]["rewards"], clipped)
    np.testing.assert_array_equal(play_script(clip_rewards=False)[1]["rewards"], REWARDS)


def test_a_lost_life_ends_returns_if_asked_and_a_new_game_never():
    ends = [[1, 1], [1, 1], [0, 1], [0, 0], [1, 1], [1, 1], [0, 1]]
    stored = play_script(life_loss_ends_episode=True)[1]["discounts"]
    np.testing.assert_array_equal(stored, ends)
    stored = play_script(life_loss_ends_episode=False)[1]["discounts"]
    np.testing.assert_array_equal(stored, DISCOUNTS)


def test_agent_steps_are_those_that_begin_in_a_game():
    # At step 3 the game of slot 0 is over, at step 4 that of slot 1, at step 6 that of slot 0.
    assert play_script()[2] == [2, 2, 2, 1, 1, 2, 1]


@pytest.mark.parametrize("clip_rewards", [True, False])
def test_scores_are_raw_and_begin_anew_with_each_game(clip_rewards):
    received = play_script(clip_rewards=clip_rewards)[3]
    assert received == [
        [],
        [],
        [Episode(score=4 - 7 + 2, length=3)],
        [Episode(score=0.5 + 3, length=4)],
        [],
        [Episode(score=1 + 5, length=2)],
    ]


def test_without_exploration_every_action_is_the_policy_s():
    games = ScriptedGames()
    seen = []

    def policy(observation):
        seen.append(observation)
        return np.array([len(seen) % NUM_ACTIONS, 3])

    collector = make_collector(games, policy=policy)
    collector.epsilon = 0.0
    for t in range(4):
        collector.store()
        collector.send()
        np.testing.assert_array_equal(seen[t], games.observation(t))
        collector.receive()
    np.testing.assert_array_equal(games.sent, [[1, 3], [2, 3], [3, 3], [0, 3]])


def test_actions_may_be_chosen_before_they_are_stored():
    games, replay = ScriptedGames(), WrittenDown()
    seen = []

    def policy(observation):
        seen.append(observation)
        return np.array([len(seen) % NUM_ACTIONS, 3])

    collector = make_collector(games, replay, policy=policy)
    collector.epsilon = 0.0
    collector.store()
    collector.send()
    collector.receive()
    collector.choose()
    np.testing.assert_array_equal(seen[1], games.observation(1))
    collector.epsilon = 1.0  # too late for the actions chosen already
    collector.store()
    collector.send()
    assert len(seen) == 2
    np.testing.assert_array_equal(games.sent, [[1, 3], [2, 3]])
    np.testing.assert_array_equal([row[2] for row in replay.rows], games.sent)


def test_full_exploration_draws_every_action_equally_often():
    games = ManySlots()
    collector = make_collector(games)  # whose policy fails if it is asked
    assert collector.epsilon == 1.0
    collector.store()
    collector.send()
    counts = np.bincount(games.sent[0], minlength=NUM_ACTIONS)
    # 2000 draws of probability 1/4 have the mean 500 and the standard deviation 19.4.
    assert counts.shape == (NUM_ACTIONS,) and (np.abs(counts - 500) < 80).all()


def test_epsilon_is_the_probability_of_a_random_action():
    games = ManySlots()
    collector = make_collector(games, policy=lambda observation: np.full(len(observation), 3))
    collector.epsilon = 0.2
    collector.store()
    collector.send()
    # The policy's action: 0.8 + 0.2 / 4 = 0.85 of 2000, standard deviation 16.
    assert abs(np.count_nonzero(games.sent[0] == 3) - 1700) < 64


class EveryRow(Sampler):
    """Draws each startable row once."""

    def draw(self, startable, batch_size, generator):
        rows = np.flatnonzero(startable)
        return rows, np.ones(rows.size, np.float32)


class NotedGames(AtariEnvironment):
    """Keeps the actions it was sent."""

    def __init__(self):
        super().__init__("breakout", 3, seed=1, num_threads=1, max_episode_steps=120)
        self.sent = []

    def send(self, actions):
        self.sent.append(actions)
        super().send(actions)


def test_the_replay_holds_what_the_emulator_plays():
    steps = 300
    games, replay = NotedGames(), Replay(capacity=900, num_envs=3, sampler=EveryRow(), seed=0)
    collector = make_collector(games, replay, policy=lambda observation: np.full(3, 1))
    collector.epsilon = 0.7
    begun, episodes = 0, []
    for _ in range(steps):
        begun += collector.store()
        collector.send()
        episodes += collector.receive()

    # The same games once more.
    again = NotedGames()
    time_steps, lives = [again.reset()], [again.get_info()["lives"]]
    for actions in games.sent:
        time_steps.append(again.step(actions))
        lives.append(again.get_info()["lives"])

    batch = replay.sample(1)
    lives_lost = 0
    for i, row in enumerate(batch.rows):
        t, slot = divmod(row, 3)  # row 3 * t + slot, as nothing is overwritten yet
        before, after = time_steps[t], time_steps[t + 1]
        np.testing.assert_array_equal(batch.s_t[i], before.observation[slot])
        np.testing.assert_array_equal(batch.s_tpn[i], after.observation[slot])
        assert batch.a_t[i] == games.sent[t][slot]
        assert batch.r_t[i] == np.sign(after.reward[slot])
        lost = lives[t + 1][slot] < lives[t][slot]
        assert batch.discount_t[i] == (0 if lost else 1)
        lives_lost += lost
    assert lives_lost >= 10

    step_types = np.array([time_step.step_type for time_step in time_steps])
    rewards = np.array([time_step.reward for time_step in time_steps])
    # Every step but those at which a game is over, and but the newest one, still without a reward.
    assert len(batch.rows) == np.count_nonzero(step_types[: steps - 1] != LAST)
    assert begun == np.count_nonzero(step_types[:steps] != LAST)
    expected = []
    for t, slot in np.argwhere(step_types == LAST):
        first = np.flatnonzero(step_types[:t, slot] == FIRST)[-1]
        expected.append(Episode(rewards[first : t + 1, slot].sum(), t - first))
    assert episodes == expected
    assert len(episodes) >= 6 and any(episode.score > 0 for episode in episodes)
