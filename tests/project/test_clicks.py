"""How many clicks a reader needs: the links between the documents, from the two pages where reading starts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STARTS = ("README.md", "docs/index.md")
NEAR = 2
LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)")
GOALS = {
    "cite": (r"^#+ Cite", r"arbench report \S+ --style paper"),
    "repeat": (r"^#+ Repeat", r"arbench run \.\.\. --out"),
    "compare": (r"^#+ Compare", r"arbench compare \S+ \S+"),
    "gate": (r"^#+ A gate", r"arbench check --against"),
}
"""Goals of a reader, each with the heading and the command of the page that serves it."""


def pages() -> dict[str, str]:
    """Return the text of every document, by its path in the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("reports/*/*.md")]
    return {str(page.relative_to(ROOT)): page.read_text(encoding="utf-8") for page in found}


def clicks(start: str, texts: Mapping[str, str]) -> dict[str, int]:
    """Return the number of clicks from one document to each other one that its links lead to."""
    found, latest = {start: 0}, [start]
    while latest:
        targets = [
            (os.path.normpath(os.path.join(os.path.dirname(page), link)), found[page] + 1)
            for page in latest
            for link in LINK.findall(texts[page])
        ]
        latest = [target for target in dict.fromkeys(target for target, _ in targets) if target not in found]
        latest = [target for target in latest if target in texts]
        found |= {target: count for target, count in targets if target in latest}
    return found


def near(start: str, goal: str, texts: Mapping[str, str]) -> list[str]:
    """Return the documents within two clicks that say how to do something."""
    return [
        page
        for page, count in clicks(start, texts).items()
        if count <= NEAR and all(re.search(pattern, texts[page], re.MULTILINE) for pattern in GOALS[goal])
    ]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("goal", GOALS)
def test_a_reader_finds_it_within_two_clicks(start: str, goal: str) -> None:
    assert near(start, goal, pages())


@pytest.mark.parametrize("start", STARTS)
def test_every_page_is_within_two_clicks(start: str) -> None:
    texts = pages()
    found = clicks(start, texts)
    far = [page for page in texts if page.startswith("docs/") and found.get(page, NEAR + 1) > NEAR]
    assert not far


def test_what_no_link_leads_to_is_not_found() -> None:
    texts = pages()
    hidden = {page: re.sub(r"\]\([^)\s]*gate\.md[^)]*\)", "]", text) for page, text in texts.items()}
    assert near("README.md", "gate", hidden) == []
    chain = {"a.md": "[b](x/b.md)", "x/b.md": "[c](../c.md) [up](../a.md)", "c.md": "[d](d.md)", "d.md": ""}
    assert clicks("a.md", chain) == {"a.md": 0, "x/b.md": 1, "c.md": 2, "d.md": 3}
