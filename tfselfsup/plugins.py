"""Parts that other installed packages add: tasks, trunks and data sets, as entry points.

A package declares them in its pyproject.toml, in tables such as
`[project.entry-points."tfselfsup.tasks"]`; settings then name them like the parts that are here. A
file of settings may come from anybody, so it can name only what somebody declared and installed,
and no module to be imported.
"""

from __future__ import annotations

import functools
import importlib.metadata
import itertools
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

GROUPS = ("tasks", "trunks", "data")

Part = TypeVar("Part")


def names(group: str, own: Collection[str]) -> list[str]:
    """Lists the parts that are here, and then those that installed packages add.

    Args:
        group: One of `GROUPS`.
        own: Names of those that are here.

    Raises:
        ValueError: If a package adds a name that is here, or two add the same one.
    """
    found = _added(group)
    taken = sorted(set(own) & set(found))
    if taken:
        raise ValueError(
            f"expected names of its own in tfselfsup.{group} of {_package(found[taken[0]])}, got "
            f"'{taken[0]}', which is taken; rename it there, or uninstall the package"
        )
    return [*own, *found]


def load(group: str, name: str, expected: str, fits: Callable[[object], bool]) -> object:
    """Imports what an installed package adds.

    Args:
        group: As for `names`.
        name: One of the added names.
        expected: What it should be, for messages, such as `a trunk`.
        fits: Tells whether it is.

    Raises:
        ValueError: If it cannot be imported, or is something else.
    """
    point = _added(group)[name]
    try:
        part = point.load()
    except Exception as error:  # a module of somebody else's may raise anything
        got = f"{type(error).__name__}: {error}"
    else:
        if fits(part):
            return part
        got = f"{part!r}"
    raise ValueError(
        f"expected {expected} as '{name}' of tfselfsup.{group} in {_package(point)}, "
        f"{point.value}, got {got}; correct it, or uninstall the package"
    )


def find(
    group: str,
    expected: str,
    own: Mapping[str, Part],
    name: str,
    fits: Callable[[object], bool],
) -> Part:
    """Finds a part by its name, here or in an installed package.

    Args:
        group: As for `names`.
        expected: As for `load`.
        own: The parts that are here.
        name: The name.
        fits: As for `load`.

    Raises:
        ValueError: If there is no such part, or as `names` and `load` say.
    """
    known = names(group, own)
    if name not in known:
        raise ValueError(f"expected {expected} among {', '.join(known)}, got '{name}'")
    return own[name] if name in own else load(group, name, expected, fits)


def packages() -> dict[str, str]:
    """Lists the installed packages that add something, and their versions."""
    points = [point for group in GROUPS for point in _points(group)]
    return {point.dist.name: point.dist.version for point in points if point.dist}


@functools.cache
def _added(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    # The metadata of every package are read, which takes long enough to do it once only.
    points = sorted(_points(group), key=lambda point: point.name)
    for one, other in itertools.pairwise(points):
        if one.name == other.name:
            raise ValueError(
                f"expected each name once in tfselfsup.{group}, got '{one.name}' of both "
                f"{_package(one)} and {_package(other)}; rename it in one, or uninstall one"
            )
    return {point.name: point for point in points}


def _points(group: str) -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=f"tfselfsup.{group}")


def _package(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist else "an installed package"
