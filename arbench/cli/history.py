"""arbench history: a measure over commits, with its steps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from arbench.cli.asking import Numbers
from arbench.cli.errors import NothingError, RefusedError, check_writable, refusing
from arbench.results import FILE_NAME, Case, Results, ResultsError


@click.command("history")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--measure", default="seconds", show_default=True, metavar="NAME", help="What to follow.")
@click.option("--repo", type=click.Path(path_type=Path), help="Order by the commits of this repository, not by time.")
@click.option("--model", "models", multiple=True, metavar="NAME[:PRESET]", help="Only this, repeatable.")
@click.option(
    "--op",
    "ops",
    multiple=True,
    type=click.Choice(["score", "sample", "forward", "backward"]),
    help="Only this op, repeatable.",
)
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only this method, repeatable.")
@click.option("--n", "n", multiple=True, type=Numbers(), help="Only this size, repeatable.")
@click.option("--case", "parts", multiple=True, metavar="TEXT", help="Only cases whose id holds this.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the page, the data and the figures.")
@click.option("--json", "as_json", is_flag=True, help="Print the history as JSON instead of the table.")
def command(
    paths: tuple[Path, ...], measure: str, repo: Path | None, out: Path | None, as_json: bool, **only: Any
) -> None:
    """Show a measure over commits, and where it steps to another level.

    PATHS are results files, JSON files of pytest-benchmark, or folders that are searched for both.
    Times are compared within a machine only; depth, nfe, flops, ops, bytes, peak_bytes and weights need none.
    Whatever is found, the exit code is 0.
    """
    from arbench.git import GitError, ordered
    from arbench.report.history.document import MEASURES, document, history, lines, table, write
    from arbench.suggest import did_you_mean

    if measure not in MEASURES:
        raise RefusedError(f"unknown measure '{measure}'; {did_you_mean(measure, MEASURES)}")
    files = read_all(paths)
    with refusing(GitError):
        names = {(one.run.git or "").removesuffix("+")[:12] for one in files}
        commits = None if repo is None else ordered(repo, names)
    if out is not None:
        check_writable(out)
    found = history(files, measure, commits, lambda case: _asked(case, **only))
    if not found.series:
        raise NothingError(f"no case that was asked for has {MEASURES[measure].title} in what was read")
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


def read_all(paths: tuple[Path, ...]) -> list[Results]:
    """Everything stored there; a file that is named must be sound, one that is found may be passed over."""
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
                warnings.warn(f"passed over: {error}", stacklevel=2)
    if not files:
        raise RefusedError(
            f"{', '.join(map(str, paths))}: no {FILE_NAME} and no JSON of pytest-benchmark that can be read"
        )
    return list(files.values())


def _stored(folder: Path) -> Iterator[Path]:
    """Files below that are stored measurements by their looks."""
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


def _asked(
    case: Case,
    models: tuple[str, ...],
    ops: tuple[str, ...],
    methods: tuple[str, ...],
    n: tuple[tuple[int, ...], ...],
    parts: tuple[str, ...],
) -> bool:
    names = (case.model, f"{case.model}:{case.preset}")
    return (
        (not models or any(name in models for name in names))
        and (not ops or case.op in ops)
        and (not methods or case.method in methods)
        and (not n or any(case.n in some for some in n))
        and (not parts or any(part in case.id for part in parts))
    )
