"""arbench report: render the report of results files, of finished or interrupted runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
@click.argument("paths", nargs=-1, required=True, type=FilePath(), metavar="PATH...")
@click.option(
    "--out", type=FilePath(), help="Folder for the report; several PATHs need it.  [default: that of the results]"
)
@click.option(
    "--label", "labels", multiple=True, metavar="TEXT", help="Name of a run among several, in order; repeatable."
)
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
def command(
    paths: tuple[Path, ...], out: Path | None, labels: tuple[str, ...], style: str, as_json: bool, details: bool
) -> None:
    """Render report.html, summary.md and figures from PATH, a results file or the folder of a run.

    All rows are computed from the recorded measurements, so the report of an interrupted run is complete up to the
    interrupt. Several PATHs make one page, which compares them with the first; it needs --out.
    """
    if style == PAPER:
        if len(paths) > 1:
            raise RefusedError("--style paper is for one run; name one PATH")
        if as_json or details:
            raise RefusedError(f"--style paper prints no rows; leave out {'--json' if as_json else '--details'}")
    check_shell("arbench.report", "matplotlib.backends.backend_agg")
    if len(paths) > 1:
        _several(paths, labels, out, as_json or details)
        return
    if labels:
        raise RefusedError("--label names a run among several; for one run leave it out")
    from arbench.cli.show import show
    from arbench.results import locate

    (path,) = paths
    results = _read(path)
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
        raise LostError(f"cannot write into {folder}: {error.strerror}; choose another folder with --out") from None
    if not written:
        raise NothingError(f"{file}: nothing was measured that a figure or a table could show")
    figures = [one for one in written if one.suffix == ".pdf"]
    others = [one.name for one in written if one.suffix not in (".pdf", ".svg")]
    click.echo(f"paper    {folder}")
    click.echo(f"figures  {len(figures)}, each as PDF and SVG")
    click.echo(f"text     {', '.join(others)}")


def _several(paths: Sequence[Path], labels: Sequence[str], out: Path | None, printed: bool) -> None:
    """Write the page of several runs, and print where it is."""
    if out is None:
        raise RefusedError("several results need --out: the folder for their page")
    if printed:
        raise RefusedError("--json and --details print one run; for the numbers of several: arbench compare --json A B")
    from arbench.cli.compare import named
    from arbench.report import render_several
    from arbench.results import locate

    called = named(paths, labels)
    check_writable(out)
    runs = {label: (_read(path), locate(path).parent) for label, path in zip(called, paths, strict=True)}
    try:
        (written,) = render_several(runs, out)
    except OSError as error:
        raise LostError(f"cannot write the report into {out}: {error.strerror}; choose another folder") from None
    for label, path in zip(called, paths, strict=True):
        click.echo(f"run      {label}: {locate(path)}")
    click.echo(f"report   {written}")


def _read(path: Path) -> Results:
    """Return the results at a path, with the rows that a killed run did not write."""
    from arbench.bench.analyse import derive
    from arbench.results import read

    with refusing():
        results = read(path)
        stopped = {case.id: case.stopped_by for case in results.cases.values() if case.stopped_by}
        for line in derive(results, stopped):
            results.add(line)
    return results
