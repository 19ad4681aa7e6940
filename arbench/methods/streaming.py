"""Streaming: an event is drawn chunk by chunk, and each chunk is there as soon as it is drawn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from arbench.methods.base import Method, Outcome, Task, Unknown
from arbench.methods.native import begun
from arbench.methods.stepwise import Steps
from arbench.models import Source
from arbench.suggest import did_you_mean

CHUNK = 256
"""Default number of elements per chunk."""
LARGEST = 2**40
"""Largest number of elements per chunk."""
LOOPS = ("cached", "fused")
"""The loops that can stop after any group and go on: one incremental step per group, and the model's native one."""


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


def streamed(source: Source, task: Task, chunk: int = CHUNK, by: str = "cached") -> Outcome:
    """Draw chunk by chunk, and pass each chunk to ``task.made``.

    Args:
        source: the model.
        task: sampling.
        chunk: elements per chunk.
        by: ``cached`` for one incremental step per group, ``fused`` for the model's native loop.

    Raises:
        RuntimeError: the model has no native loop that can run here.
    """
    steps: Advancing | str | None = Steps(source, task) if by == "cached" else begun(source, task)
    if steps is None or isinstance(steps, str):
        raise RuntimeError(steps or "the model has no native loop")
    for drawn in Chunks(steps, chunk):
        task.made(drawn)
    return steps.outcome()


def _configured(settings: Mapping[str, Any]) -> Method:
    """Return the method with ``chunk`` and ``by``. Raises ValueError for other settings or values."""
    for key in settings:
        if key not in ("chunk", "by"):
            raise ValueError(f"no setting '{key}'; {did_you_mean(key, ('chunk', 'by'))}")
    chunk, by = settings.get("chunk", CHUNK), settings.get("by", "cached")
    if type(chunk) is not int or not 1 <= chunk <= LARGEST:
        raise ValueError(f"chunk must be a number of elements from 1 to {LARGEST:,}, got {chunk!r:.40}")
    if by not in LOOPS:
        raise ValueError(f"by names no loop that can stop and go on: {by!r:.40}; {did_you_mean(str(by), LOOPS)}")
    run, lacks = partial(streamed, chunk=chunk, by=by), _no_loop if by == "fused" else STREAM.lacks
    return replace(STREAM, run=run, chunk=chunk, like=by, lacks=lacks)


def _no_loop(source: Source | type[Source]) -> str | None:
    return None if hasattr(source, "native") else "needs a native loop, which the model does not define"


STREAM = Method(
    "stream",
    "sample",
    "x",
    streamed,
    "cached, chunk by chunk: chunk=256, by=cached or fused; noise is made within the time",
    configure=_configured,
    chunk=CHUNK,
    like="cached",
    on_request=True,
)
