"""A played game as an mp4, in colour, every frame the emulator draws."""

import os
from collections.abc import Iterator

import cv2
import numpy as np
from ale_py.vector_env import AtariVectorEnv

from tfselfsup.rl.environments import AtariEnvironment
from tfselfsup.rl.evaluation import choose_actions
from tfselfsup.rl.policies import Policy
from tfselfsup.runs.mp4 import mp4

FRAMES_PER_SECOND = 60  # the speed of the console
SCALE = 2  # video pixels per console pixel


def record_game(
    environment: AtariEnvironment,
    policy: Policy,
    *,
    epsilon: float,
    generator: np.random.Generator,
    path: str | os.PathLike[str],
) -> float:
    """Plays one game in the environment's first slot and writes it as a video.

    The file appears under its name when it is complete.

    Args:
        environment: Is reset; its other slots idle meanwhile.
        policy: The greedy policy, as for `evaluation.evaluate`.
        epsilon: Probability of a random action, in [0, 1].
        generator: Draws the random actions.
        path: The mp4 to write, in a folder that exists.

    Returns:
        The game's raw score.

    Raises:
        OSError: If the file cannot be written.
    """
    screen = environment.colour_emulator()
    _, _, height, width, _ = screen.observation_space.shape
    size = (SCALE * width, SCALE * height)
    score = 0.0
    with mp4(path, FRAMES_PER_SECOND, size) as append:
        for frame, reward in _play(environment, screen, policy, epsilon, generator):
            append(cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST))
            score += reward
    return score


def _play(
    environment: AtariEnvironment,
    screen: AtariVectorEnv,
    policy: Policy,
    epsilon: float,
    generator: np.random.Generator,
) -> Iterator[tuple[np.ndarray, float]]:
    """Plays a game; yields every frame, uint8 [H, W, 3], and the raw reward that came with it."""
    frames, _ = screen.reset(seed=environment.seeds[:1])
    yield frames[0, 0], 0.0
    first_slot = np.array([0])
    time_step = environment.reset()
    while not time_step.is_last()[0]:
        actions = choose_actions(
            environment, policy, first_slot, epsilon=epsilon, generator=generator
        )
        time_step = environment.step(actions)
        for _ in range(environment.frame_skip):
            frames, reward, terminated, truncated, _ = screen.step(actions[:1])
            yield frames[0, 0], float(reward[0])
            if terminated[0] or truncated[0]:
                return
