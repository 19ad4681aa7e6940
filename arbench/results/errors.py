"""Failures of a results file; each message is one line for the user."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from arbench.results.memory import Results


class ResultsError(Exception):
    """Failure to read, write or continue a results file; the message is one line for the user."""


class WriteError(ResultsError):
    """Failure to write a line, such as on a full disk; every earlier line is intact."""


class TakenError(ResultsError):
    """The file was deleted, replaced or changed while it was written; nothing was lost, and nothing more is wrong.

    Args:
        message: what happened and where the results are, on one line.
        results: every line of the run.
        path: the file that contains them.
    """

    def __init__(self, message: str, results: Results, path: Path) -> None:
        super().__init__(message)
        self.results, self.path = results, path
