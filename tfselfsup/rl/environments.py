"""Atari games as one batched TF-Agents environment over the vector emulator of ale-py."""

from collections.abc import Sequence

import ale_py
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from tf_agents.environments import py_environment
from tf_agents.specs import array_spec
from tf_agents.trajectories import time_step as ts

from tfselfsup.rl.game_names import resolve_game


class AtariEnvironment(py_environment.PyEnvironment):
    """`num_envs` games (slots) side by side: whole games, raw scores, 84x84 grey frames.

    The preprocessing is that of Mnih et al. 2015 (doi:10.1038/nature14236): up to `noop_max`
    frames without action after a reset, an action repeated for `frame_skip` frames, the maximum of
    the last two of them, grey, 84x84, the last four stacked. Frames before a game's first are
    zeros. FIRE is pressed after a reset in games that have it. A lost life ends nothing and rewards
    are not clipped, because evaluation needs both as they are (Machado et al. 2018,
    arXiv:1709.06009); a learner clips for itself and finds the lives in `get_info()`.

    Observations are uint8 [N, 4, 84, 84, 1], oldest frame first; actions int32 [N], in
    [0, num_actions). Step types follow each slot by itself: after its LAST comes its FIRST,
    with reward 0 and the action ignored. The discount is 0 where a game ended and 1 elsewhere, also
    where it was cut off after `max_episode_steps`: bootstrap there.

    The same seed and the same actions give the same games, whatever `num_threads`. `reset()` always
    starts the sequence of games anew, from the seed.

    Attributes:
        seeds: int32 [N], the emulator's seed of each slot; slot i's is the same for every N.
        frame_skip: Emulator frames per agent step.
        num_actions: Actions that the game knows.
    """

    def __init__(
        self,
        game: str,
        num_envs: int,
        *,
        seed: int | Sequence[int],
        noop_max: int = 30,
        frame_skip: int = 4,
        repeat_action_probability: float = 0.0,
        max_episode_steps: int = 27_000,
        num_threads: int = 0,
    ):
        """Starts the emulators.

        Args:
            game: Name of the game, see `resolve_game`.
            num_envs: Number of slots N, 1 or more.
            seed: Of no-op starts and sticky actions; 0 or greater, or several such numbers, for
                instance (seed, agent steps so far) where a resumed run is not to repeat its games.
            noop_max: Emulator frames without action at a game's start: fewer than this, at random.
            frame_skip: Emulator frames an action is repeated for.
            repeat_action_probability: Probability, at each emulator frame, that the action of the
                frame before is used instead (sticky actions; 0.25 in Machado et al. 2018).
            max_episode_steps: Agent steps after which a game is cut off; 27,000 of 4 frames are
                half an hour of play.
            num_threads: Threads of the emulator; 0 takes as many as there are cores.

        Raises:
            ValueError: If the game is unknown or a number is out of its range.
        """
        super().__init__(handle_auto_reset=False)
        _check("num_envs", num_envs, 1)
        _check("noop_max", noop_max, 0)
        _check("frame_skip", frame_skip, 1)
        _check("repeat_action_probability", repeat_action_probability, 0, 1)
        _check("max_episode_steps", max_episode_steps, 1)
        # Drawn, not seed + i, so that neighbouring seeds do not share most of their games.
        self.seeds = (np.random.SeedSequence(seed).generate_state(num_envs) >> 1).astype(np.int32)
        self.frame_skip = frame_skip
        self._game = resolve_game(game)
        self._rules = {
            "noop_max": noop_max,
            "repeat_action_probability": repeat_action_probability,
            # The emulator counts its own frames, and not those of the no-op start.
            "max_num_frames_per_episode": max_episode_steps * frame_skip,
            "episodic_life": False,
            "life_loss_info": False,
            "reward_clipping": False,
        }
        self._emulator = AtariVectorEnv(
            self._game, num_envs, frameskip=frame_skip, num_threads=num_threads, **self._rules
        )
        self.num_actions = int(self._emulator.single_action_space.n)
        self._info = None
        self._in_flight = False

    @property
    def batched(self) -> bool:
        """True: every array has a leading axis of slots."""
        return True

    @property
    def batch_size(self) -> int:
        """Number of slots."""
        return len(self.seeds)

    def observation_spec(self) -> array_spec.BoundedArraySpec:
        """One slot's frames: uint8 [4, 84, 84, 1], that is [T, H, W, C]."""
        return array_spec.BoundedArraySpec((4, 84, 84, 1), np.uint8, 0, 255, name="observation")

    def action_spec(self) -> array_spec.BoundedArraySpec:
        """One slot's action: an int32 from 0 to num_actions - 1."""
        return array_spec.BoundedArraySpec((), np.int32, 0, self.num_actions - 1, name="action")

    def get_info(self) -> dict[str, np.ndarray]:
        """Returns what the emulator told about the last step, int32 [N] each.

        `lives`: lives left, 0 throughout in games without; `episode_frame_number`: emulator frames
        since the game's start; `frame_number`: the same over all games; `env_id`: 0 to N - 1.
        """
        return self._info

    def send(self, actions: np.ndarray) -> None:
        """Starts one step in every slot and returns at once; `recv` waits for the outcome.

        Args:
            actions: Integers [N] in [0, num_actions).

        Raises:
            ValueError: If the actions have another shape or range.
            RuntimeError: Before the first `reset`, or when the last step was not received yet.
        """
        if self._current_time_step is None or self._in_flight:
            raise RuntimeError("send() must follow reset(), step() or recv()")
        actions = np.asarray(actions).astype(np.int32, casting="same_kind")
        # An action out of range kills the emulator's thread, and recv would then wait for ever.
        if (
            actions.shape != self.seeds.shape
            or not ((0 <= actions) & (actions < self.num_actions)).all()
        ):
            raise ValueError(
                f"expected {self.batch_size} actions from 0 to {self.num_actions - 1}, "
                f"got {actions.tolist()}"
            )
        self._emulator.send(actions)
        self._in_flight = True

    def recv(self) -> ts.TimeStep:
        """Waits for the step that `send` started; it becomes the current time step.

        Raises:
            RuntimeError: If no step was sent.
        """
        if not self._in_flight:
            raise RuntimeError("recv() must follow send()")
        frames, reward, terminated, truncated, self._info = self._emulator.recv()
        self._in_flight = False
        step_type = np.select(
            [terminated | truncated, self._current_time_step.is_last()],
            [ts.StepType.LAST, ts.StepType.FIRST],
            ts.StepType.MID,
        )
        self._current_time_step = ts.TimeStep(
            step_type=step_type.astype(np.int32),
            reward=reward.astype(np.float32),
            discount=1 - terminated.astype(np.float32),
            observation=_with_channel_axis(frames),
        )
        return self._current_time_step

    def colour_emulator(self) -> AtariVectorEnv:
        """Makes an emulator of the first slot's games in colour, for pictures of the play.

        Reset with `seeds[:1]` and given each of the first slot's actions `frame_skip` times, it
        plays the same game: same rewards, lives and end. Its frames are uint8 [1, 1, H, W, 3], RGB,
        every one that the emulator draws.
        """
        ale = ale_py.ALEInterface()
        ale.loadROM(roms.get_rom_path(self._game))
        height, width = ale.getScreenDims()
        return AtariVectorEnv(
            self._game,
            num_envs=1,
            frameskip=1,
            grayscale=False,
            img_height=height,
            img_width=width,
            stack_num=1,
            maxpool=False,
            **self._rules,
        )

    def close(self) -> None:
        """Stops the emulators; the environment cannot be used afterwards."""
        # Their threads end with the object; it has no other way.
        self._emulator = None

    def _step(self, action: np.ndarray) -> ts.TimeStep:
        self.send(action)
        return self.recv()

    def _reset(self) -> ts.TimeStep:
        if self._in_flight:
            # The emulator would otherwise answer the reset with this step's outcome.
            self.recv()
        frames, self._info = self._emulator.reset(seed=self.seeds)
        return ts.restart(_with_channel_axis(frames), batch_size=self.batch_size)


def _with_channel_axis(frames: np.ndarray) -> np.ndarray:
    # A view. The emulator writes each step into a fresh array and gives the old one away, so that
    # time steps stay as they are while later ones are played, and nothing needs a copy.
    return frames[..., np.newaxis]


def _check(name: str, value: float, minimum: float, maximum: float = np.inf) -> None:
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} must be from {minimum} to {maximum}, got {value}")
