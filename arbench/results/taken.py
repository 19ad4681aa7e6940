"""The failure of a results file that another program took away, with what it contained."""

from __future__ import annotations

from pathlib import Path

from arbench.results.errors import ResultsError
from arbench.results.memory import Results


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
