"""How near a kernel comes to what the machine can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from arbench.report.cells import Interval, interval_of
from arbench.report.labels import is_kernel
from arbench.results import Case, Results
from arbench.stats.digits import last_place
from arbench.stats.roofline import Roof, roof


@dataclass(frozen=True)
class Reached:
    """A timed kernel beside its limit."""

    bound: Literal["memory", "compute"]
    """What limits it: moving its bytes, or doing its arithmetic."""
    fraction: float
    """Of the limit: the shortest time the machine could take, over the time it took."""
    ends: Interval | None
    """The fraction at the ends of the time's interval."""


def measured_limits(results: Results) -> Iterator[dict[str, Any]]:
    """The machine's limits, as often as they were measured."""
    yield results.run.limits
    for line in results.limits:
        yield line.limits


def roof_of(case: Case, results: Results) -> Roof | None:
    """The highest roof that was measured over a kernel's bytes and FLOPs; None if a part is not known.

    A model has none: what its operations read and write is no least that it must.
    """
    if not is_kernel(case) or case.bytes is None or case.flops is None:
        return None
    cycled = (case.verified or {}).get("working_set")  # several copies in turn, so that no cache holds them
    roofs = (roof(case.bytes, case.flops, limits, case.dtype, cycled) for limits in measured_limits(results))
    return min((one for one in roofs if one is not None), key=lambda one: one.limit_s, default=None)


def reached(case: Case, results: Results) -> Reached | None:
    """How near a timed kernel comes to its roof; None where either is not known."""
    top = roof_of(case, results)
    if top is None or case.status != "ok" or not case.median_s:
        return None
    interval = interval_of(case)
    ends = (top.limit_s / interval[1], top.limit_s / interval[0]) if interval else None
    return Reached(top.bound, top.limit_s / case.median_s, ends)


def per_second(case: Case, count: int | None) -> float | None:
    """A count of the case by its median time."""
    return None if count is None or not case.median_s else count / case.median_s


def format_percent(fraction: float, ends: Interval | None) -> str:
    """``87%``: no digit that the interval does not support, and below 100% never more than two, since a
    measured limit has no more."""
    value = 100 * fraction
    interval = None if ends is None else (100 * ends[0], 100 * ends[1])
    leading = last_place(value, None) + 1
    place = max(last_place(value, interval), min(0, leading - 1))
    return f"{round(value, -place):.{max(0, -place)}f}%"
