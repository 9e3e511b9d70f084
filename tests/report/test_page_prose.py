import pytest

from tfselfsup.report.page_prose import breakable, prose


def test_prose_is_markdown_with_tables():
    html = prose("One *word* and `x_y`.\n\n1. first\n2. second\n\n| a | b |\n|--|--:|\n| 1 | 2 |")
    assert "<p>One <em>word</em> and <code>x_y</code>.</p>" in html
    assert "<ol>\n<li>first</li>\n<li>second</li>\n</ol>" in html
    assert "<td>1</td>" in html


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a <img src=x onerror=y> b", "a &lt;img src=x onerror=y&gt; b"),
        ("<div>\n\na & b\n\n</div>", "a &amp; b"),
        ("![a](http://example.com/a.png)", "http://example.com/a.png"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
    ],
)
def test_html_and_images_are_shown_not_obeyed(text, shown):
    html = prose(text)
    assert shown in html
    assert not any(tag in html for tag in ("<script", "<img", "<div", "<b>"))


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://example.com/a", True),
        ("http://example.com", True),
        ("#pong", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        ("java&#115;cript:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
    ],
)
def test_a_link_leads_to_the_web_or_to_the_page(address, kept):
    html = prose(f"[text]({address})")
    assert ("href=" in html) == kept and "text</a>" in html


def test_a_long_name_may_go_on_in_the_next_line():
    assert breakable("training.learning_rate 0.001 & 2_3 <b>") == (
        "training.<wbr>learning_<wbr>rate 0.001 &amp; 2_3 &lt;b&gt;"
    )
