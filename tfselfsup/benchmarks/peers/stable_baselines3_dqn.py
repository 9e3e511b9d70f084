"""Stable-Baselines3's DQN as a peer; runs in the peer's own virtual environment.

Started with the settings as a JSON object, it warms up and prints `ready`. For every line on
standard input that holds a number of agent steps it trains for these, and prints the seconds they
took. It imports nothing of this project: https://github.com/DLR-RM/stable-baselines3 cannot be
installed beside TF-Agents.
"""

import json
import sys
import time

import ale_py
import gymnasium
from stable_baselines3 import DQN
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecFrameStack


def make_model(settings: dict) -> DQN:
    """Makes the agent of the library's own Atari examples, with our settings."""
    gymnasium.register_envs(ale_py)
    num_envs = settings["num_envs"]
    # Every game skips 4 frames in the wrapper, as ours does.
    game = settings["game"].title().replace("_", "") + "NoFrameskip-v4"
    environment = VecFrameStack(make_atari_env(game, n_envs=num_envs, seed=0), n_stack=4)
    return DQN(
        "CnnPolicy",
        environment,
        learning_rate=settings["learning_rate"],
        buffer_size=settings["capacity"],
        learning_starts=settings["learning_starts"],
        batch_size=settings["batch_size"],
        # The library counts steps of all games together as one.
        train_freq=max(1, settings["update_period"] // num_envs),
        gradient_steps=max(1, num_envs // settings["update_period"]),
        target_update_interval=settings["target_update_period"],
        exploration_initial_eps=settings["epsilon"],
        exploration_final_eps=settings["epsilon"],
        max_grad_norm=settings["gradient_clip_norm"],
        seed=0,
    )


def main() -> None:
    """Warms up, then trains as many steps as each line of standard input says."""
    settings = json.loads(sys.argv[1])
    model = make_model(settings)
    model.learn(settings["learning_starts"] + settings["warm_up"])
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        model.learn(int(line), reset_num_timesteps=False)
        print(time.perf_counter() - started, flush=True)


main()
