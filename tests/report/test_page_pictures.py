import base64
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from tfselfsup.report.page_pictures import Embedder, inline_svg

REFERENCES = re.compile(r"""url\(#([^)]+)\)|\bhref="#([^"]+)\"""")


def drawn(title="pong") -> Figure:
    """A figure with letters, markers, a clipped line and a picture, all of which have ids."""
    figure = Figure(figsize=(4, 3))
    axes, beside = figure.subplots(1, 2)
    axes.plot([0, 1, 2], [1, 0, 5], marker="o", label="dqn")
    axes.set(title=title, xlim=(0, 1))
    axes.legend()
    beside.imshow(np.eye(3))
    return figure


def ids(svg) -> list[str]:
    return re.findall(r'\bid="([^"]+)"', svg)


def references(svg) -> set[str]:
    return {first or second for first, second in REFERENCES.findall(svg)}


def test_a_drawing_is_an_element_of_html():
    svg = inline_svg(drawn(), "A line that falls.", "curves")
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img" and root.get("aria-label") == "A line that falls."
    # 4 x 3 inches of 72 points.
    assert root.get("viewBox") == "0 0 288 216"
    assert svg.startswith("<svg ") and "xmlns" not in svg and "<ns0:" not in svg
    # A style in it would hold for the whole page, and metadata has addresses.
    assert "<style" not in svg and "<metadata" not in svg and "http" not in svg
    # Letters are outlines, and the picture is in it.
    assert "<text" not in svg and "<use" in svg and 'href="data:image/png;base64,' in svg


def test_its_ground_is_transparent():
    svg = inline_svg(drawn(), "", "curves")
    white = re.findall(r'<path[^>]*style="fill: #ffffff[^"]*"', svg)
    # Only the ground of the legend is not.
    assert len(white) == 1 and "opacity: 0.8" in white[0]


def test_all_ids_are_its_own_and_every_reference_is_met():
    one, other = (inline_svg(drawn(), "", name) for name in ("curves", "curves-2"))
    for svg, prefix in ((one, "curves--"), (other, "curves-2--")):
        assert len(ids(svg)) == len(set(ids(svg))) > 3
        assert references(svg) == set(ids(svg))
        assert all(name.startswith(prefix) for name in ids(svg))
    assert not set(ids(one)) & set(ids(other))


def test_the_same_drawing_gives_the_same_text():
    assert inline_svg(drawn(), "", "curves") == inline_svg(drawn(), "", "curves")


def test_the_words_of_a_drawing_are_escaped():
    svg = inline_svg(drawn("<b>&"), '"><script>', "curves")
    assert "<script" not in svg and "&quot;&gt;&lt;script&gt;" in svg and "<b>" not in svg


@pytest.mark.parametrize(
    ("ending", "kind", "media_type"),
    [
        ("png", "image", "image/png"),
        ("jpg", "image", "image/jpeg"),
        ("mp4", "video", "video/mp4"),
    ],
)
def test_a_file_is_embedded_byte_by_byte(tmp_path, ending, kind, media_type):
    content = bytes(range(256))
    file = tmp_path / f"map.{ending}"
    file.write_bytes(content)
    ((found, uri),) = Embedder().embed(file).items()
    assert found == kind
    head, _, encoded = uri.partition(",")
    assert head == f"data:{media_type};base64" and base64.b64decode(encoded) == content


def test_a_file_that_is_too_large_is_named(tmp_path):
    file = tmp_path / "game.mp4"
    file.write_bytes(bytes(1_000_001))
    absent = Embedder(of_a_file=1_000_000).embed(file)["absent"]
    assert absent == f"{file} is not on this page, which its 1.0 MB would make too large."
    assert "video" in Embedder(of_a_file=1_000_001).embed(file)


def test_all_files_together_have_a_limit(tmp_path):
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(bytes(4))
    large.write_bytes(bytes(6))
    embedder = Embedder(of_a_file=100, of_a_page=10)
    found = [*map(embedder.embed, (small, large, small))]
    assert [set(one) for one in found] == [{"image"}, {"image"}, {"absent"}]
    # What does not fit takes no place from what comes after it.
    embedder = Embedder(of_a_file=100, of_a_page=5)
    found = [*map(embedder.embed, (large, small))]
    assert [set(one) for one in found] == [{"absent"}, {"image"}]


def test_a_file_that_cannot_be_shown_is_named(tmp_path):
    gone, other = tmp_path / "gone.png", tmp_path / "notes.html"
    other.write_text("<b>")
    absent = Embedder().embed(gone)["absent"]
    assert absent == f"{gone} is not on this page: No such file or directory."
    absent = Embedder().embed(other)["absent"]
    assert absent == f"{other} is not on this page: it is none of .png, .jpg, .mp4."
