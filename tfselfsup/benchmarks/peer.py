"""Peer libraries that train, each in a process of its own, an interval at a time."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).with_name("peers")


class Peer:
    """A DQN of others, idle between the intervals that it is asked for.

    Attributes:
        name: What it is called in a table.
        steps_per_second: Agent steps per second of each interval so far.
    """

    def __init__(self, name: str, option: str, python: str, script: Path, settings: dict[str, Any]):
        """Starts the process and waits until it is warm.

        Args:
            name: What it is called in a table.
            option: In which users name the interpreter.
            python: The interpreter of a virtual environment with the peer in it.
            script: Warms up, says `ready`, and answers agent steps with the seconds they took.
            settings: What the script takes.

        Raises:
            ValueError: If there is no such interpreter, or it cannot run the peer.
        """
        self.name = name
        self.steps_per_second: list[float] = []
        try:
            self._process = subprocess.Popen(
                [python, str(script), json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise ValueError(f"expected a Python interpreter in {option}: {error}") from error
        self._wait_for("ready")

    def run(self, agent_steps: int) -> None:
        """Trains for some agent steps and notes how fast they were."""
        with contextlib.suppress(BrokenPipeError):  # where it has ended, the answer tells why
            self._process.stdin.write(f"{agent_steps}\n")
            self._process.stdin.flush()
        self.steps_per_second.append(agent_steps / float(self._answer()))

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()

    def _wait_for(self, word: str) -> None:
        while self._answer() != word:
            continue

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            reason = (errors.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"{self.name} ended: {reason}; install it as docs/performance.md says")
        return line.strip()


def stable_baselines3(python: str, settings: dict[str, Any]) -> Peer:
    """Starts the DQN of https://github.com/DLR-RM/stable-baselines3."""
    games = settings["num_envs"]
    name = f"Stable-Baselines3, {games} {'game' if games == 1 else 'games'}"
    return Peer(name, "--peer_python", python, SCRIPTS / "stable_baselines3_dqn.py", settings)


def cleanrl(python: str, settings: dict[str, Any]) -> Peer:
    """Starts the DQN of https://github.com/vwxyzjn/cleanrl, which plays one game."""
    return Peer("CleanRL", "--cleanrl_python", python, SCRIPTS / "cleanrl_dqn.py", settings)
