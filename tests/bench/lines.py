"""Fabricated plans and lines of a results file, of which rows are derived."""

from __future__ import annotations

from typing import Any

import msgspec

from arbench.bench.case import CaseKey
from arbench.results import Count, Results, Run, Samples, Verification


def key(method: str = "cached", n: int = 8, **more: Any) -> CaseKey:
    facts = {
        "spec": "m:tiny",
        "model": "m",
        "preset": "tiny",
        "op": "sample",
        "backend": "eager",
        "device": "cpu",
        "dtype": "float32",
        "batch": 1,
        "element": "audio sample",
        "weights": 5,
        "exactness": "pointwise",
        "reference": method == "naive",
        **more,
    }
    return CaseKey(method=method, n=n, **facts)


def fabricated(cases: list[CaseKey], *lines: Any, limits: dict[str, Any] | None = None) -> Results:
    plan = {"options": {}, "cases": msgspec.to_builtins(cases)}
    results = Results(Run(1, "r", "2026-01-05T12:00:00+00:00", [], 0, None, plan, {}, limits or {}))
    for line in lines:
        results.add(line)
    return results


def proved(*cases: CaseKey, status: Any = "ok", **verified: Any) -> list[Verification]:
    return [Verification(case.id, status, "pointwise", verified, None) for case in cases]


def timed(case: CaseKey, *seconds: float, rounds: int = 1, start: int = 0) -> list[Samples]:
    """Return samples of one worker for each duration, with the same duration in each round."""
    return [
        Samples(case.id, worker, number, 1.7e9, [s])
        for worker, s in enumerate(seconds)
        for number in range(start, start + rounds)
    ]


def counted(case: CaseKey, depth: int | None, source: Any = "counted", nfe: int | None = 1) -> Count:
    return Count(case.id, depth, nfe, 100 * case.n, 7, 64, None, source)


def only(kind: type, rows: list) -> list:
    return [row for row in rows if isinstance(row, kind)]


def ladder(claim: str | None = "N", method: str = "cached", **more: Any) -> list[CaseKey]:
    return [key(method, n, claimed_depth=claim, **more) for n in (8, 16, 32, 64)]
