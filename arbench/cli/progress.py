"""Progress of a run: a bar with the remaining time on a terminal and in a notebook, plain lines elsewhere.

It goes to standard error; in a notebook it goes to the cell, where a bar needs the package ipywidgets.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from arbench.border.printable import printable
from arbench.cli.border import terminal

PLAIN_EVERY_S = 10.0


class Display:
    """Display of a run's stages; implements ``arbench.bench.progress.Progress``.

    Args:
        opening: called before the first stage, when nothing can be refused any more.

    Attributes:
        console: the console it prints to.
        began: whether the first stage has begun.
        watched: whether a person is likely to see it: on a terminal or in a notebook.
    """

    def __init__(self, opening: Callable[[], None] = lambda: None) -> None:
        self._opening = opening
        self.console = Console(file=terminal(), highlight=False)
        self.began = False
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._text, self._steps, self._done = "", 0, 0
        self._started = self._said = time.monotonic()
        self.watched = self.console.is_terminal or self.console.is_jupyter
        if self.console.is_terminal or (self.console.is_jupyter and find_spec("ipywidgets") is not None):
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def stage(self, text: str, steps: int, seconds: float) -> None:
        """Begin a stage of about ``steps`` steps and at most about ``seconds`` seconds (0: unknown)."""
        if not self.began:
            self._opening()
        self.began = True
        self._text, self._steps, self._done = printable(text), steps, 0
        self._started = self._said = time.monotonic()
        if self._bar is None:
            limit = f", about {seconds:.0f} s" if seconds else ""
            self.note(f"{text} ({steps} step{'s' if steps != 1 else ''}{limit})")
            return
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(self._text, total=steps)

    def step(self, text: str) -> None:
        """Count one finished step of the stage."""
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=min(self._done, self._steps), total=self._steps)
            return
        now = time.monotonic()
        if now - self._said >= PLAIN_EVERY_S:
            self._said = now
            left = (now - self._started) / self._done * max(self._steps - self._done, 0)
            self.note(f"{self._text}: {min(self._done, self._steps)}/{self._steps}, about {left:.0f} s left")

    def note(self, text: str) -> None:
        """Print one line for the user."""
        self.console.print(printable(text), markup=False, soft_wrap=True)
