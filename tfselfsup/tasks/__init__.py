"""Self-supervised tasks, one file each, found by the name of the file.

`tasks.get('frame_order', classes=12)` makes the task of `frame_order.py`. A new task is a new file
in this folder with one subclass of `Task`; nothing else has to know of it. It may also be a file of
another package, which declares it as an entry point of the group `tfselfsup.tasks`.
"""

import importlib
import inspect
import pkgutil
import types

from tfselfsup import plugins
from tfselfsup.tasks.base import Examples, Task

__all__ = ["Examples", "Task", "get", "names"]

GROUP = "tasks"  # of entry points


def names() -> list[str]:
    """Lists the tasks, without importing them: those in the folder, then those of packages.

    Raises:
      ValueError: a package's task has the name of one in the folder.
    """
    return plugins.names(GROUP, _own_names())


def get(name: str, /, **options) -> Task:
    """Makes a task by its name.

    Args:
      name: one of `names()`.
      **options: the options of the task's constructor, described in its class.

    Returns:
      The task.

    Raises:
      ValueError: the name or an option is unknown, an option has an invalid value, or the task's
        file cannot be imported or does not define exactly one task.
    """
    if name not in names():
        raise ValueError(f"unknown task {name!r}; valid tasks: {', '.join(names())}")
    task_class = _task_class(_module(name))
    valid = list(inspect.signature(task_class).parameters)
    for option in options:
        if option not in valid:
            raise ValueError(
                f"task {name!r} has no option {option!r}; "
                f"valid options: {', '.join(valid) or 'none'}"
            )
    return task_class(**options)


def _own_names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")


def _module(name: str) -> types.ModuleType:
    """Imports the file of a task, which has its name."""
    if name in _own_names():
        return importlib.import_module(f"{__name__}.{name}")
    return plugins.load(
        GROUP,
        name,
        f"a module {name}",
        lambda part: inspect.ismodule(part) and part.__name__.rpartition(".")[2] == name,
    )


def _task_class(module: types.ModuleType) -> type[Task]:
    classes = [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Task) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise ValueError(
            f"{module.__name__} must define exactly one subclass of Task, found {len(classes)}"
        )
    return classes[0]
