import pandas as pd

from tfselfsup.report import document
from tfselfsup.report.document import Picture, Section, Table


def test_items_of_one_name_are_numbered():
    frame = pd.DataFrame()
    items = (Table("a", "", "", frame), Picture("a", "", ""), Table("b", "", "", frame))
    sections = [Section("one", (), items), Section("two", (), items[:1])]
    renamed = document.with_names_of_their_own(sections)
    names = [item.name for section in renamed for item in section.items]
    assert names == ["a", "a_2", "b", "a_3"]


def test_the_exact_figures_are_those_shown_unless_there_are_others():
    shown, exact = pd.DataFrame({"a": ["1.0"]}), pd.DataFrame({"a": [1.01]})
    assert Table("a", "", "", shown).exact is shown
    assert Table("a", "", "", shown, exact).exact is exact


def test_names_are_joined_as_in_a_sentence():
    assert document.listed(["a"]) == "a"
    assert document.listed(["a", "b", "c"]) == "a, b and c"
