"""Output of a check: lines for a terminal, JSON, JUnit XML, and the summary of a CI job."""

from __future__ import annotations

import os
from pathlib import Path

import click

from arbench.border.printable import printable, to_json
from arbench.border.whole import check_file, write_text
from arbench.cli.errors import RefusedError
from arbench.cli.terminal import terminal_width
from arbench.findings import REGRESSION, Check

SUMMARY = "GITHUB_STEP_SUMMARY"


def check_junit(path: Path | None) -> None:
    """Refuse a file that ``--junit`` cannot write. Raises RefusedError."""
    if path is None:
        return
    try:
        check_file(path)
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
        click.echo(to_json(check).decode())
    elif not check.findings:  # a first baseline was written, with nothing to compare
        click.echo("\n".join(check.notes))
    else:
        for line in render.lines(check, terminal_width()):
            click.echo(line)
    summary = os.environ.get(SUMMARY)
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(printable(render.markdown(check)))
        except OSError as error:
            click.echo(f"arbench: warning: cannot append to {SUMMARY} {summary}: {error.strerror}", err=True)
    if junit is not None:
        try:
            write_text(junit, render.junit(check))
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
