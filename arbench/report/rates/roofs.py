"""How close a kernel, or a model's native loop, comes to the limit of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from arbench.report.labels import interval_of, is_kernel
from arbench.report.quantities import NONE
from arbench.results import Case, Results
from arbench.results.threads import threads_of, threads_of_run
from arbench.stats.digits import Interval, last_place
from arbench.stats.roofline import Roof, roof


@dataclass(frozen=True)
class Reached:
    """A timed case compared with its limit.

    Attributes:
        bound: what limits it: moving its bytes, or doing its arithmetic.
        fraction: the shortest time the machine could take, over the measured time.
        ends: the fraction at the ends of the time's interval.
    """

    bound: Literal["memory", "compute"]
    fraction: float
    ends: Interval | None


def measured_limits(results: Results) -> Iterator[dict[str, Any]]:
    """Yield the machine's limits, once for each time they were measured."""
    yield results.run.limits
    for line in results.limits:
        yield line.limits


def roof_of(case: Case, results: Results) -> Roof | None:
    """Return the highest roof measured over a case's bytes and FLOPs; None where a part is unknown.

    The bytes that a model's operations read and write are not a minimum. A native loop has one: it reads the weights
    once for each element. Limits are measured with the threads of the run; where a native loop has more, each reads its
    share of the weights at the limit of a share. Where it has fewer, its limit is unknown: more threads may share it.
    """
    step = (case.verified or {}).get("step_bytes")
    if step is not None and case.flops is not None:
        more = threads_of(case, results) / threads_of_run(results)
        if more < 1:
            return None
        share = round(step / more), round(case.flops / more)
        steps = (
            roof(share[0] * case.n, share[1], limits, case.dtype, share[0], kinds=("read",))
            for limits in measured_limits(results)
        )
        return min((one for one in steps if one is not None), key=lambda one: one.limit_s, default=None)
    if not is_kernel(case) or case.bytes is None or case.flops is None:
        return None
    cycled = (case.verified or {}).get("working_set")  # several copies in turn, so that no cache holds them
    roofs = (roof(case.bytes, case.flops, limits, case.dtype, cycled) for limits in measured_limits(results))
    return min((one for one in roofs if one is not None), key=lambda one: one.limit_s, default=None)


def reached(case: Case, results: Results) -> Reached | None:
    """Return how close a timed kernel comes to its roof; None where either is unknown."""
    top = roof_of(case, results)
    if top is None or case.status != "ok" or not case.median_s:
        return None
    interval = interval_of(case)
    ends = (top.limit_s / interval[1], top.limit_s / interval[0]) if interval else None
    return Reached(top.bound, top.limit_s / case.median_s, ends)


def of_limit(case: Case, results: Results) -> str:
    """Return the reached fraction of the limit: ``87%``."""
    found = reached(case, results)
    return NONE if found is None else format_percent(found.fraction, found.ends)


def per_second(case: Case, count: int | None) -> float | None:
    """Return a count of the case divided by its median time."""
    return None if count is None or not case.median_s else count / case.median_s


def format_percent(fraction: float, ends: Interval | None) -> str:
    """Return ``87%``, with the digits its interval supports, and at most two of them below 100%.

    A measured limit is not more precise than two digits.
    """
    value = 100 * fraction
    interval = None if ends is None else (100 * ends[0], 100 * ends[1])
    leading = last_place(value, None) + 1
    place = max(last_place(value, interval), min(0, leading - 1))
    return f"{round(value, -place):.{max(0, -place)}f}%"
