"""Where the pages must be tested, what is missing fails a test instead of skipping it; this needs no browser itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, load: Callable[[Path], Any], lack: Any) -> Callable[[], str]:
    """Return what looks for a browser on a machine that has none."""
    monkeypatch.setenv("PATH", "")
    module = load(Path(__file__).with_name("conftest.py"))
    return lambda: module.program(lack)


def test_a_missing_browser_skips_where_pages_are_not_required(
    ask: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARBENCH_PAGES", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"install one of chromium|pip install '\.\[page\]'"):
        ask()


def test_a_missing_browser_fails_where_pages_are_required(
    ask: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARBENCH_PAGES", "required")
    with pytest.raises(pytest.fail.Exception, match="the tests of pages are required here"):
        ask()


def test_ci_requires_them() -> None:
    assert "export ARBENCH_PAGES=${ARBENCH_PAGES:-required}\n" in (ROOT / ".ci" / "run").read_text()
    jobs = (ROOT / ".github" / "workflows" / "test.yml").read_text().partition("\n  pages:\n")[2]
    assert re.search(r"^      ARBENCH_PAGES: required\b", jobs, flags=re.MULTILINE)
