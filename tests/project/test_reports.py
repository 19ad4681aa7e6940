"""Committed reports: their commands, pages that this version makes too, and pictures that have results beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbench.bench.analyse import derive
from arbench.report.drawings import draw
from arbench.report.figures.drawing import Drawing
from arbench.report.labels import model_label, of_models
from arbench.report.models.profiles import profiles
from arbench.report.models.samples import exhibition
from arbench.report.page import page as rendered
from arbench.report.summary import summary
from arbench.results import read

ROOT = Path(__file__).parents[2]
REPORTS = sorted(folder for folder in (ROOT / "reports").iterdir() if folder.is_dir())
PAGES = sorted(one.parent.relative_to(ROOT).as_posix() for one in (ROOT / "reports").rglob("report.html"))
BLANK = '<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt"></svg>\n'
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


@pytest.mark.parametrize("name", PAGES)
def test_a_kept_page_and_summary_are_those_of_this_version(name, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    folder = Path(name)
    results = read(folder)
    for line in derive(results, {case.id: case.stopped_by for case in results.cases.values() if case.stopped_by}):
        results.add(line)
    drawings = draw(results)
    said = exhibition(results, folder, folder), profiles(results, folder, folder)
    again = f"it is older than the code that renders it: arbench report {name}"
    kept = {file.stem for file in (folder / "figures").glob("*.svg")}
    assert kept == {one.name for one in drawings}, again
    assert (folder / "summary.md").read_text(encoding="utf-8") == summary(results, drawings, *said), again
    # figures take seconds, and another Matplotlib draws them otherwise: here they are empty
    monkeypatch.setattr(Drawing, "svg", BLANK)
    shown = (
        without_figures(text)
        for text in ((folder / "report.html").read_text("utf-8"), rendered(results, drawings, *said))
    )
    assert next(shown) == next(shown), again


@pytest.mark.parametrize(
    "file", sorted((ROOT / "reports").rglob("*.svg")), ids=lambda file: f"{file.relative_to(ROOT)}"
)
def test_a_kept_figure_can_be_seen_in_a_dark_viewer(file) -> None:
    first = re.search(r"<path [^>]*>", file.read_text(encoding="utf-8"))
    assert first is not None
    assert 'style="fill: #ffffff"' in first[0], "ink is dark, so paper must be white"


def without_figures(text: str) -> str:
    """Return the page with nothing inside its figures."""
    return re.sub(r'<svg role="img".*?</svg>', "", text, flags=re.DOTALL)
