"""Streaming: an event is drawn chunk by chunk, and each chunk is there as soon as it is drawn."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from arbench.border.suggest import did_you_mean
from arbench.methods.base import Method, Outcome, Task, Unknown, stepless
from arbench.methods.fused import FUSED
from arbench.methods.native import SETTINGS, Native, native
from arbench.methods.stepwise import Steps
from arbench.models import Source

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


def streamed(source: Source, task: Task, chunk: int = CHUNK, loop: Native | None = None) -> Outcome:
    """Draw chunk by chunk, and pass each chunk to ``task.made``.

    Args:
        source: the model.
        task: sampling.
        chunk: elements per chunk.
        loop: the model's native loop; None for one incremental step per group.
    """
    steps: Advancing = Steps(source, task) if loop is None else loop.begin(source, task)
    for drawn in Chunks(steps, chunk):
        task.made(drawn)
    return steps.outcome()


def _configured(settings: Mapping[str, Any]) -> Method:
    """Return the method with ``chunk`` and ``by``, and with those of the native loop if ``by=fused``.

    Raises:
        ValueError: other settings or values.
    """
    chunk, by = settings.get("chunk", CHUNK), settings.get("by", "cached")
    if type(chunk) is not int or not 1 <= chunk <= LARGEST:
        raise ValueError(f"chunk must be a number of elements from 1 to {LARGEST:,}, got {chunk!r:.40}")
    if by not in LOOPS:
        raise ValueError(f"by names no loop that can stop and go on: {by!r:.40}; {did_you_mean(str(by), LOOPS)}")
    loop = native(settings, more=("chunk", "by"))
    if by == "fused":
        run = partial(streamed, chunk=chunk, loop=loop)
        rest = {name: getattr(FUSED, name) for name in ("lacks", "unable", "devices", "twin", "remark")}
        return replace(STREAM, run=run, chunk=chunk, threads=loop.threads, rounds=loop.rounds, **rest)
    for key in SETTINGS:
        if key in settings:
            raise ValueError(f"'{key}' is a setting of the native loop; add by=fused")
    return replace(STREAM, run=partial(streamed, chunk=chunk), chunk=chunk)


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
    lacks=stepless,
)
