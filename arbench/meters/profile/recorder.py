"""Traces of calls by PyTorch's profiler, as the text of a Chrome trace."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, record_function
from torch.profiler import profile as torch_profile

from arbench.meters.clock import Clock
from arbench.meters.profile.events import CALL, decoded

_ADDITIONS, _REPEATS = 200, 10
"""Number of additions of two numbers whose median is the fixed cost of an operator, and how often they are repeated."""


def recorded(call: Callable[[], Any], clock: Clock, times: int, shapes: bool = False) -> bytes:
    """Return the Chrome trace of several calls, each under an annotation, after one call that is not annotated.

    Args:
        call: the callable.
        clock: clock of its device, which says what to trace.
        times: number of annotated calls.
        shapes: whether to record the shapes of what operators are given, which doubles the time of the profiler.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it announces each trace on standard error
    on_gpu = clock.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]

    def annotated() -> None:
        with record_function(CALL):
            call()
            if on_gpu:
                torch.cuda.synchronize(clock.device)

    with torch_profile(activities=activities, record_shapes=shapes) as profiler:
        call()  # the first events of a trace take longer
        for _ in range(times):
            clock.time(annotated)
    with tempfile.TemporaryDirectory(prefix="arbench-") as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        return path.read_bytes()


@dataclass(frozen=True)
class Fixed:
    """The cost of every operator, whatever it does.

    Attributes:
        operator_s: seconds of one that has nothing to do, an addition of two numbers; on a GPU those of its kernel.
        extra_s: seconds that the profiler takes for it.
    """

    operator_s: float
    extra_s: float


def fixed(clock: Clock) -> Fixed:
    """Measure what every operator costs."""
    one = torch.ones(1, device=clock.device)
    on_gpu = clock.device.type == "cuda"

    def adding() -> None:
        for _ in range(_ADDITIONS):
            torch.add(one, one)

    adding()
    plain_s = min(clock.time(adding) for _ in range(_REPEATS))
    events = decoded(recorded(adding, clock, _REPEATS))
    traced_us = min(e.dur for e in events if e.name == CALL)
    taken = [e.dur for e in events if e.cat == ("kernel" if on_gpu else "cpu_op")]
    return Fixed(median(taken) * 1e-6 if taken else 0.0, max(0.0, traced_us * 1e-6 - plain_s) / _ADDITIONS)
