"""CITATION.cff, the package and the BibTeX of a paper name the same program."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from arbench.report.paper.citation import AUTHORS, TITLE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def field(name: str) -> str:
    (found,) = re.findall(rf"^{name}: (.+)$", TEXT, flags=re.MULTILINE)
    return found.strip('"')


def test_title_version_authors_and_licence_are_the_same_everywhere() -> None:
    assert field("title") == TITLE
    assert field("version") == PROJECT["version"]
    assert re.findall(r"^  - name: (.+)$", TEXT, flags=re.MULTILINE) == [AUTHORS]
    licences = re.findall(r"^license:\n((?:  - .+\n)+)", TEXT, flags=re.MULTILINE)
    assert [one.replace("  - ", "").split() for one in licences] == [PROJECT["license"].split(" AND ")]
    assert PROJECT["name"] in TITLE
    assert PROJECT["description"].startswith(TITLE.partition(": ")[2])
