"""arbench history: a metric over commits, with its steps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from arbench.cli.errors import NothingError, RefusedError, check_writable, refusing
from arbench.cli.options import Numbers, metric
from arbench.results import FILE_NAME, Case, Results, ResultsError


@click.command("history")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@metric
@click.option("--measure", "old_metric", metavar="NAME", hidden=True, help="The old name of --metric.")
@click.option("--repo", type=click.Path(path_type=Path), help="Order by the history of this repository, not by time.")
@click.option("--model", "models", multiple=True, metavar="NAME[:PRESET]", help="Only this model, repeatable.")
@click.option(
    "--op",
    "ops",
    multiple=True,
    type=click.Choice(["score", "sample", "forward", "backward"]),
    help="Only this op, repeatable.",
)
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only this method, repeatable.")
@click.option("--n", "n", multiple=True, type=Numbers(), help="Only this size, repeatable.")
@click.option("--case", "parts", multiple=True, metavar="TEXT", help="Only cases whose id contains TEXT, repeatable.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the page, the data and the figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the history as JSON instead of the table.")
def command(
    paths: tuple[Path, ...],
    metric: str | None,
    old_metric: str | None,
    repo: Path | None,
    out: Path | None,
    as_json: bool,
    **only: Any,
) -> None:
    """Show a metric over commits, and the steps from one level to another.

    PATHS are results files, JSON files of pytest-benchmark, or folders that are searched for both. Times are
    compared only within a machine, counters across machines. The exit code is 0 with or without steps.
    """
    from arbench.git import GitError, ordered
    from arbench.report.history import commit_of, document, history, lines, table, write
    from arbench.report.metrics import METRICS
    from arbench.suggest import did_you_mean

    metric = _renamed(metric, old_metric)
    if metric not in METRICS:
        raise RefusedError(f"unknown metric '{metric}'; {did_you_mean(metric, METRICS)}")
    files = read_all(paths)
    with refusing(GitError):
        commits = None if repo is None else ordered(repo, filter(None, (commit_of(one.run) for one in files)))
    if out is not None:
        check_writable(out)
    found = history(files, metric, commits, lambda case: _matches(case, **only))
    if not found.series:
        raise NothingError(f"no matching case has {METRICS[metric].title} in these files; loosen the filters")
    if as_json:
        click.echo(msgspec.json.encode(document(found)).decode())
    else:
        click.echo("\n".join(lines(table(found))))
    if out is not None:
        try:
            written = write(found, out)
        except OSError as error:
            raise click.ClickException(f"cannot write into {out}: {error.strerror}") from None
        click.echo(f"\nhistory  {written[0]}", err=as_json)


def _renamed(metric: str | None, old_metric: str | None) -> str:
    """Return the metric to follow, with a warning where it was given by its old option."""
    if old_metric is None:
        return metric or "seconds"
    if metric is not None:
        raise RefusedError("--measure is the old name of --metric; give --metric only")
    click.echo("arbench: warning: --measure is now --metric and stops working in the next release", err=True)
    return old_metric


def read_all(paths: tuple[Path, ...]) -> list[Results]:
    """Return the results in files and below folders.

    A file given by its path must be valid; an invalid one found in a folder is skipped with a warning.

    Raises:
        RefusedError: a path does not exist, a given file is invalid, or nothing can be read.
    """
    from arbench.stored import read_stored

    files: dict[Path, Results] = {}
    for path in paths:
        if not os.path.exists(path):
            raise RefusedError(f"{path}: no such file or folder")
        for file in _stored(path) if path.is_dir() else [path]:
            if file.resolve() in files:
                continue
            try:
                files[file.resolve()] = read_stored(file)
            except ResultsError as error:
                if file == path:
                    raise RefusedError(str(error)) from None
                warnings.warn(f"skipped {error}", stacklevel=2)
    if not files:
        raise RefusedError(
            f"{', '.join(map(str, paths))}: no readable {FILE_NAME} and no readable JSON of pytest-benchmark"
        )
    return list(files.values())


def _stored(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder that look like stored measurements."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(place, name)
            if name == FILE_NAME or (name.endswith(".json") and _of_pytest_benchmark(file)):
                yield file


def _of_pytest_benchmark(file: Path) -> bool:
    try:
        whole = msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return {"benchmarks", "machine_info"} <= whole.keys()


def _matches(
    case: Case,
    models: tuple[str, ...],
    ops: tuple[str, ...],
    methods: tuple[str, ...],
    n: tuple[tuple[int, ...], ...],
    parts: tuple[str, ...],
) -> bool:
    """Return whether a case matches every filter that is not empty."""
    names = (case.model, f"{case.model}:{case.preset}")
    return (
        (not models or any(name in models for name in names))
        and (not ops or case.op in ops)
        and (not methods or case.method in methods)
        and (not n or any(case.n in some for some in n))
        and (not parts or any(part in case.id for part in parts))
    )
