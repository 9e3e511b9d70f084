import pytest

from tfselfsup.report.page_anchors import Anchors


@pytest.mark.parametrize(
    ("title", "anchor"),
    [
        ("Space invaders", "space-invaders"),
        ("pong_learning_curves", "pong-learning-curves"),
        ("  On -- other data!", "on-other-data"),
        ("<script>", "script"),
        ("ü", "part"),
        ("", "part"),
    ],
)
def test_an_anchor_is_made_of_letters_and_digits(title, anchor):
    assert Anchors().new(title) == anchor


def test_no_anchor_is_given_twice():
    anchors = Anchors()
    given = [anchors.new(title) for title in ("pong", "Pong!", "pong 2", "pong", "pong-2")]
    assert given == ["pong", "pong-2", "pong-2-2", "pong-3", "pong-2-3"]
