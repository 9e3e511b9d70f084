"""Command lines and YAML files: they become the frozen settings of `tfselfsup.config`."""

from __future__ import annotations

import dataclasses
import difflib
import re
import sys
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from jsonargparse import ArgumentParser, set_parsing_settings

from tfselfsup.config import AgentExperiment, ClassifierExperiment, Experiment

Settings = TypeVar("Settings")
DEEPEST = 20  # levels of a file of settings

# A file of settings may come from anybody: it can name no class to be imported or made.
set_parsing_settings(
    instantiate_subclass_spec_in_any=False,
    import_path_denylist=["*"],
    import_path_allowlist=["tfselfsup.config"],
)


def is_clone(package: Path) -> bool:
    """Tells whether the folder of the package lies in a clone, and not where pip installs it."""
    return (package.parent / "setup.cfg").exists()


def named_configs() -> Path:
    """Returns the folder of the named experiments: the clone's, or the installed package's."""
    package = Path(__file__).parent
    return (package.parent if is_clone(package) else package) / "configs"


def find_config(name: str) -> str:
    """Resolves a YAML file, or the name of an experiment such as ``atari/fast_dqn``.

    Args:
        name: A path, or a path below the named experiments with or without ``.yaml``.

    Returns:
        The path of an existing file, or `name` itself if there is none.
    """
    candidates = (Path(name), named_configs() / name, named_configs() / f"{name}.yaml")
    return next((str(path) for path in candidates if path.is_file()), name)


def experiment_names() -> list[str]:
    """Lists the names that ``--config`` takes, such as ``atari/fast_dqn``."""
    root = named_configs()
    return sorted(
        path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml")
    )


class ExperimentParser(ArgumentParser):
    """An argument parser whose errors are one line, with exit status 2."""

    def parse_args(self, args: list[str] | None = None, **kwargs):
        """Parses a command line, in which ``--config`` may name an experiment.

        An option wins over a file, and a later file over an earlier one, wherever they stand.
        """
        files, options = [], []
        given = iter(sys.argv[1:] if args is None else args)
        for argument in given:
            name, joined, value = argument.partition("=")
            path = (value if joined else next(given, None)) if name == "--config" else None
            if path is None:
                options.append(argument)
            else:
                files.append(find_config(path))
                self._check_file(files[-1])
        return super().parse_args([*(f"--config={file}" for file in files), *options], **kwargs)

    def _check_file(self, path: str) -> None:
        """Refuses a file that holds no settings; the parser's own messages do not name it."""
        if Path(path).is_dir():
            return  # the parser says so
        if not Path(path).is_file():
            sections = {action.dest.split(".")[0] for action in self._actions}
            known = ", ".join(name for name in experiment_names() if _sections(name) <= sections)
            self.error(f"config file '{path}' does not exist; expected a YAML file, or {known}")
        try:
            content = _plain_yaml(Path(path))
        except (yaml.YAMLError, ValueError, OSError) as error:  # a date that is none, too
            self.error(f"problem parsing {path}: {error}")
        if not isinstance(content, dict):
            self.error(f"expected a mapping of settings in {path}, got: {content}")
        for key, value in content.items():
            self._check_setting(str(key), value)

    def _check_setting(self, key: str, value: Any) -> None:
        """Refuses what the parser lets pass: empty keys, and a value in the place of a section."""
        sections = {action.dest.split(".")[0] for action in self._actions if "." in action.dest}
        if key.endswith(".class_path"):  # the parser's own notation for a class to be made
            self.error(f"Option '{key}' is not accepted")
        defaults = {action.dest: action.default for action in self._actions}
        if value is None and defaults.get(key, "none") is not None:
            self.error(f'Parser key "{key}": expected a value. Got value: null')
        if key in sections and not isinstance(value, dict):
            self.error(f'Parser key "{key}": expected a mapping of settings. Got value: {value}')
        if isinstance(value, dict):
            for name, item in value.items():
                if not isinstance(name, str):
                    self.error(f'Parser key "{key}": expected names of settings. Got: {name!r}')
                self._check_setting(f"{key}.{name}", item)
        if key == self._tasks_key and isinstance(value, list):
            for task in value:
                if not isinstance(task, dict):
                    self.error(f'Parser key "{key}": Expected a tuple. Got value: {value}')
                self._check_setting(key, task)

    @property
    def _tasks_key(self) -> str:
        """The dotted key of the self-supervised tasks.

        The parser of a single task does not know it, and says `tasks`.
        """
        keys = (action.dest for action in self._actions)
        return next((key for key in keys if key.endswith(".tasks")), "tasks")

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints what is wrong on one line and exits with status 2."""
        line = re.sub(r"\s+", " ", message).strip().rstrip(".")
        line = re.sub(r"<class '(\w+)'>|typing\.", r"\1", line)
        example = " such as [{name: rotation}]" if f'"{self._tasks_key}"' in line else ""
        line = line.replace("Expected a tuple", f"Expected a list{example}")
        line = re.sub(
            r'Parser key "(name|weight|options)"', rf'Parser key "{self._tasks_key}.\1"', line
        )
        unknown = re.search(r"(?:does not accept option '|^Option '|arguments: --)([\w.]+)", line)
        if unknown:
            keys = [action.dest for action in self._actions]
            matches = difflib.get_close_matches(unknown[1], keys, n=3, cutoff=0.4) or [
                key for key in keys if key.endswith(unknown[1].split(".")[-1])
            ]
            line += f". Did you mean {' or '.join(matches)}?" if matches else ". See --help"
        self.exit(2, f"{self.prog}: error: {line}\n")


def experiment_parser(
    description: str,
    experiment: type[Experiment] = AgentExperiment,
    kind: type[ExperimentParser] = ExperimentParser,
) -> ExperimentParser:
    """Makes the parser of a program that runs one experiment.

    Args:
        description: What the program does.
        experiment: The dataclass whose fields become options.
        kind: The class of the parser.
    """
    parser = kind(description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", action="config", help="YAML file, or a name such as atari/fast_dqn"
    )
    parser.add_class_arguments(experiment)
    return parser


def built(kind: type[Settings], parser: ExperimentParser, parsed: Any) -> Settings:
    """Builds a frozen dataclass whose fields are options of `parser` from what it parsed."""
    settings = parser.instantiate(parsed)
    return _with_plain_numbers(
        kind(**{key.name: settings[key.name] for key in dataclasses.fields(kind)})
    )


def _with_plain_numbers(value: Any) -> Any:
    """Turns the parser's checked numbers into plain ones: libraries check for the exact type."""
    if dataclasses.is_dataclass(value):
        fields = {key.name: getattr(value, key.name) for key in dataclasses.fields(value)}
        return type(value)(**{name: _with_plain_numbers(item) for name, item in fields.items()})
    if isinstance(value, tuple):
        return tuple(_with_plain_numbers(item) for item in value)
    for number in (bool, int, float):
        if isinstance(value, number):
            return number(value)
    return value


