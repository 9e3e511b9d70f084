"""Drives the page in a real browser, where one is installed: what no reading of HTML can tell."""

import itertools
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tfselfsup.report import page
from tfselfsup.report.document import Contents, LeftOut, Picture, Section, Table
from tfselfsup.runs.mp4 import mp4

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the extra `browser` is not installed"
)
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="the extra `browser` is not installed"
)

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=f"there is none of {', '.join(NAMES)}")

NARROW, MIDDLE, WIDE = 360, 1120, 1600
LOOKS = [(NARROW, "dark"), (MIDDLE, "light"), (WIDE, "light"), (WIDE, "dark")]
LONG = "a_rather_long_name_of_a_folder_that_nothing_breaks_" * 3

# Boxes of what a reader reads or looks at; of those that contain one another only the inner one.
BOXES = """() => {
  const all = [...document.querySelectorAll(
    "h1, h2, p, li, dt, dd, summary, figcaption, .scroll, img, video")];
  const seen = all.filter((one) => one.checkVisibility() && !one.matches(".skip"));
  return seen
    .filter((one) => !seen.some((other) => other !== one && one.contains(other)))
    .map((one) => {
      const box = one.getBoundingClientRect();
      return [one.tagName + " " + one.textContent.trim().slice(0, 40),
              box.left, box.top, box.right, box.bottom];
    });
}"""
# Cells whose content is wider than they are.
CUT_OFF = """() => [...document.querySelectorAll("th, td, button, p, li, figcaption")]
  .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1
                   && one.clientWidth > 0)
  .map((one) => one.textContent.trim())"""


