"""Output of a check: lines for a terminal, JSON, JUnit XML, and the summary of a CI job."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click
import msgspec

from arbench.cli.errors import RefusedError
from arbench.files import passing_folder
from arbench.findings import REGRESSION, Check

SUMMARY = "GITHUB_STEP_SUMMARY"
_PROBING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK
"""Flags to open a file as for writing; a pipe that nobody reads fails at once."""


def check_junit(path: Path | None) -> None:
    """Refuse a file that ``--junit`` cannot write. Raises RefusedError."""
    if path is None:
        return
    try:
        with passing_folder(path.parent):  # a later refusal must leave neither a folder nor an empty file
            there = path.exists()
            os.close(os.open(path, _PROBING))
            if not there:
                path.unlink()
    except OSError as error:
        raise RefusedError(f"--junit {path}: cannot be written ({error.strerror}); choose another file") from None


def conclude(check: Check, *, strict: bool, as_json: bool, junit: Path | None) -> int:
    """Print and write the findings; return the exit code.

    Args:
        check: the findings.
        strict: whether undecided findings have an exit code of their own.
        as_json: whether to print one JSON document on standard output and nothing else.
        junit: file for JUnit XML.

    Raises:
        RefusedError: the JUnit file cannot be written; after a regression that is only a warning.
    """
    from arbench.report import findings as render

    code = check.exit_code(strict)
    if as_json:
        click.echo(msgspec.json.encode(check).decode())
    elif not check.findings:  # a first baseline was written, with nothing to compare
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
            junit.parent.mkdir(parents=True, exist_ok=True)
            junit.write_text(render.junit(check), encoding="utf-8")
        except OSError as error:
            if code != REGRESSION:
                raise RefusedError(
                    f"--junit {junit}: cannot be written ({error.strerror}); choose another file"
                ) from None
            click.echo(
                f"arbench: warning: --junit {junit}: cannot be written ({error.strerror}); choose another file",
                err=True,
            )
    return code
