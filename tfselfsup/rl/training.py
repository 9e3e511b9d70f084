"""The training loop, as a generator of events. Whoever logs or saves only listens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tfselfsup.config import AgentConfig, AgentExperiment
from tfselfsup.rl.collector import Collector, Episode
from tfselfsup.rl.learner import Learner
from tfselfsup.rl.replay import Replay

SCORE_WINDOW = 100  # games


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        agent_steps: Steps played, over all games side by side.
        updates: Updates taken.
        updates_due: Updates that wait until there is a group of them.
        episodes: Games finished.
        seconds: Time spent, over all sessions of the run.
        epsilon: Probability of a random action at the last step.
        scores: Raw scores of the last games, at most `SCORE_WINDOW`.
        lengths: Their lengths in agent steps.
    """

    agent_steps: int = 0
    updates: int = 0
    updates_due: int = 0
    episodes: int = 0
    seconds: float = 0.0
    epsilon: float = 1.0
    scores: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, episode: Episode) -> None:
        """Takes in a finished game."""
        self.episodes += 1
        self.scores = [*self.scores, episode.score][-SCORE_WINDOW:]
        self.lengths = [*self.lengths, episode.length][-SCORE_WINDOW:]


@dataclass(frozen=True)
class EpisodeEnded:
    """A game ended."""

    episode: Episode


@dataclass(frozen=True)
class Updated:
    """An update was taken; `metrics` are those of the losses it trained."""

    metrics: dict[str, float]


@dataclass(frozen=True)
class Stepped:
    """Every game went on by one step, and the updates due were taken.

    Attributes:
        progress: How far the run is now.
        steps_before: Its agent steps before.
        finished: Whether this was the last step.
    """

    progress: Progress = field(repr=False)
    steps_before: int
    finished: bool

    def reached(self, period: int) -> bool:
        """Tells whether a multiple of `period` agent steps was reached; never for period 0."""
        return period > 0 and self.progress.agent_steps // period > self.steps_before // period


Event = EpisodeEnded | Updated | Stepped


def epsilon_at(agent_steps: int, experiment: AgentExperiment) -> float:
    """Returns the probability of a random action, which falls linearly and then stays.

    Args:
        agent_steps: Steps played.
        experiment: Has the schedule.
    """
    schedule = experiment.exploration
    decay_steps = schedule.decay_fraction * experiment.total_steps
    share = min(1.0, agent_steps / decay_steps) if decay_steps else 1.0
    return schedule.epsilon_initial + share * (schedule.epsilon_final - schedule.epsilon_initial)


def updates_between(steps_before: int, steps_now: int, agent: AgentConfig) -> int:
    """Counts the updates that fall due between two numbers of agent steps."""
    return steps_now // agent.update_period - steps_before // agent.update_period


def train(
    experiment: AgentExperiment,
    collector: Collector,
    learner: Learner,
    replay: Replay,
    progress: Progress,
) -> Iterator[Event]:
    """Plays and learns until the experiment's last step.

    While a group of updates is taken, the emulators play a step and the actions of the next one are
    chosen, with the weights before the group. The order of all hand-offs is fixed. No group is
    under way when an event arrives, so that listeners may use the network.

    Args:
        experiment: Has the schedules.
        collector: Plays.
        learner: Learns.
        replay: Shared by both.
        progress: Where to begin; kept up to date.

    Yields:
        What happens, in order: updates, finished games, then the step itself.

    Raises:
        NonFiniteLossError: If a loss becomes infinite or not a number.
    """
    agent = experiment.agent
    while progress.agent_steps < experiment.total_steps:
        started = time.perf_counter()
        steps_before = progress.agent_steps
        collector.epsilon = progress.epsilon = epsilon_at(steps_before, experiment)
        replay.anneal(steps_before / experiment.total_steps)
        progress.agent_steps += collector.store()
        if len(replay) >= min(agent.learning_starts, replay.capacity) and replay.num_startable:
            progress.updates_due += updates_between(steps_before, progress.agent_steps, agent)
        groups, progress.updates_due = divmod(progress.updates_due, learner.group)
        if groups:
            learner.begin()
        collector.send()
        episodes = collector.receive()
        collector.epsilon = epsilon_at(progress.agent_steps, experiment)
        collector.choose()
        for left in reversed(range(groups)):
            yield from map(Updated, learner.finish())
            progress.updates = learner.updates
            if left:
                learner.begin()
        for episode in episodes:
            progress.add(episode)
            yield EpisodeEnded(episode)
        progress.seconds += time.perf_counter() - started
        yield Stepped(progress, steps_before, progress.agent_steps >= experiment.total_steps)
