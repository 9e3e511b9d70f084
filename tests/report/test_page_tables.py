import pandas as pd
import pytest

from tfselfsup.report.page_tables import Cell, cell, grid, sort_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.903 (95%: 0.890 to 0.916)", 0.903),
        ("-3.3 (3 seeds: -3.8 to -2.6)", -3.3),
        ("1,234", 1234),
        ("1,000,001.5", 1_000_001.5),
        ("+2.0", 2),
        ("-21", -21),
        (".5", 0.5),
        ("1e-4", 1e-4),
        ("1.5E+3", 1500),
        ("97%", 97),
        ("12 of 60", 12),
        # From before a calibration to after it: what was arrived at.
        ("0.650 -> 0.625 (95%: 0.5 to 0.75)", 0.625),
    ],
)
def test_a_cell_is_sorted_by_the_number_it_begins_with(text, number):
    assert sort_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "resnet50", "3x", "2.15.1", "2026-11-26", "-", "e-4", "(3)", "no run", "-> none"]
)
def test_other_cells_have_no_number(text):
    assert sort_number(text) is None


def test_an_interval_is_taken_off_its_figure():
    text = "0.650 -> 0.625 (95%: 0.5 to 0.75)"
    assert cell(text) == Cell("0.650 -> 0.625", "(95%: 0.5 to 0.75)", 0.625)
    assert cell("75.0") == Cell("75.0", "", 75)
    # Of a name the brackets are a part.
    assert cell("bigbigan (stand-in)") == Cell("bigbigan (stand-in)", "", None)
    assert cell("3 (a) (b)") == Cell("3 (a) (b)", "", 3)


def test_a_column_is_numeric_if_all_that_is_in_it_is_a_number():
    frame = pd.DataFrame(
        {
            "agent": ["dqn", "7 frames"],
            "measured": ["-20.5 (95%: -21 to -20)", ""],
            "nothing": ["", ""],
            "mixed": ["1.0", "no run"],
        }
    )
    table = grid(frame)
    assert table.headings == ("agent", "measured", "nothing", "mixed")
    assert table.numeric == (False, True, False, False)
    assert table.rows[1] == (
        *(Cell("7 frames", "", 7), Cell("", "", None), Cell("", "", None)),
        Cell("no run", "", None),
    )


def test_figures_are_written_as_in_other_tables():
    frame = pd.DataFrame({"score": [1.5, None], "steps": pd.array([500001, None], "Int64")})
    texts = [[one.text for one in row] for row in grid(frame).rows]
    assert texts == [["1.50", "500,001"], ["", ""]]


def test_a_table_may_have_no_row():
    table = grid(pd.DataFrame({"agent": [], "measured": []}))
    assert table.headings == ("agent", "measured") and table.rows == ()
    assert table.numeric == (False, False)
