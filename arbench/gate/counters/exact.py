"""Comparison of counters and verification results of each case with those of a baseline.

Depth, network evaluations, FLOPs, operations and bytes are integers that depend on the code alone; a difference of one
is a finding. Peak memory has a tolerance, because it also depends on when the interpreter frees a tensor. A difference
is undecided where something else differs on which the counter may depend (``causes``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from arbench.bench.case import CaseKey
from arbench.findings import Finding, Outcome
from arbench.gate.counters import words
from arbench.gate.counters.baseline import COMPARED, Baseline
from arbench.gate.counters.causes import Causes
from arbench.results import CRASHED, Case, Results, with_preset

PEAK_TOLERANCE = 0.05
"""Largest relative change of peak memory to ignore."""
SOUND = ("ok", "checked")
_STRENGTH = ("approximate", "distribution", "pointwise")
_UNCOUNTED = "it could not be counted"


@dataclass(frozen=True)
class _Change:
    """Metric of one case that differs or cannot be compared."""

    row: Case
    metric: str
    outcome: Outcome
    before: Any
    after: Any
    why: str = ""
    """Error, or reason why the change is undecided."""


def compare(
    baseline: Baseline,
    after: Results,
    keys: Mapping[str, CaseKey],
    causes: Causes,
    tolerance: float = PEAK_TOLERANCE,
    selected: Callable[[Case], bool] = lambda row: True,
) -> list[Finding]:
    """Return the findings: changes, one for each family, then one for each unchanged case.

    Args:
        baseline: the old side.
        after: the new side.
        keys: cases of the new side's plan, by id.
        causes: other causes of a changed counter.
        tolerance: relative change of peak memory to ignore.
        selected: tells whether the user's options select a row of the baseline; others are not reported as removed.
    """
    rows = after.cases
    both = [case for case in keys if case in baseline.rows and case in rows]
    same: list[Case] = []
    changes: list[_Change] = []
    for case in both:
        found = list(_case(baseline.rows[case], rows[case], keys[case], causes, tolerance))
        changes += found
        if not found:
            same.append(rows[case])
    absent = [row for row in baseline.rows.values() if row.id not in keys and selected(row)]
    changes += [_Change(row, "case", "removed", row.status, None) for row in absent]
    new = [rows[case] for case in keys if case in rows and case not in baseline.rows]
    changes += [_Change(row, "case", "added", None, row.status) for row in new]
    changes += [
        _Change(baseline.rows[c], "verification", "unmeasured", baseline.rows[c].status, "not reached")
        for c in keys
        if c in baseline.rows and c not in rows
    ]
    label = words.Labels([*baseline.rows.values(), *rows.values()])
    return [*_findings(changes, baseline.rows, rows, label, tolerance), *(_same(row, label) for row in same)]


def _case(before: Case, after: Case, key: CaseKey, causes: Causes, tolerance: float) -> Iterator[_Change]:
    outcome = _verified(before, after)
    if outcome is not None:
        yield _Change(after, "verification", outcome, before.status, after.status, after.error or before.error or "")
    if outcome not in (None, "improvement") and after.status != "over_budget":
        return  # a case that takes too long to verify is still counted
    if crash := (after.verified or {}).get(CRASHED):
        yield _Change(after, "verification", "undecided", before.status, CRASHED, crash)
    if before.exactness != after.exactness:
        weaker = _STRENGTH.index(after.exactness) < _STRENGTH.index(before.exactness)
        what: Outcome = "regression" if weaker else "improvement"
        yield _Change(after, "exactness", what, before.exactness, after.exactness)
    known = [name for name in COMPARED if getattr(before, name) is not None]
    if known and after.count_source == "none" and after.depth is None and after.ops is None:
        yield _Change(after, known[0], "undecided", getattr(before, known[0]), None, _UNCOUNTED)
        return
    for name in known:
        yield from _counter(name, getattr(before, name), after, causes.of(key, name), tolerance)
    if not known and outcome is None:
        yield _Change(after, "ops", "undecided", None, None, "the baseline has no counter of it")


def _verified(before: Case, after: Case) -> Outcome | None:
    was, now = before.status in SOUND, after.status in SOUND
    if now:
        return None if was or before.status == "over_budget" else "improvement"
    if after.status == "over_budget":
        return "unmeasured"
    if was:
        return "regression"
    if before.status == after.status:
        return "same" if after.status == "inexact" else "unmeasured"
    return "undecided"


def _counter(name: str, was: int, row: Case, why: str | None, tolerance: float) -> Iterator[_Change]:
    now = getattr(row, name)
    if now is None:
        # a lost counter is due to the code; peak memory is not measured where counting takes long
        gone = row.count_source == "counted" and name in ("depth", "flops", "ops", "nfe") and why is None
        yield _Change(row, name, "regression" if gone else "undecided", was, None, why or "")
        return
    allowed = tolerance * was if name == "peak_bytes" else 0
    if abs(now - was) <= allowed:
        return
    outcome: Outcome = "undecided" if why else "regression" if now > was else "improvement"
    yield _Change(row, name, outcome, was, now, why or "")


def _findings(
    changes: Iterable[_Change],
    before: Mapping[str, Case],
    after: Mapping[str, Case],
    label: words.Labels,
    tolerance: float,
) -> Iterator[Finding]:
    """Yield one finding for all sizes of a family that changed in the same way."""
    groups: dict[tuple[Any, ...], list[_Change]] = defaultdict(list)
    for change in changes:
        rising = change.after is not None and change.before is not None and change.after > change.before
        why = change.why if change.outcome == "undecided" else ""
        kind = change.after if isinstance(change.after, str | None) else ""
        groups[*change.row.key, change.metric, change.outcome, rising, kind, why].append(change)
    for alike in groups.values():
        alike.sort(key=lambda change: change.row.n)
        first = alike[0]
        number = isinstance(first.before, int) and isinstance(first.after, int) and first.before
        yield Finding(
            "exact",
            first.row.id,
            first.metric,
            first.outcome,
            _text(alike, before, after, label(first.row)),
            first.before,
            first.after,
            first.after / first.before - 1 if number else None,
            threshold=tolerance if first.metric == "peak_bytes" else None,
            model=with_preset(first.row.model, first.row.preset),
        )


def _text(alike: list[_Change], before: Mapping[str, Case], after: Mapping[str, Case], who: str) -> str:
    first, ns = alike[0], [change.row.n for change in alike]
    at = words.sizes(ns)
    if first.metric == "case":
        status = "" if first.after in (None, *SOUND) else f" and '{first.after}'"
        where = f"is new{status}" if first.outcome == "added" else "is only in the baseline"
        return f"{who} {where}: {at}"
    if first.metric == "verification":
        verb = _ONCE if first.after == CRASHED else _VERIFIED[first.outcome, first.after in ("inexact", "ok")]
        return f"{who} {verb.format(**_facts(first, at))}"
    if first.metric == "exactness":
        return f"exactness of {who} is '{first.after}' at {at}; it was '{first.before}'"
    if first.before is None:
        return f"{who} is not compared at {at}: {first.why}"
    if first.after is None and first.why == _UNCOUNTED:
        return f"{who} could not be counted at {at}; it was before"
    family = [c for c in after.values() if c.key == first.row.key and c.id in before]
    was, now = (_values(family, rows, first.metric) for rows in (before, after))
    shared = was.keys() & now.keys()
    doubt = f"; possible cause: {first.why}" if first.why else ""
    if first.after is None:
        known = first.metric == "depth" and first.row.why_unknown
        reason = f" ({first.row.why_unknown})" if known else ""
        return words.lost(first.metric, who, ns, was) + reason + doubt
    evaluated = _values(family, before, "nfe")
    steps = {n: nfe for n, nfe in _values(family, after, "nfe").items() if evaluated.get(n) == nfe}
    was, now = ({n: values[n] for n in sorted(shared)} for values in (was, now))
    return words.changed(first.metric, who, ns, was, now, steps) + doubt


_ONCE = "crashes at {at}, but not when tried again{error}"
_VERIFIED = {
    ("regression", True): "lost exactness at {at}{error}",
    ("regression", False): "fails at {at} ({after}; {before} before){error}",
    ("improvement", True): "is verified at {at}; it was '{before}' before",
    ("same", True): "is inexact at {at}, as before{error}",
    ("unmeasured", False): "could not be verified at {at} ({after}){error}",
    ("undecided", True): "is {after} at {at}; it was '{before}' before{error}",
    ("undecided", False): "is {after} at {at}; it was '{before}' before{error}",
}


def _facts(change: _Change, at: str) -> dict[str, str]:
    error = f": {change.why}" if change.why else ""
    return {"at": at, "before": change.before, "after": change.after, "error": error}


def _values(family: Iterable[Case], rows: Mapping[str, Case], metric: str) -> dict[int, int]:
    found = {case.n: getattr(rows[case.id], metric) for case in family}
    return {n: value for n, value in found.items() if value is not None}


def _same(row: Case, label: words.Labels) -> Finding:
    text = f"{label(row)} at {words.sizes([row.n])} has the same counters"
    return Finding("exact", row.id, "counters", "same", text, model=with_preset(row.model, row.preset))
