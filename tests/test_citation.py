import re
from pathlib import Path

import yaml

import tfselfsup

ROOT = Path(__file__).parents[1]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
# Of the Citation File Format 1.2.0.
REQUIRED = {"cff-version", "message", "title", "authors"}
KNOWN = REQUIRED | {"abstract", "type", "version", "license", "keywords", "references"}
PERSON_OR_ENTITY = {"name", "family-names", "given-names"}


def test_required_keys_are_there_and_others_are_known():
    assert REQUIRED <= CITATION.keys() <= KNOWN
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert all(
        isinstance(CITATION[key], str) and CITATION[key]
        for key in KNOWN - {"authors", "keywords", "references"}
    )
    assert len(set(CITATION["keywords"])) == len(CITATION["keywords"]) > 0


def test_version_and_licence_are_the_packages():
    assert CITATION["version"] == tfselfsup.__version__
    (licence,) = re.findall(r"^license = (.+)$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
    assert CITATION["license"] == licence


def test_authors_have_names():
    assert CITATION["authors"] == [{"name": "The tfselfsup authors"}]
    for reference in CITATION["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        for author in reference["authors"]:
            assert author and author.keys() <= PERSON_OR_ENTITY


def test_the_study_is_named_as_in_the_readme():
    (study,) = CITATION["references"]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert study["type"] == "report"
    assert study["title"] in readme and str(study["year"]) in readme
    assert [author["family-names"] for author in study["authors"]] == ["Agarwal", "Sinha", "Ayush"]
