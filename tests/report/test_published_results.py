"""docs/results.md is written by bin/report, and has to be written anew when that changes."""

from pathlib import Path

import pytest

from tfselfsup.programs.report import write_report
from tfselfsup.report import agent_sections, evidence

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_published_results_are_written_by_this_report():
    text = (DOCS / "results.md").read_text()
    assert evidence.RULE in text
    assert agent_sections.STATISTICS_NOTE in text and agent_sections.CURVES_NOTE in text


def test_the_published_results_have_the_notes_as_they_are():
    text = (DOCS / "results.md").read_text()
    paragraphs = (DOCS / "results_notes.md").read_text().split("\n\n")
    assert len(paragraphs) > 10
    for paragraph in paragraphs[2:]:  # after the title and what the notes are
        if not paragraph.startswith("#"):
            assert paragraph.strip() in text


@pytest.mark.slow
def test_the_published_results_are_what_the_report_writes_of_the_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(DOCS.parent)
    runs = sorted(Path("docs/results").iterdir())
    written = write_report(runs, tmp_path, "docs/results_notes.md")
    assert written.replace("(<figures/", "(<report/figures/") == (DOCS / "results.md").read_text()
