"""CleanRL's DQN as a peer; runs in a virtual environment of its own that finds a checkout of it.

Speaks as `stable_baselines3_dqn.py` does. CleanRL's script is one long loop; it runs here as it is,
and the step of its game, which it makes once a turn, waits wherever an interval has ended.
https://github.com/vwxyzjn/cleanrl
"""

import contextlib
import json
import os
import runpy
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import TextIO

import gymnasium
from ale_py.registration import register_v0_v4_envs


def register_games() -> None:
    """Makes the games known; ale-py leaves it to an older gymnasium, which CleanRL needs."""
    if "PongNoFrameskip-v4" not in gymnasium.registry:
        register_v0_v4_envs()


def options(settings: dict) -> list[str]:
    """Returns our settings as the script's options; it has none for the norm of gradients."""
    epsilon = settings["epsilon"]
    chosen = {
        "env-id": settings["game"].title().replace("_", "") + "NoFrameskip-v4",
        "learning-rate": settings["learning_rate"],
        "buffer-size": settings["capacity"],
        "learning-starts": settings["learning_starts"],
        "batch-size": settings["batch_size"],
        "train-frequency": settings["update_period"],
        "target-network-frequency": settings["target_update_period"],
        "start-e": epsilon,
        "end-e": epsilon,
        "seed": 0,
    }
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


def turns(warm_up: int, answers: TextIO) -> Iterator[int]:
    """Yields for every step that may be made now, and talks to who measures in between."""
    yield from range(warm_up)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        yield from range(int(line))
        print(time.perf_counter() - started, file=answers, flush=True)


def pace(remaining: Iterator[int]) -> None:
    """Makes a step of the game wait for its turn; after the last the process ends."""
    step = gymnasium.vector.SyncVectorEnv.step

    def paced(environment, actions):
        if next(remaining, None) is None:
            sys.exit()
        return step(environment, actions)

    gymnasium.vector.SyncVectorEnv.step = paced


def main() -> None:
    """Runs CleanRL's script, as many steps as each line of standard input says."""
    settings = json.loads(sys.argv[1])
    register_games()
    pace(turns(settings["learning_starts"] + settings["warm_up"], sys.stdout))
    sys.argv = ["dqn_atari", *options(settings)]
    # Its log has no place among the answers, nor its TensorBoard files in the folder of the caller.
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nothing,
        contextlib.redirect_stdout(nothing),
    ):
        os.chdir(folder)
        runpy.run_module("cleanrl.dqn_atari", run_name="__main__")


main()
