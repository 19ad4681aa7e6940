"""Synthetic sides of a comparison: rows whose counters are given by a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from arbench.bench.case import CaseKey
from arbench.bench.options import Options
from arbench.results import SCHEMA, Case, Results, Run

OPTIONS = Options(models=["wavenet:nv"])
ENVIRONMENT = {
    "cpu": {"model": "Example", "capability": "AVX2", "frequency_mhz": 2400},
    "gpu": None,
    "versions": {"python": "3.12.1", "torch": "2.13.0+cpu", "cuda": None, "triton": None, "numpy": "2.4"},
    "load": {"1min": 0.4},
}
RULES: dict[str, Callable[[int], int | None]] = {
    "depth": lambda n: 7 * n + 3,
    "nfe": lambda n: n,
    "flops": lambda n: 1000 * n,
    "ops": lambda n: 63 * n + 5,
    "bytes": lambda n: 4000 * n + 100,
    "peak_bytes": lambda n: 100_000 * n,
}


def key(n: int, **more: Any) -> CaseKey:
    """Return the key of cached sampling of wavenet:nv, with some fields replaced."""
    facts = {
        "spec": "wavenet:nv",
        "model": "wavenet",
        "preset": "nv",
        "op": "sample",
        "method": "cached",
        "backend": "eager",
        "device": "cpu",
        "dtype": "float32",
        "batch": 1,
        "n": n,
        "element": "audio sample",
        "weights": 10,
        "exactness": "pointwise",
    }
    return CaseKey(**{**facts, **more})


def side(
    *sizes: int,
    case: dict[str, Any] | None = None,
    row: dict[str, Any] | None = None,
    environment: dict[str, Any] | None = None,
    **rules: Callable[[int], int | None],
) -> tuple[Results, dict[str, CaseKey]]:
    """Return one side: results and the keys of its cases.

    Args:
        sizes: N of each case.
        case: fields of every case that replace those of ``key``.
        row: fields of every row, such as ``status``.
        environment: facts that differ.
        rules: counters by N.
    """
    keys = [key(n, **(case or {})) for n in sizes or (8, 16, 32)]
    asked = {"options": OPTIONS.as_plan(), "cases": msgspec.to_builtins(keys)}
    facts = {**ENVIRONMENT, **(environment or {})}
    results = Results(Run(SCHEMA, "id", "2026-01-05T12:00:00+00:00", ["check"], 0, None, asked, facts, {}))
    for one in keys:
        known = {f: getattr(one, f) for f in one.__struct_fields__ if f in Case.__struct_fields__}
        counts = {name: rule(one.n) for name, rule in {**RULES, **rules}.items()}
        found = {"status": "ok", "count_source": "counted", **known, **counts, **(row or {})}
        results.add(Case(id=one.id, **found))
    return results, {one.id: one for one in keys}
