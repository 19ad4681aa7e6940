"""Pages in a headless Chromium, which must be installed; Playwright drives it and downloads nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

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
def lack() -> Callable[[str], NoReturn]:
    """Return what ends a test that lacks something: it skips, or fails where ``ARBENCH_PAGES`` is ``required``."""

    def lack(why: str) -> NoReturn:
        if os.environ.get("ARBENCH_PAGES") == "required":
            pytest.fail(f"{why} (the tests of pages are required here: ARBENCH_PAGES)", pytrace=False)
        pytest.skip(why)

    return lack


def program(lack: Callable[[str], NoReturn]) -> str:
    """Return the path of a browser that Playwright can drive; a machine without one says what it lacks."""
    if find_spec("playwright") is None:
        lack("playwright is not installed: pip install '.[page]'")
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        lack(f"no browser found: install one of {', '.join(PROGRAMS)}")
    return found


@pytest.fixture(scope="session")
def browser(lack: Callable[[str], NoReturn]) -> Iterator[Any]:
    """A browser, for all tests."""
    path = program(lack)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # as root, Chromium starts only without its sandbox; the pages are our own
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
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
