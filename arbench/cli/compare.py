"""arbench compare: stored results side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from arbench.border.printable import on_one_line, to_json
from arbench.cli.errors import NothingError, RefusedError, check_writable, refusing
from arbench.cli.options import FilePath, metric
from arbench.cli.shell import check_shell
from arbench.cli.terminal import terminal_width
from arbench.results import FILE_NAME, Results, locate

if TYPE_CHECKING:
    from arbench.report.compare import CaseNames, Comparison

MOST = 20
"""Most changed counters that a terminal shows."""


@click.command("compare")
@click.argument("paths", nargs=-1, type=FilePath(), metavar="A B ...")
@metric
@click.option("--times", is_flag=True, help="Compare times even between different machines or versions.")
@click.option("--label", "labels", multiple=True, metavar="TEXT", help="Name of a file, in order, repeatable.")
@click.option("--out", type=FilePath(), help="Folder for the page, compare.md, compare.csv and figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON instead of the table.")
def command(
    paths: tuple[Path, ...],
    metric: str | None,
    times: bool,
    labels: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> None:
    """Compare stored results with the first of them: tables, ratios with intervals, plots.

    A, B, ... are results files, folders of runs, baselines, or JSON files of pytest-benchmark. Exact counters
    are compared across machines; times only where processor, GPU, threads and versions are the same, unless
    --times is given. Separate runs drift by several percent: to judge a change, use arbench check.
    """
    check_shell("arbench.report", "matplotlib.backends.backend_agg")
    from arbench.border.suggest import did_you_mean
    from arbench.report.compare import CaseNames, CompareError, NothingSharedError, compare, document
    from arbench.report.metrics import METRICS

    if metric is not None and metric not in METRICS:
        raise RefusedError(f"unknown metric '{metric}'; {did_you_mean(metric, METRICS)}")
    called = named(paths, labels)
    if out is not None:
        check_writable(out)
    files = {label: _read(path) for label, path in zip(called, paths, strict=True)}
    try:
        with refusing(CompareError):
            found = compare(files, metric, times)
    except NothingSharedError as error:
        raise NothingError(str(error)) from None
    cases = (case for results in files.values() for case in results.cases.values())
    names = CaseNames(cases, next(iter(files.values())))
    for line in found.warnings:
        click.echo(f"arbench: warning: {line}", err=True)
    if as_json:
        click.echo(to_json(document(found)).decode())
    else:
        _show(found, names)
    if out is not None:
        _write(found, names, out, as_json)


def named(paths: Sequence[Path], labels: Sequence[str]) -> list[str]:
    """Return a name for each file: its label, or its folder or file name with as much of the path as it needs.

    Args:
        paths: the files.
        labels: names of the first files.

    Raises:
        RefusedError: fewer than two files, the same file twice, or wrong labels.
    """
    if len(paths) < 2:
        raise RefusedError("compare needs at least two files: arbench compare A B")
    files = [locate(path).resolve() for path in paths]
    for number, file in enumerate(files):
        if file in files[:number]:
            raise RefusedError(f"{paths[number]}: the same file twice; name two different files")
    if len(labels) > len(paths):
        raise RefusedError(f"{len(labels)} labels for {len(paths)} files; give at most one --label per file")
    found = [on_one_line(name) for name in (*labels, *_names(files)[len(labels) :])]
    for number, name in enumerate(found):
        if not name.strip():
            raise RefusedError("--label is empty; give each file a name")
        if name in found[:number]:
            raise RefusedError(f"--label: '{name}' names two files; choose different names")
    return found


def _names(files: Sequence[Path]) -> list[str]:
    whole = [(file.parent if file.name == FILE_NAME else file.with_suffix("")).parts for file in files]

    def name(parts: tuple[str, ...], file: Path) -> str:
        for depth in range(1, len(parts)):
            if sum(other[-depth:] == parts[-depth:] for other in whole) == 1:
                return "/".join(parts[-depth:])
        return str(file)  # a folder and a file beside it whose names differ only in the suffix

    return [name(parts, file) for parts, file in zip(whole, files, strict=True)]


def _read(path: Path) -> Results:
    """Return the results at ``path``, with the rows that a killed run did not write."""
    from arbench.gate.stored import read_stored

    with refusing():
        results = read_stored(path)
        if results.verifications.keys() - results.cases.keys():
            from arbench.bench.analyse import derive

            for line in derive(results):
                results.add(line)
    return results


def _show(found: Comparison, names: CaseNames) -> None:
    from arbench.report.compare import NAMED, alone, answer, changed_table, counted, tables

    width = terminal_width()
    for line in answer(found, names):
        click.echo(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False))
    click.echo()
    for table in tables(found, names, width):
        click.echo("\n".join(table.lines()) + "\n")
    if (changed := changed_table(found, names)) is not None:
        lines = changed.lines()
        click.echo("\n".join(lines[: 3 + MOST]))
        if len(lines) > 3 + MOST:
            click.echo(f"and {len(lines) - 3 - MOST} more; --json and --out list all")
        click.echo()
    for line in (counted(found), *alone(found, NAMED), *found.notes):
        click.echo(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False))


def _write(found: Comparison, names: CaseNames, out: Path, as_json: bool) -> None:
    from arbench.report.compare import write

    try:
        written = write(found, names, out)
    except OSError as error:
        raise click.ClickException(f"cannot write into {out}: {error.strerror}") from None
    click.echo(f"\ncompare  {written[0]}", err=as_json)
