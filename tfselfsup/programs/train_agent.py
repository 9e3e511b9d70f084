"""Trains one agent on one game."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from tfselfsup.command_line import built, experiment_parser
from tfselfsup.config import AgentExperiment
from tfselfsup.config.flattened import flattened
from tfselfsup.programs.interruption import exit_status, interruption
from tfselfsup.programs.startup import (
    fail,
    file_errors,
    start_tensorflow,
    user_mistakes,
    warn_of_slow_precision,
)
from tfselfsup.runs import RunDirectory

SHOWN_FRAMES = 4  # of a game of each short evaluation, in TensorBoard


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = experiment_parser(__doc__ + " A run directory that holds a checkpoint is resumed.")
    parser.add_argument("--run_dir", required=True, help="folder of the run")
    parsed = parser.parse_args(arguments)
    train(built(AgentExperiment, parser, parsed), RunDirectory(parsed.run_dir))


def train(experiment: AgentExperiment, run: RunDirectory) -> None:
    """Trains the agent, or goes on with it; ends the process on an error.

    Args:
        experiment: All settings.
        run: Where everything is written.
    """
    start_tensorflow(experiment.runtime)
    warn_of_slow_precision(experiment.network.precision, "--network.precision")
    with contextlib.ExitStack() as stack:
        with user_mistakes():
            stack.enter_context(run.training())
            if not experiment.agent.learns:
                _check_game(experiment)
                run.start(experiment)
                return
            _check_periods(experiment)
            session = _Session(experiment, run)
        _run_to_end(session, run)


def _run_to_end(session: _Session, run: RunDirectory) -> None:
    from tfselfsup.rl.learner import NonFiniteLossError

    try:
        with file_errors():
            session.run_to_end()
    except NonFiniteLossError as error:
        good = [str(path) for path in run.checkpoints()[-1:]]
        fail(
            f"{error}, after {session.agent_steps} agent steps; "
            f"the last good checkpoint is {good[0] if good else 'none'}",
            status=1,
        )


def _check_periods(experiment: AgentExperiment) -> None:
    """Checks that every short evaluation has a row of metrics.csv of its own."""
    curve_period, period = experiment.evaluation.curve_period, experiment.logging.period
    if curve_period % period:
        raise ValueError(
            f"expected evaluation.curve_period to be a multiple of logging.period, {period}, or 0, "
            f"got {curve_period}"
        )


def _check_not_shortened(experiment: AgentExperiment, run: RunDirectory, played: int) -> None:
    """Checks that an agent does not pass for one that learnt for a shorter time."""
    # The last step of all games leads a little beyond the end.
    if played >= experiment.total_steps + experiment.environment.num_envs:
        raise ValueError(
            f"expected {played} agent steps or more for {run.path}, which has learnt from as many, "
            f"got total_steps={experiment.total_steps}; name another --run_dir"
        )


def _check_game(experiment: AgentExperiment) -> None:
    from tfselfsup.programs import agent_parts

    agent_parts.make_environment(experiment.environment, seed=0, num_envs=1).close()


class _Session:
    """The parts of a training, put together."""

    def __init__(self, experiment: AgentExperiment, run: RunDirectory):
        import numpy as np

        from tfselfsup.programs import agent_parts as parts
        from tfselfsup.rl import checkpointing, policies

        seeds = parts.seeds(experiment.seed)
        played = checkpointing.trained_steps(run)
        _check_not_shortened(experiment, run, played)
        # With the steps in the seed a resumed run plays other games than those it began with.
        environment = parts.make_environment(experiment.environment, (seeds["environment"], played))
        agent = parts.make_agent(experiment, environment)
        policy = policies.greedy_policy(agent.acting_model)
        generator = np.random.default_rng(seeds["exploration"])
        self._experiment = experiment
        self._run = run
        self._replay = parts.make_replay(experiment)
        run.start(experiment)
        self._checkpointer = checkpointing.Checkpointer(
            run, experiment.logging, agent, self._replay, generator
        )
        self._progress = self._checkpointer.restore()
        run.rewind_metrics(self._progress.agent_steps)
        self._collector = parts.make_collector(
            experiment, environment, self._replay, policy, generator
        )
        self._learner = parts.make_learner(experiment, agent, self._replay)
        self._listeners = self._make_listeners(agent)

    def _make_listeners(self, agent) -> tuple[Callable, ...]:
        """Makes what consumes the events, in the order in which each event reaches them."""
        from tfselfsup.rl import monitoring, policies

        settings = self._experiment
        recent = monitoring.RecentMetrics()
        learning_curve = monitoring.LearningCurve(
            settings.evaluation.curve_period,
            _short_evaluation(settings, policies.greedy_policy(agent.model)),
            recent,
            self._checkpointer.save_best,
            best_score=self._checkpointer.best_score(),
        )
        metrics_writer = monitoring.MetricsWriter(
            self._run,
            settings.logging.period,
            recent,
            agent.metric_names,
            flattened(settings),
            agent.model if settings.logging.histograms else None,
        )
        # The checkpoint comes after the row of its step: a resumed run begins with the next row.
        self._progress_bar = monitoring.ProgressBar(settings.total_steps, self._progress)
        return recent, learning_curve, metrics_writer, self._checkpointer, self._progress_bar

    @property
    def agent_steps(self) -> int:
        """Agent steps played so far."""
        return self._progress.agent_steps

    def run_to_end(self) -> None:
        """Trains until the last step, or until an order to end, which waits for that of a step."""
        with interruption(at_once=False) as orders:
            self._train(is_interrupted=lambda: bool(orders))
            if self._progress.agent_steps < self._experiment.total_steps:
                self._checkpointer.save_all(self._progress)
                fail(
                    f"interrupted at {self._progress.agent_steps} agent steps; "
                    "the same command goes on from there",
                    status=exit_status(orders),
                )
        self._run.remove_replay()

    def _train(self, is_interrupted: Callable[[], bool]) -> None:
        from tfselfsup.rl import training

        events = training.train(
            self._experiment, self._collector, self._learner, self._replay, self._progress
        )
        try:
            for event in events:
                for listener in self._listeners:
                    listener(event)
                if isinstance(event, training.Stepped) and is_interrupted() and not event.finished:
                    break
        finally:
            self._progress_bar.close()
            self._learner.close()


def _short_evaluation(experiment: AgentExperiment, policy) -> Callable:
    """Returns a function that plays some whole games."""
    import numpy as np

    from tfselfsup.programs import agent_parts as parts
    from tfselfsup.rl import evaluation, game_frames, monitoring

    settings = experiment.evaluation
    seed = parts.seeds(experiment.seed)["curve"]

    def play() -> monitoring.ShortEvaluation:
        shown = game_frames.GameFrames(SHOWN_FRAMES)
        environment = parts.make_environment(
            experiment.environment,
            seed,
            min(settings.num_envs, settings.curve_episodes),
            settings.repeat_action_probability,
        )
        result = evaluation.evaluate(
            environment,
            policy,
            episodes=settings.curve_episodes,
            epsilon=settings.epsilon,
            generator=np.random.default_rng(seed),
            on_step=shown,
        )
        environment.close()
        return monitoring.ShortEvaluation(result.scores, shown.frames)

    return play
