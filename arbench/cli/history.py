"""arbench history: a metric over commits, with its steps."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arbench.border.naming import model_name, split_spec
from arbench.border.printable import to_json
from arbench.cli.errors import NothingError, RefusedError, check_writable, refusing
from arbench.cli.options import FilePath, Numbers, metric
from arbench.cli.shell import check_shell
from arbench.files import require_regular
from arbench.results import FILE_NAME, Case, Results, ResultsError, Run, with_preset

if TYPE_CHECKING:
    from arbench.git import Commit

_BEGINS = re.compile(rb'\s*\{"kind":\s*"run"')
"""Beginning of a results file."""


@click.command("history")
@click.argument("paths", nargs=-1, required=True, type=FilePath())
@metric
@click.option("--measure", "old_metric", metavar="NAME", hidden=True, help="The old name of --metric.")
@click.option("--repo", type=FilePath(), help="Order by the history of this repository, not by time.")
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
@click.option("--out", type=FilePath(), help="Folder for the page, the data and the figures.")
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
    check_shell("arbench.report", "matplotlib.backends.backend_agg")
    from arbench.border.suggest import did_you_mean
    from arbench.git import GitError, ordered
    from arbench.report.history import commit_of, document, history, lines, table, write
    from arbench.report.metrics import METRICS
    from arbench.report.passed import passed_over

    metric = _renamed(metric, old_metric)
    if metric not in METRICS:
        raise RefusedError(f"unknown metric '{metric}'; {did_you_mean(metric, METRICS)}")
    files, others = read_all(paths)
    commits = None
    if repo is not None:
        with refusing(GitError):
            commits = ordered(repo, filter(None, (commit_of(one.run) for one in files)))
            _check_complete(repo, [one.run for one in files], commits)
    if out is not None:
        check_writable(out)
    found = history(files, metric, commits, lambda case: _matches(case, **only))
    if not found.series:
        why = passed_over(found.passed)
        raise NothingError(
            f"no matching case has {METRICS[metric].title} in these files"
            + (f"; {why[:1].lower()}{why[1:]}" if why else "; loosen the filters")
        )
    if as_json:
        click.echo(to_json(document(found)).decode())
    else:
        ignored = [(str(file), reason) for file, reason in others.items()]
        click.echo("\n".join([*lines(table(found)), *filter(None, [passed_over(ignored)])]))
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


def _check_complete(repo: Path, runs: list[Run], known: Mapping[str, Commit]) -> None:
    """Warn of commits that a shallow clone lacks and that are ordered by their own times.

    Raises:
        RefusedError: such a commit has no time in the files, so that nothing could order it.
    """
    from arbench.git import is_shallow
    from arbench.report.history import commit_of

    lost = {commit: run for run in runs if (commit := commit_of(run)) is not None and commit not in known}
    if not lost or not is_shallow(repo):
        return
    some = f"{repo}: a shallow clone, which lacks {len(lost)} of the measured commits, such as {next(iter(lost))}"
    remedy = f"run git -C {repo} fetch --unshallow"
    if not all(run.committed_at for run in lost.values()):
        raise RefusedError(f"{some}; {remedy}")
    click.echo(f"arbench: warning: {some}; they are placed by their commit times; {remedy} for their order", err=True)


def read_all(paths: tuple[Path, ...]) -> tuple[list[Results], dict[Path, str]]:
    """Return the results in files and below folders, and the files in folders that are none, with the reason.

    A file given by its path must be valid; an invalid one found in a folder is skipped with a warning.

    Raises:
        RefusedError: a path does not exist, a given file is invalid, or nothing can be read.
    """
    from arbench.gate.stored import read_stored

    files: dict[Path, Results] = {}
    skipped: dict[str, list[str]] = {}
    others: dict[Path, str] = {}
    for path in paths:
        if not os.path.exists(path):
            raise RefusedError(f"{path}: no such file or folder")
        for file in _found(path, skipped, others) if path.is_dir() else [path]:
            if file.resolve() in files:
                continue
            try:
                files[file.resolve()] = read_stored(file)
            except ResultsError as error:
                if file == path:
                    raise RefusedError(str(error)) from None
                _skip(skipped, file, str(error))
    for reason, names in skipped.items():
        some = f"{names[0]}{reason}"
        if len(names) > 1:
            what = re.sub(r"^:(\d+)", r"line \1", reason).removeprefix(": ")
            some = f"{len(names)} places ({what}): {', '.join(names)}"
        click.echo(f"arbench: warning: skipped {some}", err=True)
    if not files:
        raise RefusedError(
            f"{', '.join(map(str, paths))}: no readable {FILE_NAME} and no readable JSON of pytest-benchmark"
        )
    return list(files.values()), others


def _skip(skipped: dict[str, list[str]], file: Path, error: str) -> None:
    """Add a file to those that are skipped for the same reason: the text of its error after the path."""
    whole = error.startswith(str(file))
    reason = error.removeprefix(str(file)) if whole else f": {error}"
    names = skipped.setdefault(reason, [])
    if str(file) not in names:
        names.append(str(file))


def _found(folder: Path, skipped: dict[str, list[str]], others: dict[Path, str]) -> Iterator[Path]:
    """Yield the files below a folder that look like stored measurements.

    Args:
        folder: the folder to search.
        skipped: receives the folders that cannot be listed.
        others: receives the files that are similar but not stored measurements, with the reason.
    """

    def unlisted(error: OSError) -> None:
        _skip(skipped, Path(error.filename), f": {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=unlisted):
        folders.sort()
        for name in sorted(names):
            file = Path(place, name)
            if name == FILE_NAME:
                yield file
            elif file.suffix in (".json", ".jsonl"):
                reason = _why_not(file)
                if reason is None:
                    yield file
                elif reason:
                    others[file] = reason


def _why_not(file: Path) -> str | None:
    """Return why a file is not to be read; None if it is to be read, and nothing for what arbench wrote itself."""
    try:
        require_regular(file)
        data = file.read_bytes()
    except OSError as error:
        return f"unreadable, {error.strerror}"
    if file.suffix == ".jsonl":
        return f"not called {FILE_NAME}" if _BEGINS.match(data) else ""
    if b'"machine_info"' in data and b'"benchmarks"' in data:
        return None  # read_stored says what is wrong with it
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return "not complete JSON"
    own = isinstance(whole, dict) and {"schema", "metric", "series"} <= whole.keys()
    return "" if own else "JSON of another program"


def _named(spec: str) -> str:
    """Return what results call a model that ``run --model`` would accept, with its preset if it has one."""
    place, attribute, preset = split_spec(spec)
    return with_preset(model_name(place, attribute), preset)


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
    models = (*models, *map(_named, models))
    return (
        (not models or any(name in models for name in names))
        and (not ops or case.op in ops)
        and (not methods or case.method in methods)
        and (not n or any(case.n in some for some in n))
        and (not parts or any(part in case.id for part in parts))
    )
