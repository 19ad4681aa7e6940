"""The analysis of a Chrome trace of PyTorch's profiler: the time of a call, operator by operator, and outside them.

The profiler takes time itself, which it spends outside of what it measures: it reads the clock last when an operator
begins, and first when one ends. So an operator that calls no other one is measured as it is, and the profiler's own
time is found in the operator around it, or outside all. It is taken to be the same for each operator, and is what a
call takes longer with the profiler than without, over the number of operators. The shares of what is left are those of
the call without the profiler.

Other programs disturb a call here and there. Where a trace has several calls of the same operators in the same order,
each operator therefore has the lower quartile of its times in these calls, and so has each gap between two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import msgspec

from arbench.meters.profile.events import CALL, Event, TraceError

_ON_DEVICE = frozenset({"kernel", "gpu_memcpy", "gpu_memset"})
_ROUNDING_US = 0.003
"""Microseconds by which the ends of two events may differ because the trace rounds its times."""


@dataclass(frozen=True, slots=True)
class Operator:
    """The time of all calls of one operator.

    Attributes:
        name: its name, such as ``aten::addmm``; of what ran on a GPU without one, that of the kernel.
        calls: the number of its calls.
        seconds: time within them; on a GPU that of the kernels that they launched.
        arranging_s: part of it in operators inside that do no work, such as views.
        kernels: the number of kernels that they launched; 0 on a CPU.
    """

    name: str
    calls: int
    seconds: float
    arranging_s: float = 0.0
    kernels: int = 0


@dataclass(frozen=True, slots=True)
class Division:
    """The time of a call, divided; the parts add up to it.

    Attributes:
        seconds: time of a call without the profiler.
        profiled_s: time with it.
        events: operators that a call calls, those inside others too.
        outside_s: time outside all operators; on a GPU the time in which it does nothing.
        arranging_s: time in operators that only call others, or make views: on a GPU part of ``outside_s``, here 0.
        operators: the operators that work, those with the most time first.
        elsewhere: number of operators of other threads during the call, which are in no part.
    """

    seconds: float
    profiled_s: float
    events: int
    outside_s: float
    arranging_s: float
    operators: tuple[Operator, ...]
    elsewhere: int


@dataclass(slots=True)
class _Node:
    """An operator's call in the tree of calls; times are microseconds."""

    event: Event
    children: list[_Node] = field(default_factory=list)
    inside: int = 0
    """Number of calls inside it, at any depth."""


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    us: float = 0.0
    arranging_us: float = 0.0
    kernels: int = 0


