"""Progress of a run: what it reports while it measures."""

from __future__ import annotations

import threading
from typing import Protocol


class Progress(Protocol):
    """A receiver of progress reports."""

    def stage(self, text: str, steps: int, seconds: float) -> None:
        """Report that a stage starts.

        Args:
            text: name of the stage.
            steps: approximate number of steps.
            seconds: approximate upper bound of its duration; 0 if there is none.
        """

    def step(self, text: str) -> None:
        """Report that a step of the stage is done."""

    def note(self, text: str) -> None:
        """Report one line that the user should read."""


class Quiet:
    """A receiver that discards every report."""

    def stage(self, text: str, steps: int, seconds: float) -> None:
        """Discard the report."""

    def step(self, text: str) -> None:
        """Discard the report."""

    def note(self, text: str) -> None:
        """Discard the report."""


class LockedProgress:
    """A receiver for several threads: passes on one report at a time."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def stage(self, text: str, steps: int, seconds: float) -> None:
        """Pass on that a stage starts."""
        with self._lock:
            self._progress.stage(text, steps, seconds)

    def step(self, text: str) -> None:
        """Pass on that a step is done."""
        with self._lock:
            self._progress.step(text)

    def note(self, text: str) -> None:
        """Pass on a note."""
        with self._lock:
            self._progress.note(text)
