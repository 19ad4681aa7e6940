"""Failures of a results file; each message is one line for the user."""

from __future__ import annotations


class ResultsError(Exception):
    """Failure to read, write or continue a results file; the message is one line for the user."""

    todo = ""
    """Advice behind the message, for where no better one is known; empty where the message says what to do."""


class UnreadableError(ResultsError):
    """A line that is no line of a results file."""

    todo = "; the file is damaged, or no results file: restore it, or measure again with arbench run --out FOLDER"


class WriteError(ResultsError):
    """Failure to write a line, such as on a full disk; every earlier line is intact.

    Args:
        message: what failed, on one line.
        closing: whether all lines were written, and only their flush to disk failed.
    """

    def __init__(self, message: str, closing: bool = False) -> None:
        super().__init__(message)
        self.closing = closing
