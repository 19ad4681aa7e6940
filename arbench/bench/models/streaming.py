"""The timed call of a method that draws chunk by chunk: it makes its own noise, and each chunk is timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

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
