"""Committed reports: each says which command made it, and the documents' pictures have results beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbench.report.labels import model_label, of_models
from arbench.results import read

ROOT = Path(__file__).parents[2]
REPORTS = sorted(folder for folder in (ROOT / "reports").iterdir() if folder.is_dir())
MAKES = re.compile(r"(?:^    |`)(?:arbench (?:run|kernels|history)|python benchmarks/\w+\S*\.py) ", re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\((?!https?:)([^)\s]+)\)")


def pictures() -> Iterator[Path]:
    """Yield the files of the pictures that the README and the documents show."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for place in PICTURE.findall(page.read_text(encoding="utf-8")):
            yield (page.parent / place).resolve()


@pytest.mark.parametrize("folder", REPORTS, ids=lambda folder: folder.name)
def test_a_report_names_the_command_that_made_it(folder: Path) -> None:
    assert MAKES.search((folder / "README.md").read_text(encoding="utf-8"))


def test_pictures_of_the_documents_come_from_results_that_are_committed() -> None:
    shown = list(pictures())
    assert shown
    for picture in shown:
        results = read(picture.parents[1] / "results.jsonl")
        text = picture.read_text(encoding="utf-8")
        assert [label for label in {model_label(case) for case in of_models(results)} if label not in text] == []
