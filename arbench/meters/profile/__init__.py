"""A profile of a call: where its time goes, from a trace by PyTorch's profiler and the counts of its operators.

The time is divided into what lies outside operators (Python and the dispatch from there, or on a GPU the time in which
it does nothing) and the operators. What each of them has to do at least, its FLOPs and bytes, is counted in a call of
its own, so that the limits of a machine can be held against its time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from arbench.meters.clock import Clock
from arbench.meters.count import CountBudgetExceeded, count
from arbench.meters.operators import Kind, traits_of
from arbench.meters.profile.events import TraceError, decoded
from arbench.meters.profile.recorder import fixed, recorded
from arbench.meters.profile.trace import Division, Operator, divided, low
from arbench.meters.profile.traffic import Traffic, Work

__all__ = ["Division", "Operator", "Profiled", "TraceError", "Work", "profile"]

FEWEST_CALLS, MOST_CALLS = 2, 7
"""Number of calls in a trace, at least and at most."""
MOST_EXTRA = 2.0
"""Largest multiple of the profiler's time for an operator in a loop, for an operator anywhere."""
MOST_EVENTS = 400_000
"""Largest number of events in a trace, as long as it contains one call."""
COMPILED = "what compiled functions read and write is not seen"


@dataclass(frozen=True)
class Profiled:
    """The profile of a call.

    Attributes:
        division: its time, by operators and outside them.
        work: what each call of an operator has to do at least, in order; empty where that is unknown.
        operator_s: seconds of an operator that has nothing to do; on a GPU of its kernel.
        calls: number of calls that were timed with the profiler, and of those before and of those after without it.
        on_gpu: whether the device is a GPU.
        trace: the Chrome trace, as JSON, of one more call, with the shapes of what operators were given.
        unseen: why time outside operators may be that of code that no trace shows; None if it is Python's.
        why_unknown: why some of the work, or all, is unknown; None if it is known.
    """

    division: Division
    work: tuple[Work, ...]
    operator_s: float
    calls: int
    on_gpu: bool
    trace: bytes
    unseen: str | None
    why_unknown: str | None


def profile(
    call: Callable[[], Any],
    device: str = "cpu",
    *,
    budget_s: float = 2.0,
    outside: bool = False,
    unseen: str | None = None,
) -> Profiled:
    """Profile a call, under ``torch.no_grad``.

    It is timed without the profiler, traced, timed again, and counted, so it is made ten to thirty times.

    Args:
        call: the callable.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
        budget_s: approximate seconds to spend on traced calls, and twice as many on timed ones. Counting may take five
            times as long.
        outside: as for ``arbench.meters.count.count``.
        unseen: the reason, if it is known that the call runs native code that no trace shows; it is then not counted.

    Raises:
        TraceError: the profiler recorded nothing of use.
        ValueError: a device that does not exist.
    """
    clock = Clock(device)
    with torch.no_grad():
        call()
        events = len(decoded(recorded(call, clock, 0)))
        once_s = clock.time(call)
        affordable = max(FEWEST_CALLS, min(MOST_CALLS, int(budget_s / max(once_s, 1e-9))))
        calls = max(1, min(affordable, MOST_EVENTS // max(events, 1) - 1))
        seconds = [clock.time(call) for _ in range(calls)]
        measured = decoded(recorded(call, clock, calls))
        seconds += [clock.time(call) for _ in range(calls)]
        traffic, why = Traffic(), unseen
        if unseen is None:
            try:
                counts = count(call, budget_s=5 * budget_s, outside=outside, observer=traffic)
            except CountBudgetExceeded as error:
                traffic, why = Traffic(), str(error)
            else:
                why = COMPILED if counts.twin is not None else counts.why_unknown
                if counts.twin is not None or counts.ops is None:
                    traffic = Traffic()
                if counts.twin is None and counts.ops is None:
                    unseen = counts.why_unknown
        work = tuple(traffic.work())
        on_gpu = clock.device.type == "cuda"
        on_each, working = fixed(clock), {one.name for one in work}
        extra_s = on_each.extra_s, MOST_EXTRA * on_each.extra_s
        division = divided(measured, low(seconds), working, arranges, on_gpu, extra_s)
        trace = recorded(call, clock, 1, shapes=True)
        return Profiled(division, work, on_each.operator_s, calls, on_gpu, trace, unseen, why)


@functools.cache
def arranges(name: str) -> bool:
    """Return whether an operator of PyTorch does no work of its own: it makes a view, or only calls other operators."""
    namespace, _, short = (name if "::" in name else f"aten::{name}").partition("::")
    packet = getattr(torch.ops.aten, short, None) if namespace == "aten" else None
    if packet is None or not hasattr(packet, "overloads"):
        return False
    overloads = (getattr(packet, overload) for overload in packet.overloads())
    dispatched = (op for op in overloads if torch._C._dispatch_has_kernel(op.name()))
    known = [traits_of(op) for op in dispatched if not any(one.is_out for one in op._schema.arguments)]
    return bool(known) and all(one.composite or one.kind in (Kind.VIEW, Kind.ALLOCATION) for one in known)