def low(times: Iterable[float]) -> float:
    """Return the lower quartile of times, one of them: the time of something that nothing disturbed."""
    known = sorted(times)
    return known[len(known) // 4]


def divided(
    events: Sequence[Event],
    seconds: float,
    working: Collection[str],
    arranges: Callable[[str], bool],
    on_gpu: bool = False,
    extra_s: tuple[float, float] = (0.0, float("inf")),
) -> Division:
    """Divide the time of a call into operators and what lies outside them.

    Args:
        events: a trace in which each call has an annotation ``CALL``.
        seconds: time of a call without the profiler.
        working: names of the operators that work. Such an operator has all the time inside it, unless it is itself
            inside another one.
        arranges: returns whether an operator that is not among these does no work of its own: it makes a view, or only
            calls other operators.
        on_gpu: whether the time is that of a GPU's kernels.
        extra_s: least and most time that the profiler takes for an operator.

    Raises:
        TraceError: there is no call in the trace, or on a GPU no kernel.
    """
    calls = sorted((e for e in events if e.cat == "user_annotation" and e.name == CALL), key=lambda e: e.dur)
    if not calls:
        raise TraceError(f"the trace has no annotation '{CALL}'")
    call = calls[len(calls) // 4]
    number = len(_within(events, call))
    if on_gpu:
        roots = _tree(_own_events(events, call))
        return _on_gpu(events, call, roots, number, seconds, working)
    mine, profiled_us = _undisturbed([(one, _own_events(events, one)) for one in calls])
    roots = _tree(mine)
    taken_s = (profiled_us * 1e-6 - seconds) / len(mine) if mine else 0.0
    extra_us = min(max(taken_s, extra_s[0]), extra_s[1]) * 1e6
    sums: dict[str, _Sum] = {}
    arranging_us = sum(_settle(root, sums, working, arranges, extra_us) for root in roots)
    outside_us = max(0.0, profiled_us - sum(root.event.dur for root in roots) - extra_us * len(roots))
    whole_us = outside_us + arranging_us + sum(one.us for one in sums.values())
    scale = seconds / whole_us if whole_us else 0.0
    operators = _sorted(
        Operator(name, one.calls, one.us * scale, one.arranging_us * scale) for name, one in sums.items()
    )
    return Division(
        seconds,
        profiled_us * 1e-6,
        len(mine),
        outside_us * scale if whole_us else seconds,
        arranging_us * scale,
        operators,
        number - len(mine),
    )


def _within(events: Iterable[Event], call: Event) -> list[Event]:
    """Return the operators of all threads during a call."""
    begin, end = call.ts, call.ts + call.dur
    return [e for e in events if e.cat == "cpu_op" and begin <= e.ts and e.ts + e.dur <= end + _ROUNDING_US]


def _own_events(events: Iterable[Event], call: Event) -> list[Event]:
    """Return the operators of the thread of a call during it, in order, each before those inside it."""
    return sorted((e for e in _within(events, call) if e.tid == call.tid), key=lambda e: (e.ts, -e.dur))


def _undisturbed(calls: Sequence[tuple[Event, Sequence[Event]]]) -> tuple[Sequence[Event], float]:
    """Return the operators of a call that nothing disturbed, and its time in microseconds.

    The beginnings and ends of all operators cut a call into pieces. If all calls are cut alike, each piece has the
    lower quartile of its times; else one of the calls is returned as it is.

    Args:
        calls: the annotations, in ascending order of their time, each with its operators.
    """
    call, mine = calls[len(calls) // 4]
    names = [one.name for one in mine]
    if any([one.name for one in events] != names for _, events in calls):
        return mine, call.dur
    cuts = [_cuts(around, events) for around, events in calls]
    pieces = zip(*([after - before for before, after in pairwise(times)] for times in cuts), strict=True)
    moved = [0.0, *accumulate(low(same) for same in pieces)]
    place = dict(zip(_cuts(call, mine), moved, strict=True))
    at = [(place[e.ts], place[_end(e, call)]) for e in mine]
    return [msgspec.structs.replace(e, ts=a, dur=b - a) for e, (a, b) in zip(mine, at, strict=True)], moved[-1]


def _cuts(call: Event, events: Iterable[Event]) -> list[float]:
    """Return the beginnings and ends of a call and its operators, in order."""
    return sorted(t for e in (call, *events) for t in (e.ts, _end(e, call)))


def _end(event: Event, call: Event) -> float:
    return min(event.ts + event.dur, call.ts + call.dur)


def _sorted(operators: Iterable[Operator]) -> tuple[Operator, ...]:
    return tuple(sorted(operators, key=lambda one: (-one.seconds, one.name)))


def _tree(events: Iterable[Event]) -> list[_Node]:
    """Return the outermost calls of one thread, each with those inside it."""
    roots: list[_Node] = []
    open_: list[_Node] = []

    def close() -> None:
        node = open_.pop()
        if open_:
            above = open_[-1]
            above.inside += 1 + node.inside

    for event in sorted(events, key=lambda e: (e.ts, -e.dur)):
        while open_ and not _contains(open_[-1].event, event):
            close()
        node = _Node(event)
        (open_[-1].children if open_ else roots).append(node)
        open_.append(node)
    while open_:
        close()
    return roots


def _contains(outer: Event, inner: Event) -> bool:
    end = outer.ts + outer.dur
    return inner.ts < end - _ROUNDING_US and inner.ts + inner.dur <= end + _ROUNDING_US


def _self_us(node: _Node, extra_us: float) -> float:
    """Return the time of a call outside of the calls inside it, without that of the profiler."""
    inner = sum(child.event.dur for child in node.children)
    return max(0.0, node.event.dur - inner - extra_us * len(node.children))


def _settle(
    node: _Node, sums: dict[str, _Sum], working: Collection[str], arranges: Callable[[str], bool], extra_us: float
) -> float:
    """Add the time of a call, and of all inside it, to the operators; return the part that only arranges."""
    name = node.event.name
    if name in working:
        mine = sums.setdefault(name, _Sum())
        mine.calls += 1
        mine.us += max(0.0, node.event.dur - extra_us * node.inside)
        mine.arranging_us += sum(_self_us(one, extra_us) for one in _all_inside(node) if arranges(one.event.name))
        return 0.0
    arranging_us = 0.0
    if arranges(name):
        arranging_us = _self_us(node, extra_us)
    else:
        mine = sums.setdefault(name, _Sum())
        mine.calls += 1
        mine.us += _self_us(node, extra_us)
    return arranging_us + sum(_settle(child, sums, working, arranges, extra_us) for child in node.children)


def _all_inside(node: _Node) -> Iterator[_Node]:
    for child in node.children:
        yield child
        yield from _all_inside(child)


def _on_gpu(
    events: Iterable[Event],
    call: Event,
    roots: Iterable[_Node],
    number: int,
    seconds: float,
    working: Collection[str],
) -> Division:
    """Divide the time of a call on a GPU: the kernels by the operators that launched them, and the time between."""
    owner: dict[Any, str] = {}
    calls: dict[str, int] = {}
    for root in roots:
        _own(root, None, owner, calls, working)
    begin, end = call.ts, call.ts + call.dur
    kernels = [e for e in events if e.cat in _ON_DEVICE and begin <= e.ts and e.ts + e.dur <= end + _ROUNDING_US]
    if not kernels:
        raise TraceError("the profiler recorded no kernel of the GPU: this process may not trace it")
    sums: dict[str, _Sum] = {}
    for kernel in kernels:
        mine = sums.setdefault(owner.get(kernel.launcher, kernel.name), _Sum())
        mine.us += kernel.dur
        mine.kernels += 1
    busy_us, total_us = _union(kernels), sum(one.us for one in sums.values())
    scale = min(busy_us, seconds * 1e6) / total_us if total_us else 1.0  # kernels of several streams run side by side
    operators = _sorted(
        Operator(name, calls.get(name, one.kernels), one.us * scale * 1e-6, 0.0, one.kernels)
        for name, one in sums.items()
    )
    outside_s = max(0.0, seconds - total_us * scale * 1e-6)
    return Division(seconds, call.dur * 1e-6, number, outside_s, 0.0, operators, 0)


def _own(
    node: _Node, above: str | None, owner: dict[Any, str], calls: dict[str, int], working: Collection[str]
) -> None:
    """Note which operator each call belongs to: the outermost one that works, or else itself."""
    name = node.event.name
    if above is None and name in working:
        above = name
        calls[name] = calls.get(name, 0) + 1
    owner[node.event.launcher] = above or name
    for child in node.children:
        _own(child, above, owner, calls, working)


def _union(events: Iterable[Event]) -> float:
    """Return the time in which at least one event runs."""
    total, reached = 0.0, float("-inf")
    for event in sorted(events, key=lambda e: e.ts):
        end = event.ts + event.dur
        total += max(0.0, end - max(event.ts, reached))
        reached = max(reached, end)
    return total
