"""What a check says when it is done: for people, as JSON, as JUnit XML, and in a CI job's summary."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import msgspec

from arbench.cli.errors import RefusedError
from arbench.findings import REGRESSION, Check

SUMMARY = "GITHUB_STEP_SUMMARY"


def check_junit(path: Path | None) -> None:
    """Refuses a place where ``--junit`` cannot write."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        path.open("a").close()
        if not there:
            path.unlink()  # what is refused later leaves no empty file
    except OSError as error:
        raise RefusedError(f"--junit {path}: cannot be written ({error.strerror})") from None


def conclude(check: Check, *, strict: bool, as_json: bool, junit: Path | None) -> int:
    """Says and writes what was found, and returns the exit code.

    Args:
        strict: whether what is undecided ends with a code of its own.
        as_json: print one JSON document on standard output, and nothing else.
        junit: file for JUnit XML.

    Raises:
        RefusedError: the JUnit file cannot be written; a regression is told by its own code before that.
    """
    from arbench.report import findings as render

    code = check.exit_code(strict)
    if as_json:
        click.echo(msgspec.json.encode(check).decode())
    elif not check.findings:  # a first baseline was written: there was nothing to compare with
        click.echo("\n".join(check.notes))
    else:
        width = max(80, min(shutil.get_terminal_size().columns, 120))
        for line in render.lines(check, width):
            click.echo(line)
    summary = os.environ.get(SUMMARY)
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(render.markdown(check))
        except OSError as error:
            click.echo(f"arbench: warning: cannot append to {SUMMARY} {summary}: {error.strerror}", err=True)
    if junit is not None:
        try:
            junit.write_text(render.junit(check), encoding="utf-8")
        except OSError as error:
            if code != REGRESSION:
                raise RefusedError(f"--junit {junit}: cannot be written ({error.strerror})") from None
            click.echo(f"arbench: warning: --junit {junit}: cannot be written ({error.strerror})", err=True)
    return code
