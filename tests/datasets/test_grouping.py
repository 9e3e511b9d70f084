"""Of `people`; the groups themselves are tested by the splits they make, in test_splits.py."""

import pandas as pd

from tfselfsup.datasets import grouping

INDEX = pd.DataFrame(
    [
        ("set", "a", "", ""),
        ("set", "a", "", "b"),
        ("dfd", "01__w", "01", ""),
        ("dfd", "01__w", "01", "02"),
    ],
    columns=["data_set", "source_id", "actor", "donor"],
)


def names(keys):
    return sorted(keys[["scope", "name"]].itertuples(index=False, name=None))


def test_everybody_is_named_by_source_and_actor():
    filmed, donors = grouping.people(INDEX)
    assert names(filmed) == [("dfd", "01")] * 2 + [("dfd", "01__w")] * 2 + [("set", "a")] * 2
    assert names(donors) == [("dfd", "02"), ("set", "b")]


def test_a_donor_is_named_as_the_actors_of_its_example_are():
    # The first film of `set` is called 02, as an actor of `dfd` is: they are not the same.
    index = INDEX.replace({"a": "02", "b": "02"}).assign(data_set="one")
    filmed, donors = grouping.people(index)
    by_source, by_actor = donors.itertuples(index=False, name=None)
    assert by_source[1:] == by_actor[1:] == ("one", "02")
    assert by_source != by_actor
    assert by_source in set(filmed.itertuples(index=False, name=None))
    assert by_actor not in set(filmed.itertuples(index=False, name=None))
