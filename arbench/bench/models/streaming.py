"""Calls of a method that draws chunk by chunk: the timed one, which makes its own noise, and the verified one."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.meters.laps import Laps
from arbench.methods import FreshNoise, Outcome, Task
from arbench.models import Source


@dataclass(frozen=True)
class _Timed(FreshNoise):
    """Noise whose making is timed."""

    laps: Laps | None = None

    def make(self, elements: range) -> Tensor:
        assert self.laps is not None
        make = super().make
        return self.laps.timed(lambda: make(elements))


def streaming(
    algorithm: Callable[[Source, Task], Outcome], source: Source, task: Task, laps: Laps, seed: int
) -> Callable[[], Outcome]:
    """Return a call that draws as for a server, which has no noise beforehand.

    Args:
        algorithm: the method.
        source: the model.
        task: what to draw, with the noise that the call will make again.
        laps: receives the time of each chunk, and that of making noise.
        seed: seed of the noise.
    """
    known = task.noise
    assert known is not None
    fresh = _Timed(source.distribution, seed, range(len(known)), known.dtype, known.device, laps)
    live = replace(task, noise=None, fresh=fresh, made=lambda _: laps.lap())

    def call() -> Outcome:
        laps.start()
        return algorithm(source, live)

    return call


@dataclass(frozen=True)
class Handed:
    """The chunks of a verified call, as they were when they were passed."""

    chunks: list[Tensor] = field(default_factory=list)

    def take(self, chunk: Tensor) -> None:
        """Keep a copy of a chunk: a method may use its buffer again."""
        self.chunks.append(chunk.clone())

    def check(self, source: Source, chunk: int, x: Tensor) -> None:
        """Check that the chunks are the event, each as large as the method says.

        Args:
            source: the model.
            chunk: elements of a chunk, or more where a group ends later.
            x: the event (B, N) that the call returned.

        Raises:
            InexactError: another number of elements was passed at a time, or other elements.
        """
        bounds, sizes, at = source.schedule(x.shape[1]), list[int](), 0
        while at < x.shape[1]:
            end = bounds[min(bisect_left(bounds, at + chunk), len(bounds) - 1)]
            sizes.append(end - at)
            at = end
        found = [tuple(one.shape) for one in self.chunks]
        wanted = [(len(x), size) for size in sizes]
        if found != wanted:
            raise InexactError(f"passed {_few(found)} to task.made, expected chunks {_few(wanted)}")
        if not torch.equal(torch.cat(self.chunks, dim=1), x):
            raise InexactError("passed chunks of other elements than it returned")


def _few(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return the first shapes as text."""
    return f"{', '.join(map(str, shapes[:3])) or 'nothing'}{', ...' if len(shapes) > 3 else ''}"
