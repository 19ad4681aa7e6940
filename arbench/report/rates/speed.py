"""How fast a case is beside the reference of its op, or where that was not measured beside the most basic method."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from arbench.report.labels import OPS, SharedSettings, is_kernel, listed, rounded_weights
from arbench.results import OWN_SAMPLES, Case, Ratio, Results
from arbench.stats.paired import ratio

OVER = "speed-up over "
"""Beginning of the note that says what the speed-ups of a table refer to."""

_SAME = ("op", "model", "preset", "device", "dtype", "batch")


def speed_up(case: Case, results: Results) -> Ratio | None:
    """Return the speed of a case over its reference, or over its stand-in, from samples of the same rounds."""
    found = next((one for one in results.ratios.values() if one.case == case.id), None)
    if found is not None:
        return found
    other = stand_in(case, results)
    if other is None or other is case or case.status != "ok":
        return None
    mine, theirs = _rounds(case, results), _rounds(other, results)
    if not mine.keys() & theirs.keys():
        return None
    pair = ratio(mine, theirs)
    return Ratio(case.id, other.id, pair.ratio, pair.ci95, pair.range, pair.workers)


def stand_in(case: Case, results: Results) -> Case | None:
    """Return what the speed of a model's case is compared with where no reference of its op was timed.

    That is the case, at the same N, of the first exact method of the run, if possible one of arbench's own without
    settings. A file has ratios to references alone; this one follows from the samples.
    """
    if is_kernel(case):
        return None
    references = filter(None, (results.cases.get(one.reference) for one in results.ratios.values()))
    if any(_alike(one, case) for one in references):
        return None
    group = [one for one in results.cases.values() if _alike(one, case)]
    exact = [one for one in group if one.status == "ok" and one.exactness == "pointwise" and one.method != OWN_SAMPLES]
    own = [one for one in exact if rounded_weights(one) is None]
    basic = min(own, key=_added, default=None)
    return next((one for one in own if basic is not None and (one.key, one.n) == (basic.key, case.n)), None)


def is_reference(case: Case, results: Results) -> bool:
    """Return whether the speed of another case refers to this one."""
    if any(one.reference == case.id for one in results.ratios.values()):
        return True
    if stand_in(case, results) is not case:
        return False
    same = (one for one in results.cases.values() if one.n == case.n and _alike(one, case))
    return any(one is not case and speed_up(one, results) for one in same)


def over(cases: Iterable[Case], results: Results, shared: SharedSettings) -> str:
    """Return what the speed-ups of cases refer to: ``speed-up over naive``; nothing where there are none."""
    names: dict[str, list[str]] = {}
    for case in cases:
        found = speed_up(case, results)
        reference = results.cases.get(found.reference) if found is not None else None
        if reference is not None:
            name, ops = shared.method_label(reference), names.setdefault(shared.method_label(reference), [])
            names[name] = ops + [op for op in [OPS[case.op]] if op not in ops]
    if not names:
        return ""
    if len(names) == 1:
        return OVER + next(iter(names))
    return OVER + listed(f"{name} ({listed(ops)})" for name, ops in names.items())


def _alike(one: Case, other: Case) -> bool:
    """Return whether two cases differ in N, method and backend alone."""
    return all(getattr(one, name) == getattr(other, name) for name in _SAME)


def _added(case: Case) -> tuple[bool, bool]:
    """Return whether a method is the user's, which has the name of its file, and whether it has settings."""
    name, settings, _ = case.method.partition(",")
    return "." in name, bool(settings)


def _rounds(case: Case, results: Results) -> dict[tuple[int, int], float]:
    """Return the median seconds of each round, by worker and round."""
    return {(line.worker, line.round): median(line.seconds) for line in results.timed.get(case.id, ())}
