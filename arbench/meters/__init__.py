"""Meters: each takes a callable, or nothing, and returns numbers. They depend on neither models nor results."""

from arbench.meters.available import available_bytes
from arbench.meters.clock import Clock
from arbench.meters.count import CountBudgetExceeded, Counts, count
from arbench.meters.environment import differences, environment
from arbench.meters.gpu import gpu_clock_mhz
from arbench.meters.limits import limits
from arbench.meters.memory import Peak, peak, peak_bytes
from arbench.meters.opaque import register_opaque

__all__ = [
    "Clock",
    "CountBudgetExceeded",
    "Counts",
    "Peak",
    "available_bytes",
    "count",
    "differences",
    "environment",
    "gpu_clock_mhz",
    "limits",
    "peak",
    "peak_bytes",
    "register_opaque",
]
