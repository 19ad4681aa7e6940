"""A stopwatch for the parts of calls: the chunks of a stream as they are made, and their noise."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar

import torch

Value = TypeVar("Value")


class Laps:
    """The durations of the parts of one call after another, on one device.

    A part on a GPU ends when the device is idle: what a reader waits for is there.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Attributes:
        calls: seconds of each part of each call, the first from the start of its call, the others from the part before.
        within: seconds of each call that ``timed`` functions took.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._last = 0
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self.calls: list[list[float]] = []
        self.within: list[float] = []

    def start(self) -> None:
        """Note that a call starts."""
        self.calls.append([])
        self.within.append(0.0)
        self._last = perf_counter_ns()

    def lap(self) -> None:
        """Note that a part of the call ends, and the next begins."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = perf_counter_ns()
        self.calls[-1].append(_seconds(now - self._last))
        self._last = now

    def timed(self, function: Callable[[], Value]) -> Value:
        """Return what a function returns, and add its duration to ``within`` of the call."""
        began = perf_counter_ns()
        found = function()
        self.within[-1] = _seconds(perf_counter_ns() - began + self.within[-1] * 1e9)
        return found


def _seconds(nanoseconds: float) -> float:
    """Return seconds without the digits below a nanosecond, which a results file would store."""
    return max(round(nanoseconds * 1e-9, 9), 1e-9)
