"""Screenshots of the page of a report, in both themes and at two widths, and its pages as printed.

    python benchmarks/page_shots.py reports/cpu-2core --out reports/page

renders the page of a run and writes ``top-light.png``, ``top-dark.png``, ``phone-light.png``, ``phone-dark.png``,
``case.png`` (a case beside the pointer) and ``table.png`` (sorted and filtered, one method switched off). It needs
Chromium and ``pip install '.[page]'``.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from PIL import Image

from arbench.report import render
from arbench.results import read

WIDE, PHONE, CASE = (1100, 1150), (390, 844), (1100, 1000)
"""Width and height of the screens, pixels."""
COLOURS = 128
"""Colours of a picture, so that it is small."""


def saved(page: Any, file: Path) -> None:
    """Write what a page shows as a small PNG."""
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        file, optimize=True
    )
    click.echo(f"{file}  {file.stat().st_size:,} bytes")


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the pictures.")
def main(run: Path, out: Path) -> None:
    """Write screenshots of the page of RUN."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("no browser found: install Chromium")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        address = render(read(run), folder)[0].as_uri()
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])

        def opened(size: tuple[int, int], theme: str) -> Any:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
            page.goto(address)
            page.locator(".switches").wait_for(state="visible")
            return page

        for name, size in (("top", WIDE), ("phone", PHONE)):
            for theme in ("light", "dark"):
                saved(opened(size, theme), out / f"{name}-{theme}.png")
        page = opened(CASE, "light")
        page.evaluate("document.querySelector('#model-1').scrollIntoView()")
        page.locator("#model-1 a.of").first.focus()
        page.locator("#tip").wait_for(state="visible")
        cut = page.evaluate("(tip => tip.scrollHeight - tip.clientHeight)(document.querySelector('#tip'))")
        if cut > 1:
            sys.exit(f"{cut} pixels of the case are cut off: make CASE in {Path(__file__).name} higher")
        saved(page, out / "case.png")
        page = opened((1100, 700), "dark")
        page.evaluate("document.querySelector('#cases').scrollIntoView()")
        page.locator(".switch input").first.uncheck()
        page.locator("#cases input[type=search]").fill("sample")
        page.locator("#cases th .sort", has_text="time (").first.click()
        page.wait_for_timeout(200)
        saved(page, out / "table.png")
        browser.close()


if __name__ == "__main__":
    main()
