"""Refusals of the commands: one line and an exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from arbench.border.whole import check_folder
from arbench.results import ResultsError

UNEXPECTED = 70
"""Exit code of a failure that no command expects, ``EX_SOFTWARE`` of sysexits.h."""


class RefusedError(click.ClickException):
    """Wrong use, found before any measurement: exit code 2."""

    exit_code = 2


class NothingError(click.ClickException):
    """Nothing to measure or compare: exit code 3."""

    exit_code = 3


class LostError(click.ClickException):
    """Results or a report that cannot be written: exit code 70, which says nothing about what was measured."""

    exit_code = 70


@contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Turn these errors, and those of results files, into a RefusedError."""
    caught: tuple[type[Exception], ...] = (ResultsError, *errors)
    try:
        yield
    except caught as error:
        raise RefusedError(str(error)) from None


def check_writable(out: Path) -> None:
    """Check that a folder can be created and written, and leave no trace. Raises RefusedError if not."""
    try:
        check_folder(out)
    except OSError as error:
        raise RefusedError(f"--out {out}: cannot be written ({error.strerror}); choose another folder") from None
