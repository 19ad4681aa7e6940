"""Sentences about changed counters: which method launches how many operations a step, and how many before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from arbench.gate.titles import title
from arbench.results import Case, with_preset
from arbench.stats import fit_exact, format_si

_SETTINGS = ("device", "dtype", "backend", "batch")
_NAMED = {
    "depth": "the depth of {}",
    "nfe": "the network evaluations of {}",
    "flops": "the work of {}",
    "ops": "the operations of {}",
    "bytes": "the memory traffic of {}",
    "peak_bytes": "the peak memory of {}",
}
_STATED = {
    "depth": ("depth of {who} is {what}", ""),
    "nfe": ("{who} evaluates the network {what}", " times"),
    "flops": ("{who} computes {what}", " FLOPs"),
    "ops": ("{who} launches {what}", " operations"),
    "bytes": ("{who} reads and writes {what}", " bytes"),
}
"""Clause about a counter, and its unit."""
FASTER = 1.5
"""Factor by which after over before must rise from the smallest to the largest size to be called faster growth."""
Values = Mapping[int, int]
"""Values of a counter, by the number of elements N."""


class Labels:
    """Names of families of cases, with the settings that vary within one check.

    Args:
        rows: all cases of the check.
    """

    def __init__(self, rows: Iterable[Case]) -> None:
        known = list(rows)
        self._varying = [name for name in _SETTINGS if len({getattr(row, name) for row in known}) > 1]

    def __call__(self, row: Case) -> str:
        """Return ``cached sampling of wavenet:nv``, with the settings that vary in brackets."""
        words = [f"batch {row.batch}" if n == "batch" else str(getattr(row, n)) for n in self._varying]
        more = f" ({', '.join(words)})" if words else ""
        return title(with_preset(row.model, row.preset), row.op, row.method) + more


def sizes(ns: Sequence[int]) -> str:
    """Return sizes in words: ``N = 16, 32, 64``."""
    return f"N = {', '.join(f'{n:,}' for n in ns)}"


def changed(metric: str, who: str, ns: Sequence[int], before: Values, after: Values, steps: Values) -> str:
    """Return one sentence about a counter that changed.

    Args:
        metric: name of the counter.
        who: name of the family, from ``Labels``.
        ns: sizes at which it changed, ascending.
        before: the old value at every size that has both.
        after: the new value at the same sizes.
        steps: network evaluations at those sizes, where both sides agree on them.
    """
    if metric == "peak_bytes":
        return _memory(who, ns, before, after)
    clause, unit = _STATED[metric]
    was, now = _rate(before, steps), _rate(after, steps)
    if metric != "nfe" and was and now and was != now and len(ns) == len(before):
        return f"{clause.format(who=who, what=_number(metric, now))}{unit} a step, {_number(metric, was)} before"
    earlier, what = _each(metric, before, ns), _each(metric, after, ns)
    text = f"{clause.format(who=who, what=what)}{unit} at {sizes(ns)}"
    if len(ns) == 1:
        return f"{text}, {earlier} before"
    at_each = " at each" if len({before[n] for n in ns}) == 1 != len({after[n] for n in ns}) else ""
    return f"{text}; it was {earlier}{at_each}{_growth(before, after)}"


def lost(metric: str, who: str, ns: Sequence[int], before: Values) -> str:
    """Return one sentence about a counter that was known and no longer is."""
    verb = "can no longer be measured" if metric == "depth" else "is no longer known"
    verb = verb.replace("is", "are", 1) if metric in ("nfe", "ops") else verb
    return f"{_NAMED[metric].format(who)} {verb} at {sizes(ns)}; it was {_each(metric, before, ns)}"


def _number(metric: str, value: Any) -> str:
    if metric != "peak_bytes":
        return f"{value:,}"
    return format_si(value, "B", (0.98 * value, 1.02 * value)) if value >= 1000 else f"{value} B"


def _each(metric: str, values: Values, ns: Sequence[int]) -> str:
    """Return the values at these sizes: ``40, 72, 136``, or one number where all are equal."""
    words = [_number(metric, values[n]) for n in ns]
    return words[0] if len(set(words)) == 1 else ", ".join(words)


def _rate(values: Values, steps: Values) -> int | None:
    """Return how much each further network evaluation adds, if that is the same integer everywhere."""
    known = sorted(n for n in values if n in steps)
    if len(known) < 2 or len(known) < len(values):
        return None
    rates = set()
    for a, b in pairwise(known):
        more = steps[b] - steps[a]
        rate, rest = divmod(values[b] - values[a], more) if more > 0 else (0, 1)
        if rest:
            return None
        rates.add(rate)
    return rates.pop() if len(rates) == 1 else None


def _growth(before: Values, after: Values) -> str:
    """Return a clause about changed growth: ``: it grows with N now`` where it did not, or the reverse."""
    ns = sorted(before)
    if len(ns) < 2:
        return ""
    was, now = ([values[n] for n in ns] for values in (before, after))
    if len(ns) >= 4:
        old, new = fit_exact(ns, was).fitted, fit_exact(ns, now).fitted
        if old and new:
            return f": it grows as O({new}) now, as O({old}) before" if old != new else ""
    if len(set(was)) == 1:
        return ": it grows with N now" if _rises(now) else ""
    if len(set(now)) == 1:
        return ": it no longer grows with N" if _rises(was) else ""
    ratios = [b / a if a else 0.0 for a, b in zip(was, now, strict=True)]
    if _rises(ratios) and ratios[-1] > FASTER * ratios[0]:
        return ": it grows faster with N now"
    if _rises(ratios[::-1]) and ratios[0] > FASTER * ratios[-1]:
        return ": it grows more slowly with N now"
    return ""


def _rises(values: Sequence[float]) -> bool:
    return all(a < b for a, b in pairwise(values))


def _memory(who: str, ns: Sequence[int], before: Values, after: Values) -> str:
    ratios = [after[n] / before[n] if before[n] else float("inf") for n in ns]
    least, most = min(ratios), max(ratios)
    if least > 1.9 and most < 2.1:
        verb = "doubled"
    elif least > 0.45 and most < 0.55:
        verb = "halved"
    elif most == float("inf"):
        verb = "grew"
    else:
        verb = f"{'grew' if most > 1 else 'fell'} by {_percent(least, most)}"
    now, was = (_each("peak_bytes", values, ns) for values in (after, before))
    earlier = f", {was} before" if len(ns) == 1 else f"; it was {was}"
    return f"peak memory of {who} {verb}: {now} at {sizes(ns)}{earlier}"


def _percent(least: float, most: float) -> str:
    """Return ``20%``, or ``20% to 40%``."""
    low, high = sorted(abs(ratio - 1) for ratio in (least, most))
    ends = [f"{low:.0%}", f"{high:.0%}"]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
