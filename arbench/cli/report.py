"""arbench report: render the report of a results file, of a finished or interrupted run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arbench.cli.errors import LostError, NothingError, RefusedError, check_writable, refusing
from arbench.cli.options import FilePath, details, json_rows
from arbench.cli.shell import check_shell

if TYPE_CHECKING:
    from arbench.results import Results

PAPER = "paper"
"""Style of a paper, and the folder that it is written into."""


@click.command("report")
@click.argument("path", type=FilePath())
@click.option("--out", type=FilePath(), help="Folder for the report.  [default: that of the results]")
@click.option(
    "--style",
    type=click.Choice(["page", PAPER]),
    default="page",
    show_default=True,
    help="What to write: the page with its figures; or, into the folder paper, figures as PDF and SVG at the width of "
    "a column, LaTeX tables, captions and BibTeX.",
)
@json_rows
@details
def command(path: Path, out: Path | None, style: str, as_json: bool, details: bool) -> None:
    """Render report.html, summary.md and figures from PATH, a results file or the folder of a run.

    All rows are computed from the recorded measurements, so the report of an interrupted run is complete up to the
    interrupt.
    """
    if style == PAPER and (as_json or details):
        raise RefusedError(f"--style paper prints no rows; leave out {'--json' if as_json else '--details'}")
    check_shell("arbench.report", "matplotlib.backends.backend_agg")
    from arbench.bench.analyse import derive
    from arbench.cli.show import show
    from arbench.results import locate, read

    with refusing():
        results = read(path)
        stopped = {case.id: case.stopped_by for case in results.cases.values() if case.stopped_by}
        for line in derive(results, stopped):
            results.add(line)
    folder = out or locate(path).parent
    check_writable(folder)
    if style == PAPER:
        _write_paper(results, locate(path), folder / PAPER)
    else:
        show(results, folder, as_json, locate(path), details)


def _write_paper(results: Results, file: Path, folder: Path) -> None:
    """Write what a paper needs, and print what was written."""
    from arbench.report.paper import render_paper

    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    try:
        written = render_paper(results, folder, digest)
    except OSError as error:
        raise LostError(f"cannot write into {folder}: {error.strerror}") from None
    if not written:
        raise NothingError(f"{file}: nothing was measured that a figure or a table could show")
    figures = [one for one in written if one.suffix == ".pdf"]
    others = [one.name for one in written if one.suffix not in (".pdf", ".svg")]
    click.echo(f"paper    {folder}")
    click.echo(f"figures  {len(figures)}, each as PDF and SVG")
    click.echo(f"text     {', '.join(others)}")
