import base64
import configparser
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tfselfsup.report import page
from tfselfsup.report.document import Contents, LeftOut, Picture, Section, Table

PACKAGE = Path(page.__file__).parents[1]
VOID = {"meta", "link", "img", "br", "hr", "wbr"}


class Reader(HTMLParser):
    """Reads a page: its elements in order, each with its attributes and the text in it."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self._open = []
        self.feed(html)
        self.close()
        assert not self._open, "an element is not closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, texts in self._open:
            texts.append(data)

    def of(self, *tags):
        return [element for element in self.elements if element[0] in tags]

    def texts(self, *tags):
        return [" ".join("".join(texts).split()) for _, _, texts in self.of(*tags)]

    def attributes(self, name):
        return [attributes[name] for _, attributes, _ in self.elements if name in attributes]


def drawn():
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([0, 1], [1, 0], marker="o")
    return figure


def table(name="scores", title="Scores", note="In per cent.", **columns):
    return Table(name, title, note, pd.DataFrame(columns or {"agent": ["dqn"], "score": ["1.5"]}))


def contents(*items, question="Does it help?", answer=(), text=(), title="Pong", left_out=()):
    return Contents(question, answer, (Section(title, text, items),), left_out)


def read(*items, **others) -> Reader:
    return Reader(page.render(contents(*items, **others)))


def test_the_question_and_the_answer_come_before_all_else():
    answer = ("Rotation helps on pong.", "Whether it helps on breakout cannot be told.")
    reader = read(table(), answer=answer, text=("Text.",))
    assert reader.texts("title", "h1") == ["Does it help?"] * 2
    order = [tag for tag, *_ in reader.of("h1", "ul", "nav", "main")]
    assert order == ["h1", "ul", "nav", "main"]
    assert reader.texts("ul") == [" ".join(answer)]


def test_sections_are_in_order_and_the_contents_lead_to_them():
    sections = (
        Section("Pong", ("First.", "Second."), (table(),)),
        Section("Pong", (), (table("pong"),)),
    )
    left_out = (LeftOut(Path("runs/broken"), "it has not been scored"),)
    reader = Reader(page.render(Contents("?", (), sections, left_out)))
    assert [text.removesuffix(" #") for text in reader.texts("h2")] == [
        *("Contents", "Pong", "Pong", "Left out")
    ]
    links = [one for one in reader.attributes("href") if one.startswith("#")]
    assert set(links) == {"#report", "#pong", "#pong-2", "#left-out"}
    ids = reader.attributes("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links} | set(reader.attributes("aria-labelledby")) <= set(ids)


def test_what_was_left_out_is_named_with_the_reason():
    left_out = (LeftOut(Path("runs/broken"), "it has not been scored"),)
    reader = read(left_out=left_out)
    assert (reader.texts("dt"), reader.texts("dd")) == (["runs/broken"], ["it has not been scored"])
    assert "Left out" not in page.render(contents())


def test_a_table_has_headings_of_rows_and_columns_and_numbers_to_sort_by():
    scores = ["0.903 (95%: 0.890 to 0.916)", ""]
    reader = read(table(agent=["dqn", "random"], measured=scores, remark=["", "no run"]))
    heads = [(text, *_scope(element)) for text, element in zip_texts(reader, "th")]
    assert heads == [
        ("agent", "col", None),
        ("measured", "col", "number"),
        ("remark", "col", None),
        ("dqn", "row", None),
        ("random", "row", None),
    ]
    cells = [(text, element[1].get("data-number")) for text, element in zip_texts(reader, "td")]
    assert cells == [(scores[0], "0.903"), ("", None), ("", None), ("no run", None)]
    assert reader.texts("span") == ["(95%: 0.890 to 0.916)"]
    assert reader.texts("figcaption") == ["Scores In per cent."]


def zip_texts(reader, tag):
    return list(zip(reader.texts(tag), reader.of(tag), strict=True))


def _scope(element):
    return element[1]["scope"], element[1].get("class")


@pytest.mark.parametrize(("rows", "folded"), [(24, False), (25, True)])
def test_a_long_table_is_folded(rows, folded):
    reader = read(table(setting=[f"setting {row}" for row in range(rows)]))
    assert reader.texts("summary") == ["Show all 25 rows"] * folded
    assert len(reader.of("tr")) == rows + 1


def test_every_picture_has_a_text(tmp_path):
    image, film = tmp_path / "map.png", tmp_path / "game.mp4"
    image.write_bytes(b"image")
    film.write_bytes(b"film")
    reader = read(
        Picture("curves", "Curves", "A line that falls.", drawn()),
        Picture("map", "Map", "Where it looks.", file=image),
        Picture("game", "Game", "A game that is won.", file=film),
    )
    ((_, svg, _),) = reader.of("svg")
    assert svg["role"] == "img" and svg["aria-label"] == "A line that falls."
    ((_, img, _),) = reader.of("img")
    assert img["alt"] == "Where it looks." and img["src"].startswith("data:image/png;base64,")
    ((_, video, _),) = reader.of("video")
    assert video["aria-label"] == "A game that is won."
    assert video["src"].startswith("data:video/mp4;base64,")
    assert reader.texts("figcaption") == ["Curves", "Map", "Game"]


def test_a_picture_that_is_not_there_is_named(tmp_path):
    reader = read(Picture("map", "Map", "Where it looks.", file=tmp_path / "map.png"))
    assert any(text.startswith(f"{tmp_path}/map.png is not") for text in reader.texts("p"))


def test_paragraphs_and_notes_are_markdown():
    text = ("One *word* and `x`.\n\n- first\n- second\n\n| a | b |\n|--|--|\n| 1 | 2 |",)
    reader = read(table(note="`published` is the study's."), text=text)
    assert reader.texts("em") == ["word"] and reader.texts("code") == ["x", "published"]
    assert reader.texts("li")[-2:] == ["first", "second"]
    assert len(reader.of("table")) == 2
    # An image would have to be fetched, and HTML is shown, not obeyed.
    reader = read(text=("![a](http://example.com/a.png) <img src=x onerror=y>",))
    assert not reader.of("img") and "<img src=x onerror=y>" in "".join(reader.texts("main"))
    assert not read(text=("[a](javascript:alert(1))",)).of("a")[-1][1].get("href", "").count("java")


HOSTILE = """</title></style><script>alert("1")</script><img src=x onerror='y'>"""


def test_text_is_never_taken_for_html(tmp_path):
    file = tmp_path / f"{HOSTILE.replace('/', '_')}.gif"
    reader = read(
        table(
            HOSTILE, HOSTILE, HOSTILE, **{HOSTILE: [HOSTILE, "3"], "number": [f"3 ({HOSTILE})", ""]}
        ),
        Picture(HOSTILE, HOSTILE, HOSTILE, drawn()),
        Picture(HOSTILE, HOSTILE, HOSTILE, file=file),
        question=HOSTILE,
        answer=(HOSTILE,),
        text=(HOSTILE,),
        title=HOSTILE,
        left_out=(LeftOut(Path(HOSTILE), HOSTILE),),
    )
    assert len(reader.of("script")) == len(reader.of("style")) == len(reader.of("title")) == 1
    assert not reader.of("img")
    assert not [
        name for _, attributes, _ in reader.elements for name in attributes if name[:2] == "on"
    ]
    # It is all there, for a reader to see.
    plain = " ".join(HOSTILE.split())
    for tag in ("title", "h1", "strong", "th", "dt", "dd"):
        assert plain in " ".join(reader.texts(tag)), tag


def test_the_page_needs_nothing_else(tmp_path):
    image = tmp_path / "map.png"
    image.write_bytes(b"image")
    html = page.render(
        contents(table(), Picture("a", "A", "a", drawn()), Picture("map", "Map", "b", file=image))
    )
    reader = Reader(html)
    addresses = [*reader.attributes("src"), *reader.attributes("href")]
    assert len(addresses) > 4
    assert all(one.startswith(("#", "data:")) for one in addresses)
    (style,) = reader.texts("style")
    assert "url(" not in style and "@import" not in style
    assert "http" not in html.replace("http-equiv", "")


def test_the_browser_is_told_to_fetch_nothing_and_to_run_this_script_only():
    html = page.render(contents())
    (policy,) = [one for one in Reader(html).attributes("content") if "default-src" in one]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    script = re.search("<script>(.*)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["default-src"] == "'none'" and rules["script-src"] == f"'sha256-{digest}'"
    assert rules["img-src"] == rules["media-src"] == "data:"


def test_the_same_contents_give_the_same_page():
    pages = {page.render(contents(table(), Picture("a", "A", "a", drawn()))) for _ in range(2)}
    assert len(pages) == 1


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "index.html"
    page.write(contents(table(), question="Zürich?"), path)
    written = path.read_text(encoding="utf-8")
    assert written == page.render(contents(table(), question="Zürich?"))
    with pytest.raises(AttributeError):
        page.write(contents(table(), text=(3,)), path)
    assert path.read_text(encoding="utf-8") == written
    assert [*tmp_path.iterdir()] == [path]


def test_the_templates_go_along_when_the_package_is_built():
    setup = configparser.ConfigParser()
    setup.read(PACKAGE.parent / "setup.cfg")
    patterns = setup["options.package_data"][PACKAGE.name].split()
    built = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    templates = {path for path in (PACKAGE / "report/templates").rglob("*") if path.is_file()}
    assert len(templates) >= 4 and templates <= built
