from pathlib import Path

import pandas as pd

from tfselfsup.report import markdown_report
from tfselfsup.report.document import Contents, LeftOut, Picture, Section, Table


def test_a_report_in_markdown():
    table = Table("scores", "Scores", "What they mean.", pd.DataFrame({"a": ["1"], "b": ["2"]}))
    picture = Picture("curve", "Curve", "It rises.", file=Path("elsewhere.png"))
    film = Picture("game", "Game", "It is played.", file=Path("elsewhere.mp4"))
    section = Section("Pong", ("One.", "Two."), (table, picture, film))
    contents = Contents("Does it help?", ("Yes.", "No."), (section,), (LeftOut(Path("x"), "y"),))
    files = {"curve": Path("figures/curve.png"), "game": Path("figures/game.mp4")}
    assert (
        markdown_report.render(contents, files)
        == """\
# Does it help?

- Yes.
- No.

## Pong

One.

Two.

### Scores

What they mean.

| a   |   b |
|:----|----:|
| 1   |   2 |

### Curve

![It rises.](<figures/curve.png>)

### Game

[It is played.](<figures/game.mp4>)

## Left out

- x: y
"""
    )


def test_what_is_not_there_has_no_heading():
    assert markdown_report.render(Contents("?", (), (), ()), {}) == "# ?\n"


def test_an_introduction_stands_before_the_answer():
    contents = Contents("?", ("Yes.",), (), (), introduction="What is asked.")
    assert markdown_report.render(contents, {}) == "# ?\n\nWhat is asked.\n\n- Yes.\n"


def test_names_of_folders_are_no_markup():
    assert markdown_report.plain("a\n<script> *b* [c](d)") == r"a \<script\> \*b\* \[c\](d)"
