"""Shares of a call's time: what its operators take at least, by the limits of a machine, and what they take beyond.

Each call of an operator is held against its roofline: it takes at least the time of its FLOPs at the peak of its dtype,
and at least that of its bytes, each at the bandwidth of its working set. The longer of the two is its limit. What an
operator takes longer is divided into the fixed cost of a call (that of an operator that has nothing to do) and the
rest, by which it is slower than its limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from arbench.stats.roofline import bandwidth, product

_STEPS = 16
"""Steps of a doubling in which working sets are rounded: bandwidth changes little within one."""


class Spent(Protocol):
    """The time of all calls of one operator."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def calls(self) -> int:
        """The number of its calls."""

    @property
    def seconds(self) -> float:
        """Time within them."""

    @property
    def arranging_s(self) -> float:
        """Part of it in operators inside that do no work."""

    @property
    def kernels(self) -> int:
        """Number of kernels that they launched; 0 on a CPU."""


class Asked(Protocol):
    """The least that one call of an operator has to do."""

    @property
    def name(self) -> str:
        """Name of the operator."""

    @property
    def flops(self) -> int:
        """Floating-point operations."""

    @property
    def dtype(self) -> str:
        """Dtype of the arithmetic."""

    @property
    def traffic(self) -> Sequence[tuple[int, int]]:
        """Bytes, each with its working set."""


@dataclass(frozen=True)
class Share:
    """The time of one operator.

    Attributes:
        name: its name.
        calls: the number of its calls.
        seconds: time within them.
        limit_s: the part that they take at least; None where no call's work is known.
    """

    name: str
    calls: int
    seconds: float
    limit_s: float | None


@dataclass(frozen=True)
class Shares:
    """The time of all operators, in seconds; the parts add up to it.

    Attributes:
        fixed_s: fixed cost of the calls, and operators that do no work.
        slower_s: what they take beyond that and their limits.
        arithmetic_s: the limits of the calls that are bound by FLOPs.
        memory_s: the limits of those that are bound by bytes.
        operators: the operators, in the given order.
    """

    fixed_s: float
    slower_s: float
    arithmetic_s: float
    memory_s: float
    operators: tuple[Share, ...]

    @property
    def limit_s(self) -> float:
        """The least time of all operators."""
        return self.arithmetic_s + self.memory_s


def shares(
    spent: Iterable[Spent], arranging_s: float, work: Iterable[Asked], limits: Mapping[str, Any], operator_s: float
) -> Shares | None:
    """Divide the time of operators.

    The limit of an operator is at most its time, since a measured limit is not exact. The work of operators that took
    no time by their own names, as where several are fused, is held against the time of those whose work is unknown.

    Args:
        spent: the time of each operator that works.
        arranging_s: time of those that do not.
        work: what each call has to do.
        limits: ``copy``, ``read`` and ``matmul``, as in a results file.
        operator_s: seconds of an operator that has nothing to do.

    Returns:
        The shares; None where the bandwidth of the machine was not measured.
    """
    known = list(spent)
    least = _least(work, limits)
    if least is None:
        return None
    timed = {one.name for one in known}
    nameless = [one for one in known if one.name not in least]
    unmatched = [sum(part[kind] for name, part in least.items() if name not in timed) for kind in range(2)]
    nameless_s = sum(one.seconds for one in nameless)
    arithmetic_s, memory_s = _within(unmatched[0], unmatched[1], nameless_s)
    unmatched_s, fixed_s, over_s = arithmetic_s + memory_s, arranging_s, 0.0
    found = []
    for one in known:
        part = least.get(one.name)
        if part is None:
            limit_s, at_least_s = None, one.seconds / nameless_s * unmatched_s if nameless_s else 0.0
        else:
            computing_s, moving_s = _within(part[0], part[1], one.seconds)
            limit_s = at_least_s = computing_s + moving_s
            arithmetic_s += computing_s
            memory_s += moving_s
        beyond_s = max(0.0, one.seconds - at_least_s)
        mine_s = min(beyond_s, (one.kernels or one.calls) * operator_s + one.arranging_s)
        fixed_s += mine_s
        over_s += beyond_s - mine_s
        found.append(Share(one.name, one.calls, one.seconds, limit_s))
    return Shares(fixed_s, over_s, arithmetic_s, memory_s, tuple(found))


def _least(work: Iterable[Asked], limits: Mapping[str, Any]) -> dict[str, list[float]] | None:
    """Return the seconds of each operator bound by FLOPs and those bound by bytes; None without a bandwidth."""
    rates: dict[int, float | None] = {}
    found: dict[str, list[float]] = {}
    for one in work:
        peak = product(limits, one.dtype)
        computing_s, moving_s = (one.flops / peak * 1e-9 if peak else 0.0), 0.0
        for moved, far in one.traffic:
            step = max(1, far.bit_length() - 1)
            rounded = max(1, round(far * _STEPS / 2**step)) * 2**step // _STEPS or 1
            if rounded not in rates:
                rates[rounded] = bandwidth(limits, rounded)
            rate = rates[rounded]
            if rate is None:
                return None
            moving_s += moved / rate * 1e-9
        part = found.setdefault(one.name, [0.0, 0.0])
        part[moving_s >= computing_s] += max(moving_s, computing_s)
    return found


def _within(computing_s: float, moving_s: float, most_s: float) -> tuple[float, float]:
    """Return two times, shortened in proportion where they are longer together than they may be."""
    total = computing_s + moving_s
    scale = min(1.0, most_s / total) if total else 0.0
    return computing_s * scale, moving_s * scale
