"""The error of a verification that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class InexactError(Exception):
    """Evidence that a method, model or kernel breaks its own promise.

    Args:
        what: the promise and how it is broken, on one line.
        facts: further entries for the results file, such as ``first_difference``.
    """

    def __init__(self, what: str, **facts: Any) -> None:
        super().__init__(what)
        self.facts = facts


@contextmanager
def naming(check: str) -> Iterator[None]:
    """Name the check that an InexactError within fails, in its fact ``check``, unless the error names one itself.

    Args:
        check: a key of ``arbench.report.models.verify.MEANINGS``.
    """
    try:
        yield
    except InexactError as error:
        error.facts.setdefault("check", check)
        raise
