"""Failures of a results file; each message is one line for the user."""

from __future__ import annotations

WRITES_IT = "arbench run --model NAME --out FOLDER writes it"
"""Advice where there is no results file."""
DAMAGED = "the file is damaged, or no results file: restore it, or measure again with arbench run --out FOLDER"
"""Advice where a line is none of a results file."""


class ResultsError(Exception):
    """Failure to read, write or continue a results file; the message is one line for the user.

    Args:
        problem: what is wrong.
        advice: what to do next; empty where the problem says it.
    """

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem, self.advice = problem, advice


class NoFileError(ResultsError):
    """There is no such file."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, WRITES_IT)


class UnreadableError(ResultsError):
    """A line that is no line of a results file."""

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem, advice or DAMAGED)


class WriteError(ResultsError):
    """Failure to write a line, such as on a full disk; every earlier line is intact.

    Args:
        message: what failed, on one line.
        closing: whether all lines were written, and only their flush to disk failed.
    """

    def __init__(self, message: str, closing: bool = False) -> None:
        super().__init__(message)
        self.closing = closing
