"""arbench report: the report of a results file, finished or not."""

from __future__ import annotations

from pathlib import Path

import click

from arbench.cli.errors import check_writable, refusing


@click.command("report")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the report.  [default: beside the file]")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON lines instead of the table.")
def command(path: Path, out: Path | None, as_json: bool) -> None:
    """Render report.html, summary.md and the figures of PATH: a results file, or the folder of a run.

    Rows are worked out anew from what was measured, so a killed run's are there too.
    """
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
    show(results, folder, as_json, locate(path))