def drawn():
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1, 2], [1, 0, 5], marker="o", label="dqn")
    axes.plot([0, 1, 2], [0, 2, 4], color="black", label="random")
    axes.set(xlabel="agent steps", ylabel="score", title="pong")
    axes.legend()
    return figure


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A page with all that a page can have."""
    folder = tmp_path_factory.mktemp("report")
    image = folder / "map.png"
    cv2.imwrite(str(image), np.full((90, 900, 3), 128, np.uint8))
    film = folder / "game.mp4"
    with mp4(film, 10, (64, 48)) as append:
        for column in range(0, 60, 5):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[20:24, column : column + 4] = 255
            append(picture)
    scores = pd.DataFrame(
        {
            "model": ["resnet50, 224", "alexnet 2", "mobilenet fine-tuned, 128", "alexnet 10"],
            "accuracy": ["-3.1", "", "10.5 (95%: 9.5 to 11.5)", "9.5 (95%: 8.5 to 10.5)"],
            "agent steps": ["1,234", "500", "20,000", ""],
            **{
                f"score {number}": ["0.653 -> 0.651 (95%: 0.640 to 0.662)"] * 4
                for number in range(9)
            },
        }
    )
    settings = pd.DataFrame({"setting": [f"agent.{LONG}{row}" for row in range(40)], "dqn": "1e-4"})
    sections = (
        Section(
            "Pong",
            (f"What `it` {LONG} says.", "- one\n- two"),
            (
                Table("scores", "Scores", "In per cent; `published` is the study's.", scores),
                Picture("curves", "Learning curves", "Two lines that rise.", drawn()),
                Picture("more_curves", "More curves", "The same again.", drawn()),
                Picture("map", "Map", "A grey bar.", file=image),
                Picture("game", "Game", "A dot that moves.", file=film),
                Picture("gone", "Game", "A game.", file=folder / f"{LONG}.mp4"),
            ),
        ),
        Section("Settings", (), (Table("settings", "What differs", "", settings),)),
    )
    answer = ("Rotation helps on pong: +3.1 (95%: 1.0 to 5.2).", "Breakout cannot be told.")
    left_out = (LeftOut(Path(f"runs/{LONG}"), "it has not been scored"),)
    path = folder / "index.html"
    page.write(Contents("Does a self-supervised task help?", answer, sections, left_out), path)
    return path


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        # The sandbox needs a user other than root; the page is our own.
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Looks:
    """Opens the report; what it asked for and complained about are its `requests` and `errors`."""

    def __init__(self, chromium, report):
        self._chromium, self._report = chromium, report
        self._contexts, self._kept = [], {}

    def __call__(self, width=WIDE, scheme="light", **options):
        size = {"width": width, "height": 900}
        context = self._chromium.new_context(viewport=size, color_scheme=scheme, **options)
        self._contexts.append(context)
        opened = context.new_page()
        opened.requests, opened.errors = [], []
        opened.on("request", lambda request: opened.requests.append(request.url))
        opened.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.on("console", lambda message: opened.errors.append(message.text))
        opened.goto(self._report.as_uri(), wait_until="load")
        return opened

    def kept(self, *look):
        """The same page for all tests that change nothing; all that can be unfolded is."""
        if look not in self._kept:
            self._kept[look] = self(*look)
            self._kept[look].locator("summary").click()
        return self._kept[look]

    def close(self):
        for context in self._contexts:
            context.close()


@pytest.fixture(scope="module")
def look(chromium, report):
    looks = Looks(chromium, report)
    yield looks
    looks.close()


def test_nothing_is_fetched_and_nothing_is_wrong(look, report):
    opened = look()
    asked = [url for url in opened.requests if not url.startswith("data:")]
    assert asked == [report.as_uri()]
    assert opened.errors == []
    assert opened.evaluate("document.images[0].naturalWidth") == 900


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_nothing_is_wider_than_the_page(look, width, scheme):
    opened = look.kept(width, scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert opened.evaluate(CUT_OFF) == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_nothing_overlaps(look, width, scheme):
    boxes = look.kept(width, scheme).evaluate(BOXES)
    assert len(boxes) > 15
    overlapping = [
        (name, other)
        for (name, *box), (other, *its) in itertools.combinations(boxes, 2)
        if min(box[2], its[2]) - max(box[0], its[0]) > 1
        and min(box[3], its[3]) - max(box[1], its[1]) > 1
    ]
    assert overlapping == []
    outside = [name for name, left, _, right, _ in boxes if left < 0 or right > width]
    assert outside == []


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_no_barrier(look, width, scheme):
    # Texts of pictures, contrast, headings, names of buttons and regions, and more.
    found = axe.Axe().run(look.kept(width, scheme))
    assert found.violations_count == 0, found.generate_report()


def test_every_picture_has_a_text(look):
    pictures = look.kept(WIDE, "light").locator("svg, img, video").all()
    assert [one.get_attribute("role") for one in pictures] == ["img", "img", None, None]
    names = [one.get_attribute("aria-label") or one.get_attribute("alt") for one in pictures]
    assert names == [
        *("Two lines that rise.", "The same again.", "A grey bar.", "A dot that moves.")
    ]


def test_a_film_can_be_played(look):
    film = look.kept(WIDE, "light").locator("video")
    film.scroll_into_view_if_needed()
    film.evaluate("one => one.play()")
    assert film.evaluate("one => [one.videoWidth, one.error]") == [64, None]


def column(opened, index):
    rows = opened.locator("#scores tbody tr").all()
    return [row.locator("th, td").nth(index).inner_text().split("\n")[0] for row in rows]


def test_a_pressed_heading_sorts_up_then_down_then_not(look):
    opened = look()
    before = column(opened, 0)
    heading = opened.locator("#scores thead th").nth(1)
    button = heading.get_by_role("button")
    assert heading.get_attribute("aria-sort") is None
    button.click()
    # By the number, not by its letters, and the empty cell last.
    assert column(opened, 1) == ["-3.1", "9.5", "10.5", ""]
    assert heading.get_attribute("aria-sort") == "ascending"
    # Rows stay whole.
    assert column(opened, 0) == [before[index] for index in (0, 3, 2, 1)]
    button.click()
    assert column(opened, 1) == ["10.5", "9.5", "-3.1", ""]
    assert heading.get_attribute("aria-sort") == "descending"
    button.click()
    assert column(opened, 0) == before
    assert heading.get_attribute("aria-sort") is None


def test_the_keyboard_sorts_too_and_by_one_column_only(look):
    opened = look()
    headings = opened.locator("#scores thead th")
    headings.nth(2).get_by_role("button").focus()
    opened.keyboard.press("Enter")
    assert column(opened, 2) == ["500", "1,234", "20,000", ""]
    opened.keyboard.press("Shift+Tab")
    opened.keyboard.press("Shift+Tab")
    opened.keyboard.press("Space")
    # Names by their words, and numbers in them as numbers.
    assert column(opened, 0) == [
        *("alexnet 2", "alexnet 10", "mobilenet fine-tuned, 128", "resnet50, 224")
    ]
    sorts = [one.get_attribute("aria-sort") for one in headings.all()]
    assert sorts[:3] == ["ascending", None, None]


def test_a_wide_table_scrolls_in_its_box_and_keeps_its_names(look):
    opened = look(NARROW)
    box = opened.locator("#scores .scroll")
    name = opened.locator("#scores tbody th").first
    left = name.bounding_box()["x"]
    box.evaluate("one => one.scrollLeft = 200")
    assert box.evaluate("one => one.scrollLeft") == 200
    assert name.bounding_box()["x"] == left
    # There is room beside the names.
    assert name.bounding_box()["width"] < NARROW / 2
    # What scrolls is reached with the keyboard.
    box.focus()
    opened.keyboard.press("ArrowRight")
    # Smoothly, that is, not at once.
    for _ in range(100):
        if box.evaluate("one => one.scrollLeft") > 200:
            return
        opened.wait_for_timeout(50)
    raise AssertionError("the arrow does not scroll")


def brightness(opened, selector, name):
    text = opened.locator(selector).first.evaluate(f"one => getComputedStyle(one).{name}")
    return sum(float(value) for value in text.strip("rgb()").split(",")) / 3


def test_the_dark_page_is_dark_and_so_are_its_drawings(look):
    light, dark = (look.kept(WIDE, scheme) for scheme in ("light", "dark"))
    assert brightness(light, "body", "backgroundColor") > 240
    assert brightness(dark, "body", "backgroundColor") < 40
    # What matplotlib drew in black is light there: the frame of the axes, and the letters.
    line = '#curves svg [style*="stroke: #000000"]'
    assert brightness(light, line, "stroke") < 40
    assert brightness(dark, line, "stroke") > 200
    assert brightness(dark, "#curves svg use", "fill") > 200
    # A line's own colour stays.
    own = '#curves svg [style*="stroke: #1f77b4"]'
    assert brightness(dark, own, "stroke") == brightness(light, own, "stroke")


def test_the_contents_stand_beside_the_report_where_there_is_room(look):
    for width, beside in ((NARROW, False), (WIDE, True)):
        opened = look(width)
        nav, main = (opened.locator(one).bounding_box() for one in ("nav", "main"))
        assert (nav["x"] + nav["width"] < main["x"]) == beside
    opened.get_by_role("link", name="Settings", exact=True).click()
    assert opened.url.endswith("#settings")
    # It stays in sight.
    assert opened.locator("nav").bounding_box()["y"] >= 0


def test_paper_shows_what_is_folded(look):
    opened = look(scheme="dark")
    details = opened.locator("details")
    assert details.get_attribute("open") is None
    assert opened.pdf().startswith(b"%PDF")
    assert details.get_attribute("open") is not None


def test_without_the_script_all_is_there(look):
    opened = look(java_script_enabled=False)
    assert column(opened, 2) == ["1,234", "500", "20,000", ""]
    assert opened.locator("thead button").count() == 0
    assert opened.errors == []
