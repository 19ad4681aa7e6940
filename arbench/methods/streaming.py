"""Streaming: an event is drawn chunk by chunk, and each chunk is there as soon as it is drawn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from arbench.methods.base import Outcome, Task, Unknown
from arbench.methods.stepwise import Steps
from arbench.models import Source
from arbench.models.base import NativeDraw

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


class NativeSteps:
    """A draw by a model's native loop: like ``Steps``, with one call for all groups up to the next stop.

    Args:
        source: the model.
        task: sampling.
        native: the model's draw, not begun.
        piece: most given elements to pass at once.

    Attributes:
        unknown: the event, known before group ``at``.
        at: first group that is not drawn.
    """

    def __init__(self, source: Source, task: Task, native: NativeDraw, piece: int = 4096) -> None:
        self.unknown = Unknown(source, task)
        self.at = self.unknown.first
        self._task, self._native = task, native
        self._kept: list[Tensor] = []
        first = self.unknown.bounds[self.at]
        width = source.distribution.noise_width
        known = task.fresh or task.noise
        assert known is not None
        for lo in range(0, first, piece):
            given = self.unknown.f[:, lo : min(lo + piece, first)]
            unread = torch.zeros(*given.shape, width, dtype=known.dtype, device=known.device)
            self._keep(native.draw(unread, given, task.record)[1])

    def advance(self, end: int) -> None:
        """Draw the groups before group ``end`` in one call."""
        lo, hi = self.unknown.bounds[self.at], self.unknown.bounds[end]
        if lo == hi:
            return
        self.unknown.prepare(lo, hi)
        x, params = self._native.draw(self.unknown.noise_of(lo, hi), record=self._task.record)
        self.unknown.f[:, lo:hi] = x
        self._keep(params)
        self.at = end

    def _keep(self, params: Tensor | None) -> None:
        if self._task.record:
            assert params is not None, "a native draw did not record its parameters"
            self._kept.append(params)

    def outcome(self) -> Outcome:
        """Return the result, once all groups are drawn."""
        return self.unknown.outcome(torch.cat(self._kept, dim=1) if self._kept else None)


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
