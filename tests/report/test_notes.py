import pytest

from tfselfsup.report import notes
from tfselfsup.report.document import Contents, Section

TEXT = """\
# Not a section

dropped

## Pong

One line
and another.

- a list
- of two

##  On other data
Last.
"""


def test_notes_are_paragraphs_below_their_headings():
    assert notes.read(TEXT) == {
        "Pong": ("One line\nand another.", "- a list\n- of two"),
        "On other data": ("Last.",),
    }


def test_notes_follow_the_text_of_their_section():
    contents = Contents("?", (), (Section("Pong", ("first",), ()), Section("usps", (), ())), ())
    found = notes.added(contents, {"Pong": ("second",)})
    assert [section.text for section in found.sections] == [("first", "second"), ()]


@pytest.mark.parametrize("text", ["", "no heading", "### Pong\n\ntoo deep"])
def test_notes_without_a_heading_are_refused(text):
    with pytest.raises(ValueError, match="no such heading"):
        notes.read(text)


def test_notes_on_no_section_are_refused():
    contents = Contents("?", (), (Section("Pong", (), ()),), ())
    with pytest.raises(ValueError, match=r"one of the sections Pong, got Breakout;"):
        notes.added(contents, {"Pong": ("a",), "Breakout": ("b",)})
