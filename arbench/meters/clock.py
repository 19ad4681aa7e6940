"""The duration of a call, and the overhead of measuring it."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import torch

_NO_OPS = 1000


class Clock:
    """A stopwatch for calls on one device.

    On the CPU it reads the monotonic performance counter around the call. On a GPU it waits until the device is
    idle, records an event, makes the call, records a second event and waits for that; the duration is the time
    between the events on the device's own clock. Because the device was idle, the duration includes the host's share
    (launches that the device waits for), but not the latency of the final wait. The events do not cover work on
    streams other than the current one.

    Garbage collection is off while a call is timed.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        ValueError: a device of another kind, or one that does not exist.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._overhead_s: float | None = None
        if self.device.type not in ("cpu", "cuda"):
            raise ValueError(f"cannot time calls on {device!r}: expected 'cpu' or 'cuda'")
        if self.device.type == "cuda" and (self.device.index or 0) >= torch.cuda.device_count():
            raise ValueError(f"{device!r} does not exist: this machine has {torch.cuda.device_count()} CUDA devices")

    def time(self, call: Callable[[], Any]) -> float:
        """Return the seconds that one call takes."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._cpu(call) if self.device.type == "cpu" else self._cuda(call)
        finally:
            if collects:
                gc.enable()

    def overhead_s(self) -> float:
        """Return the seconds of a timed call that does nothing: the median of many, measured once."""
        if self._overhead_s is None:
            self._overhead_s = statistics.median(self.time(_nothing) for _ in range(_NO_OPS))
        return self._overhead_s

    def shortest_s(self, share: float = 0.01) -> float:
        """Return the shortest duration of which the clock's own overhead is at most ``share``, in seconds.

        Raises:
            ValueError: ``share`` is not between 0 and 1.
        """
        if not 0 < share < 1:
            raise ValueError(f"share must lie between 0 and 1, not {share:g}")
        return self.overhead_s() / share

    def _cpu(self, call: Callable[[], Any]) -> float:
        start = perf_counter_ns()
        call()
        return (perf_counter_ns() - start) * 1e-9

    def _cuda(self, call: Callable[[], Any]) -> float:
        with torch.cuda.device(self.device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            call()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end) * 1e-3


def _nothing() -> None:
    pass
