"""arbench report: render the report of a results file, of a finished or interrupted run."""

from __future__ import annotations

from pathlib import Path

import click

from arbench.cli.errors import check_writable, refusing
from arbench.cli.options import FilePath, details, json_rows
from arbench.cli.shell import check_shell


@click.command("report")
@click.argument("path", type=FilePath())
@click.option("--out", type=FilePath(), help="Folder for the report.  [default: that of the results]")
@json_rows
@details
def command(path: Path, out: Path | None, as_json: bool, details: bool) -> None:
    """Render report.html, summary.md and figures from PATH, a results file or the folder of a run.

    All rows are computed from the recorded measurements, so the report of an interrupted run is complete up to the
    interrupt.
    """
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
    show(results, folder, as_json, locate(path), details)