class _FileParser(ExperimentParser):
    """A parser for a file that a program reads by itself: a mistake is an exception."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Raises the message."""
        raise ValueError(str(message).partition("error: ")[2].strip())


def load_experiment(path: str | Path, overrides: tuple[str, ...] = ()) -> Experiment:
    """Reads an experiment, of an agent or of a classifier, from a YAML file or by its name.

    Args:
        path: The file, or the name of an experiment.
        overrides: Command-line options such as ``("--seed", "1")``.

    Returns:
        The experiment, of the kind that has the file's sections.

    Raises:
        ValueError: If the file or an override does not fit.
    """
    kind = _kind_of(Path(find_config(str(path))))
    parser = experiment_parser("", kind, _FileParser)
    return built(kind, parser, parser.parse_args(["--config", str(path), *overrides]))


def _kind_of(path: Path) -> type[Experiment]:
    """Finds the kind of experiment that has a file's settings; an agent's if none has them all."""
    try:
        keys = _sections(path)
    except (OSError, yaml.YAMLError, ValueError, TypeError):
        return AgentExperiment  # whose parser says what is wrong with the file
    for kind in (AgentExperiment, ClassifierExperiment):
        if keys <= {key.name for key in dataclasses.fields(kind)}:
            return kind
    return AgentExperiment


def _sections(config: str | Path) -> set[str]:
    """Returns the outermost keys of a YAML file, given by its path or by its name."""
    content = _plain_yaml(Path(find_config(str(config))))
    return {str(key).split(".")[0] for key in content}


def _plain_yaml(path: Path) -> Any:
    """Reads a YAML file of settings, which may come from anybody.

    Raises:
        ValueError: If it has references, which may stand for more than any memory holds, or is
            nested more deeply than settings are.
    """
    text, depth = path.read_text(), 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"expected no references, got *{event.anchor}; write it out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"expected settings of {DEEPEST} levels at most, got more")
    return yaml.safe_load(text)
