import types

import cv2
import numpy as np
import pytest
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.evaluation import evaluate
from tfselfsup.rl.video import record_game

STEPS = 120
NAME = "game.mp4"


def make_environment(num_envs=1, **settings) -> AtariEnvironment:
    settings = {"seed": 3, "max_episode_steps": STEPS} | settings
    return AtariEnvironment("pong", num_envs, **settings)


def act(observations) -> np.ndarray:
    """A policy that depends on what it sees, so that another picture gives another game."""
    return observations.sum(axis=(1, 2, 3, 4), dtype=np.int64) % 6


def record(environment, path, policy=act) -> float:
    return record_game(
        environment, policy, epsilon=0.1, generator=np.random.default_rng(5), path=path
    )


def score_of(environment) -> tuple[float, int]:
    """Score and length of the first game, as an evaluation counts them."""
    generator = np.random.default_rng(5)
    result = evaluate(environment, act, episodes=1, epsilon=0.1, generator=generator)
    return result.scores[0], result.lengths[0]


def frames_of(path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (found := capture.read())[0]:
        frames.append(cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return frames


def names_in(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The path of a recorded game, and its score."""
    path = tmp_path_factory.mktemp("videos") / NAME
    return path, record(make_environment(), path)


def test_the_score_is_that_of_the_evaluation(recorded):
    _, score = recorded
    environment = make_environment()
    assert (score, STEPS) == score_of(environment)
    assert score < 0  # or the comparison would be one of nothing with nothing
    assert type(score) is float


def test_every_frame_of_the_emulator_is_there_in_its_size(recorded):
    path, _ = recorded
    assert names_in(path.parent) == [NAME]
    frames = frames_of(path)
    # The frame of the reset and 4 of each step, 160x210 doubled.
    assert len(frames) == 1 + 4 * STEPS
    assert {frame.shape for frame in frames} == {(420, 320, 3)}
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == 60
    capture.release()


def test_frames_are_those_of_the_game_in_its_colours(recorded):
    path, _ = recorded
    frames = frames_of(path)[::100]
    environment = make_environment()
    screen = environment.colour_emulator()
    first = screen.reset(seed=environment.seeds[:1])[0][0, 0]
    large = first.repeat(2, axis=0).repeat(2, axis=1)
    # The codec changes values a little; Pong's brown ground, RGB (144, 72, 17), shows whether the
    # channels are in order.
    assert abs(frames[0].astype(int) - large).mean() < 5
    assert abs(np.median(frames[0], axis=(0, 1)) - [144, 72, 17]).max() < 15
    assert any((abs(frame.astype(int) - frames[0]) > 100).any() for frame in frames[1:])


def test_only_the_first_slot_plays_and_begins_anew(tmp_path, recorded):
    seen = []
    environment = make_environment(num_envs=2)
    environment.reset()
    for _ in range(10):
        environment.step(np.array([2, 3]))

    def counting(observations):
        seen.append(len(observations))
        return act(observations)

    assert record(environment, tmp_path / NAME, counting) == recorded[1]
    # It is not asked where the action is a random one: about a tenth of the steps.
    assert set(seen) == {1} and 0.8 * STEPS < len(seen) <= STEPS


def test_the_frame_skip_sets_the_frames_of_a_step(tmp_path):
    record(make_environment(frame_skip=3, max_episode_steps=9), tmp_path / NAME)
    assert len(frames_of(tmp_path / NAME)) == 1 + 9 * 3


class GameOver:
    """A made-up game whose third step ends it at its second frame, as real ones do by chance."""

    batch_size = 1
    frame_skip = 4
    seeds = np.array([7], np.int32)
    num_actions = 6

    def colour_emulator(self):
        return Screen()

    def reset(self):
        self._steps = 0
        return self.current_time_step()

    def step(self, actions):
        self._steps += 1
        return self.current_time_step()

    def current_time_step(self):
        step_type = np.array([2 if self._steps == 3 else 1])
        observation = np.zeros((1, 4, 84, 84, 1), np.uint8)
        return ts.TimeStep(step_type, np.zeros(1), np.ones(1), observation)


class Screen:
    """The emulator behind `GameOver`, frame by frame; each frame is worth a point."""

    observation_space = types.SimpleNamespace(shape=(1, 1, 16, 16, 3))

    def reset(self, seed):
        assert seed == [7]
        self._frames = 0
        return np.zeros((1, 1, 16, 16, 3), np.uint8), {}

    def step(self, actions):
        self._frames += 1
        assert self._frames <= 10, "the game is over"
        ended = np.array([self._frames == 10])
        return np.zeros((1, 1, 16, 16, 3), np.uint8), np.ones(1), ended, np.array([False]), {}


def test_a_game_that_ends_within_a_step_ends_the_video(tmp_path):
    assert record(GameOver(), tmp_path / NAME) == 10
    assert len(frames_of(tmp_path / NAME)) == 1 + 4 + 4 + 2


def test_the_file_appears_when_it_is_complete(tmp_path):
    (tmp_path / NAME).write_text("an older game")
    during = []

    def watching(observations):
        during.append((tmp_path / NAME).read_text())
        return act(observations)

    record(make_environment(max_episode_steps=5), tmp_path / NAME, watching)
    assert set(during) == {"an older game"}
    assert names_in(tmp_path) == [NAME]
    assert len(frames_of(tmp_path / NAME)) == 21


@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_leaves_nothing_aside(tmp_path, exists):
    if exists:
        (tmp_path / NAME).write_text("an older game")

    def failing(observations):
        if observations[0, 0].any():  # four frames have been played
            raise ZeroDivisionError
        return act(observations)

    with pytest.raises(ZeroDivisionError):
        record(make_environment(), tmp_path / NAME, failing)
    assert names_in(tmp_path) == [NAME] * exists
    if exists:
        assert (tmp_path / NAME).read_text() == "an older game"


def test_a_missing_folder_is_one_line(tmp_path, capfd):
    path = tmp_path / "missing" / NAME
    with pytest.raises(OSError, match="expected a folder to write a video to") as error:
        record(make_environment(), path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert names_in(tmp_path) == []
    # Neither may OpenCV add its own lines.
    assert capfd.readouterr() == ("", "")
