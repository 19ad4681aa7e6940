"""arbench compare: stored results side by side."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from arbench.cli.errors import NothingError, RefusedError, check_writable, refusing
from arbench.results import FILE_NAME, Results, locate

if TYPE_CHECKING:
    from arbench.report.compare.comparison import Comparison
    from arbench.report.compare.table import Names

MOST = 20
"""Changed counters that a terminal is shown."""
NAMED = 3
"""Cases of one file alone that a terminal is shown."""


@click.command("compare")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="A B ...")
@click.option("--metric", metavar="NAME", help="seconds, depth, nfe, flops, ops, bytes or peak_bytes.")
@click.option("--times", is_flag=True, help="Compare times of different machines and versions too.")
@click.option("--label", "labels", multiple=True, metavar="TEXT", help="What to call a file, in turn.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for compare.md, compare.csv and figures.")
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
    are compared whatever the machine; times only where processor, GPU, threads and versions are the same,
    unless --times is given. Runs made apart drift by several percent: to judge a change, use arbench check.
    """
    from arbench.report.compare.comparison import METRICS, CompareError, NothingSharedError, compare
    from arbench.report.compare.table import Names, document
    from arbench.suggest import did_you_mean

    if metric is not None and metric not in METRICS:
        raise RefusedError(f"unknown metric '{metric}'; {did_you_mean(metric, METRICS)}")
    names = named(paths, labels)
    if out is not None:
        check_writable(out)
    files = {label: _read(path) for label, path in zip(names, paths, strict=True)}
    try:
        with refusing(CompareError):
            found = compare(files, metric, times)
    except NothingSharedError as error:
        raise NothingError(str(error)) from None
    cases = (case for results in files.values() for case in results.cases.values())
    called = Names(cases, next(iter(files.values())))
    for line in found.warnings:
        click.echo(f"arbench: warning: {line}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(document(found)).decode())
    else:
        _show(found, called)
    if out is not None:
        _write(found, called, out, as_json)


def named(paths: Sequence[Path], labels: Sequence[str]) -> list[str]:
    """A name for each file: what was given, else that of its folder or its own, with as much of the way there
    as tells them apart.

    Raises:
        RefusedError: fewer than two files, one of them twice, or labels that do not fit.
    """
    if len(paths) < 2:
        raise RefusedError("compare needs at least two: arbench compare A B")
    files = [locate(path).resolve() for path in paths]
    for number, file in enumerate(files):
        if file in files[:number]:
            raise RefusedError(f"{paths[number]}: the same file twice")
    if len(labels) > len(paths):
        raise RefusedError(f"{len(labels)} times --label for {len(paths)} files")
    found = [*labels, *_names(files)[len(labels) :]]
    for number, name in enumerate(found):
        if not name.strip():
            raise RefusedError("--label: a name cannot be empty")
        if name in found[:number]:
            raise RefusedError(f"--label: '{name}' cannot name two files")
    return found


def _names(files: Sequence[Path]) -> list[str]:
    whole = [(file.parent if file.name == FILE_NAME else file.with_suffix("")).parts for file in files]

    def name(parts: tuple[str, ...], file: Path) -> str:
        for depth in range(1, len(parts)):
            if sum(other[-depth:] == parts[-depth:] for other in whole) == 1:
                return "/".join(parts[-depth:])
        return str(file)  # a folder and a file beside it that differ in the ending alone

    return [name(parts, file) for parts, file in zip(whole, files, strict=True)]


def _read(path: Path) -> Results:
    """What is stored there; rows that a killed run did not write are worked out."""
    from arbench.stored import read_stored

    with refusing():
        results = read_stored(path)
        if results.verifications.keys() - results.cases.keys():
            from arbench.bench.analyse import derive

            for line in derive(results):
                results.add(line)
    return results


def _show(found: Comparison, names: Names) -> None:
    from arbench.report.compare.table import alone, changed_table, counted, tables

    width = max(80, min(shutil.get_terminal_size().columns, 120))
    for table in tables(found, names, width):
        click.echo("\n".join(table.lines()) + "\n")
    if (changed := changed_table(found, names)) is not None:
        lines = changed.lines()
        click.echo("\n".join(lines[: 3 + MOST]))
        if len(lines) > 3 + MOST:
            click.echo(f"and {len(lines) - 3 - MOST} more: --json or --out has all")
        click.echo()
    for line in (counted(found), *alone(found, NAMED), *found.notes):
        click.echo(textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False))


def _write(found: Comparison, names: Names, out: Path, as_json: bool) -> None:
    from arbench.report.compare.figures import draw
    from arbench.report.compare.table import frame, markdown
    from arbench.report.drawings import save

    drawings = draw(found, names)
    images = [(one.caption, f"figures/{one.name}.svg") for one in drawings]
    page = out / "compare.md"
    try:
        page.write_text(markdown(found, names, images), encoding="utf-8")
        frame(found).to_csv(out / "compare.csv", index=False)
        save(drawings, out / "figures")
    except OSError as error:
        raise click.ClickException(f"cannot write into {out}: {error.strerror}") from None
    click.echo(f"\ncompare  {page}", err=as_json)
