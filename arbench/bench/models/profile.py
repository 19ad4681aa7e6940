"""The profile of a case: where the time of its call goes, held against the limits of the machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arbench.bench.call import Call, Kept
from arbench.bench.case import CaseKey
from arbench.meters.profile import Profiled, profile
from arbench.methods import Method
from arbench.results import Operator, Profile
from arbench.stats.shares import Shares, shares

MOST_OPERATORS = 10
"""Largest number of operators that a profile lists."""
NATIVE = "{} is one call of native code, which no trace divides"
NO_LIMITS = "the bandwidth of this machine was not measured"
ELSEWHERE = "{} operators ran in other threads at the same time"


def profile_of(case: CaseKey, method: Method, call: Call, limits: Mapping[str, Any]) -> tuple[Profile, bytes]:
    """Profile the call of a case.

    Args:
        case: what the call does.
        method: the method of the case.
        call: the call, as it is timed.
        limits: limits of the machine, as in a results file.

    Returns:
        The profile, which names no file, and the Chrome trace of one call.

    Raises:
        InexactError: the call returned something else than the verified one.
        TraceError: the profiler recorded nothing of use.
    """
    kept = Kept(call.run, call.check)
    native = NATIVE.format(case.method) if method.twin is not None else None
    found = profile(kept, case.device, outside=method.outside, unseen=native)
    kept.check()
    return line_of(case.id, found, limits, call.times), found.trace


def line_of(case: str, found: Profiled, limits: Mapping[str, Any], times: int = 1) -> Profile:
    """Return the line of a results file that says what a profile found.

    Args:
        case: id of the case.
        found: the profile.
        limits: limits of the machine, as in a results file.
        times: number of times that a call does the work of its case.
    """
    division, why = found.division, found.why_unknown
    divided: Shares | None = None
    if found.unseen is None and (found.work or not division.operators):
        divided = shares(division.operators, division.arranging_s, found.work, limits, found.operator_s)
        why = why or (NO_LIMITS if divided is None else None)
    elif why is None:
        why = "no operator was counted"
    if division.elsewhere:
        divided, why = None, ELSEWHERE.format(division.elsewhere)
    alone = found.unseen is None and not division.elsewhere
    limit_of = {one.name: one.limit_s for one in divided.operators} if divided is not None else {}

    def each(seconds: float | None) -> float | None:
        return None if seconds is None else seconds / times

    return Profile(
        case,
        seconds=division.seconds / times,
        profiled_s=division.profiled_s / times,
        calls=found.calls,
        outside=("idle" if found.on_gpu else "python") if alone else "unseen",
        outside_s=division.outside_s / times,
        operators=sum(one.calls for one in division.operators) // times,
        operators_s=(division.seconds - division.outside_s) / times,
        fixed_s=each(divided.fixed_s) if divided else None,
        slower_s=each(divided.slower_s) if divided else None,
        arithmetic_s=each(divided.arithmetic_s) if divided else None,
        memory_s=each(divided.memory_s) if divided else None,
        most=[
            Operator(one.name, one.calls // times, one.seconds / times, each(limit_of.get(one.name)))
            for one in division.operators[:MOST_OPERATORS]
        ],
        why_unknown=why,
        unseen=found.unseen or (ELSEWHERE.format(division.elsewhere) if division.elsewhere else None),
    )
