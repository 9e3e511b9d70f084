import pytest

from tfselfsup.rl.game_names import known_games, resolve_game


@pytest.mark.parametrize(
    "name, game",
    [
        ("Pong", "pong"),
        ("MsPacman", "ms_pacman"),
        ("ms-pacman", "ms_pacman"),
        ("Ms. Pacman", "ms_pacman"),
        ("space invaders", "space_invaders"),
    ],
)
def test_names_are_forgiving(name, game):
    assert resolve_game(name) == game


def test_every_game_is_found_by_its_own_name():
    assert len(known_games()) > 50
    assert [resolve_game(game) for game in known_games()] == known_games()


@pytest.mark.parametrize("name, near", [("pongg", "pong"), ("brekout", "breakout"), ("?", "pong")])
def test_an_unknown_game_gives_near_names_in_one_line(name, near):
    with pytest.raises(ValueError, match="expected the name of an Atari game") as error:
        resolve_game(name)
    message = str(error.value)
    assert repr(name) in message and "\n" not in message
    assert near in message.split("try one of: ")[1].split(", ")
