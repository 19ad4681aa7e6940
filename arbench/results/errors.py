"""Failures of a results file; each message is one line for the user."""

from __future__ import annotations


class ResultsError(Exception):
    """Failure to read, write or continue a results file; the message is one line for the user."""


class WriteError(ResultsError):
    """Failure to write a line, such as on a full disk; every earlier line is intact."""
