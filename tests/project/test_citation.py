"""CITATION.cff, the package and the BibTeX of a paper name the same program."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

from arbench.report.paper.citation import AUTHORS, PUBLISHED, TITLE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SAID = yaml.safe_load(TEXT)
REQUIRED = {"cff-version", "message", "title", "authors"}
KNOWN = REQUIRED.union(
    ("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url"),
    ("preferred-citation", "references", "repository", "repository-artifact", "repository-code"),
    ("type", "url", "version"),
)
"""The keys of the Citation File Format 1.2.0 (https://doi.org/10.5281/zenodo.5171937)."""


def faults(text: str) -> list[str]:
    """Return where a text breaks the schema of the Citation File Format, as far as this project uses it."""
    said = yaml.safe_load(text)
    found = [f"lacks {name}" for name in sorted(REQUIRED - said.keys())]
    found += [f"unknown: {name}" for name in sorted(said.keys() - KNOWN)]
    found += [f"not text: {name}" for name in ("message", "title", "abstract") if not isinstance(said.get(name), str)]
    if said.get("cff-version") != "1.2.0":
        found.append("another version of the format")
    if said.get("type") not in ("software", "dataset"):
        found.append("neither software nor a dataset")
    people = said.get("authors") or []
    if not people or not all(one.get("name") or one.get("family-names") for one in people):
        found.append("an author without a name")
    for name in ("keywords", "license"):
        listed = said.get(name, [])
        if not listed or len(set(listed)) < len(listed) or not all(isinstance(one, str) for one in listed):
            found.append(f"{name} is empty, or has an entry twice")
    return found


def test_the_file_has_the_form_of_the_citation_file_format() -> None:
    assert faults(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("message: ", "massage: ", ["lacks message", "unknown: massage", "not text: message"]),
        ("  - name: ", "  - nom: ", ["an author without a name"]),
        ("type: software", "type: program", ["neither software nor a dataset"]),
        ("  - MIT", "  - Apache-2.0", ["license is empty, or has an entry twice"]),
        ("cff-version: 1.2.0", "cff-version: 1.1", ["another version of the format"]),
    ],
)
def test_a_fault_in_the_form_is_found(old: str, new: str, fault: list[str]) -> None:
    assert TEXT.count(old) == 1
    assert faults(TEXT.replace(old, new)) == fault


def test_the_bibtex_says_unreleased_until_there_is_an_address() -> None:
    address = SAID.get("url") or SAID.get("repository-code") or SAID.get("doi")
    assert bool(address) == ("date-released" in SAID) == ("not released" not in SAID["message"])
    assert (address or "Unreleased") in PUBLISHED


def test_title_version_authors_and_licence_are_the_same_everywhere() -> None:
    licences = PROJECT["license"].split(" AND ")
    assert (SAID["title"], SAID["version"], SAID["license"]) == (TITLE, PROJECT["version"], licences)
    assert [one["name"] for one in SAID["authors"]] == [AUTHORS]
    last = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Cite\n")[2]
    assert [one for one in licences if one not in last] == []
    assert PROJECT["name"] in TITLE
    assert PROJECT["description"].startswith(TITLE.partition(": ")[2])
