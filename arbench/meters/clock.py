"""How long a call takes, and how much of that is the clock itself."""

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

    On the CPU it reads the monotonic performance counter around the call. On a GPU it waits until the
    device is idle, records an event, makes the call, records another and waits for that: the time from
    the first to the second on the device's own clock. As the device was idle, this holds the host's
    share too (launches the device waits for), without the latency of the final wait. Work on other
    streams than the current one is not seen by the events; ``wall_s`` of the same call would show it.

    Garbage collection is off while a call is timed.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Attributes:
        wall_s: the last timed call as the host saw it, in seconds, the final wait included.

    Raises:
        ValueError: a device of another kind, or one that is not there.
    """

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.wall_s = float("nan")
        self._overhead_s: float | None = None
        if self.device.type not in ("cpu", "cuda"):
            raise ValueError(f"there is no clock for {device!r}: 'cpu' or 'cuda' have one")
        if self.device.type == "cuda" and (self.device.index or 0) >= torch.cuda.device_count():
            raise ValueError(f"{device!r} is not there: {torch.cuda.device_count()} CUDA devices are")

    def time(self, call: Callable[[], Any]) -> float:
        """Seconds that one call takes."""
        collects = gc.isenabled()
        gc.disable()
        try:
            return self._cpu(call) if self.device.type == "cpu" else self._cuda(call)
        finally:
            if collects:
                gc.enable()

    def overhead_s(self) -> float:
        """Seconds a timed call that does nothing takes: the median of many, measured once."""
        if self._overhead_s is None:
            wall_s = self.wall_s
            self._overhead_s = statistics.median(self.time(_nothing) for _ in range(_NO_OPS))
            self.wall_s = wall_s
        return self._overhead_s

    def shortest_s(self, share: float = 0.01) -> float:
        """The shortest duration of which the clock's own overhead is at most ``share``, in seconds.

        Raises:
            ValueError: ``share`` is not between 0 and 1.
        """
        if not 0 < share < 1:
            raise ValueError(f"a share lies between 0 and 1, not {share:g}")
        return self.overhead_s() / share

    def _cpu(self, call: Callable[[], Any]) -> float:
        start = perf_counter_ns()
        call()
        self.wall_s = (perf_counter_ns() - start) * 1e-9
        return self.wall_s

    def _cuda(self, call: Callable[[], Any]) -> float:
        with torch.cuda.device(self.device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            start = perf_counter_ns()
            begin.record()
            call()
            end.record()
            end.synchronize()
            self.wall_s = (perf_counter_ns() - start) * 1e-9
            return begin.elapsed_time(end) * 1e-3


def _nothing() -> None:
    pass
