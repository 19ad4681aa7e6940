"""Pages in a headless Chromium, which must be installed; Playwright drives it and downloads nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Opened:
    """A page that is open, with all that it said and asked for.

    Attributes:
        page: Playwright's page.
        said: lines of the console, and errors.
        asked: addresses of everything that it asked for, itself included.
    """

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A browser; a machine without one skips, and says why."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[page]'")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser found: install one of {', '.join(PROGRAMS)}")
    with driver.sync_playwright() as playwright:
        # as root, Chromium starts only without its sandbox; the pages are our own
        found = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def report(results: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the synthetic run of three models."""
    from arbench.report import render

    return render(results, tmp_path_factory.mktemp("page"))[0]


@pytest.fixture(scope="session")
def kernel_report(kernels: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the synthetic run of kernels."""
    from arbench.report import render

    return render(kernels, tmp_path_factory.mktemp("kernels_page"))[0]


@pytest.fixture(scope="session")
def several_report(results: Any, both: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two synthetic runs that share cases."""
    from arbench.report import render_several

    folder = tmp_path_factory.mktemp("several_page")
    return render_several({"first": (results, folder), "second": (both, folder)}, folder)[0]


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Open a file in a fresh context; keyword arguments are those of Playwright's ``new_context``.

    Afterwards, whatever a test did, the page must have said nothing on the console and asked for itself alone.
    """
    contexts: list[Any] = []
    opened: list[Opened] = []

    def open_page(file: Path, size: tuple[int, int] = (1280, 900), **settings: Any) -> Opened:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **settings)
        contexts.append(context)
        context.set_default_timeout(20_000)
        one = Opened(context.new_page())
        one.page.on("console", lambda message: one.said.append(message.text))
        one.page.on("pageerror", lambda error: one.said.append(str(error)))
        one.page.on("request", lambda request: one.asked.append(request.url))
        one.page.goto(file.as_uri())
        opened.append(one)
        return one

    yield open_page
    for context in contexts:
        context.close()
    for one in opened:
        assert one.said == []
        assert {url for url in one.asked if not url.startswith("data:")} == {one.asked[0]}
