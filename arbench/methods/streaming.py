"""Streaming: an event is drawn chunk by chunk, and each chunk is there as soon as it is drawn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from arbench.methods.base import Outcome, Task, Unknown
from arbench.methods.stepwise import Steps
from arbench.models import Source

CHUNK = 256
"""Default number of elements per chunk."""


class Advancing(Protocol):
    """A draw that can stop after any group and go on: ``Steps`` or ``NativeSteps``."""

    unknown: Unknown
    at: int

    def advance(self, end: int) -> None:
        """Draw the groups before group ``end``."""

    def outcome(self) -> Outcome:
        """Return the result, once all groups are drawn."""


class Chunks(Iterator[Tensor]):
    """The chunks (B, m) of an event, each drawn when it is asked for.

    A chunk ends where a group ends, as soon as it has ``chunk`` elements; the last may have fewer. Given elements are
    in no chunk. A chunk that an exception interrupts ends the iteration: the chunks before it stay right.

    Args:
        steps: the draw, before its first chunk.
        chunk: elements per chunk, at least 1.

    Attributes:
        drawn: number of elements (B, drawn) of the event that are known, the given ones included.
    """

    def __init__(self, steps: Advancing, chunk: int) -> None:
        self._steps: Advancing | None = steps
        self._unknown, self._chunk = steps.unknown, chunk
        self.drawn = steps.unknown.bounds[steps.at]

    def __next__(self) -> Tensor:
        steps, bounds = self._steps, self._unknown.bounds
        if steps is None or steps.at == self._unknown.groups:
            self.close()
            raise StopIteration
        lo = self.drawn
        end = min(bisect_left(bounds, lo + self._chunk, steps.at + 1), self._unknown.groups)
        try:
            steps.advance(end)
            self.drawn = bounds[end]
        except BaseException:
            self.close()
            raise
        return self._unknown.f[:, lo : self.drawn]

    @property
    def x(self) -> Tensor:
        """The elements (B, drawn) that are known so far."""
        return self._unknown.f[:, : self.drawn]

    def close(self) -> None:
        """End the iteration and free the model's state; what was drawn stays."""
        self._steps = None


def streamed(source: Source, task: Task, chunk: int = CHUNK) -> Outcome:
    """Draw chunk by chunk, one incremental step per group, and pass each chunk to ``task.made``."""
    steps = Steps(source, task)
    for drawn in Chunks(steps, chunk):
        task.made(drawn)
    return steps.outcome()
