"""Names of Atari games; without TensorFlow, as a plan has to check them, too."""

import difflib
import functools
import re

import ale_py
from ale_py import roms


def known_games() -> list[str]:
    """Lists the games that one player can play, in the emulator's spelling (`ms_pacman`)."""
    return [
        name
        for name in sorted(roms.get_all_rom_ids())
        # Four cartridges come with the emulator that only two can play; it refuses those.
        if ale_py.ALEInterface.isSupportedROM(roms.get_rom_path(name))
    ]


@functools.cache  # a plan asks for the same few games again and again, which opens all cartridges
def resolve_game(name: str) -> str:
    """Finds the emulator's name of a game, whatever the case, spaces, dashes or underscores.

    Args:
        name: For instance `pong`, `Pong`, `MsPacman`, `ms-pacman` or `Ms. Pacman`.

    Returns:
        One of `known_games()`.

    Raises:
        ValueError: If there is no such game; the message lists the nearest names.
    """
    known = {_letters(game): game for game in known_games()}
    wanted = _letters(name)
    if wanted not in known:
        near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.3) or known
        raise ValueError(
            f"expected the name of an Atari game, got {name!r}; "
            f"try one of: {', '.join(known[letters] for letters in near)}"
        )
    return known[wanted]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
