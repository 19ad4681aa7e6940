"""Which cases the exact gate proves: those of the baseline's own plan, or what the user asks instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.options import Measuring, Options, PlanError
from arbench.bench.plan import Plan, make_plan
from arbench.bench.suite import suite_options
from arbench.gate.counters.baseline import Baseline
from arbench.results import Case, Model

DEFAULT_SUITE = "exact"
"""What a first baseline is made of where nothing is asked."""
_NARROWING = {
    "ops": "op",
    "methods": "method",
    "n": "n",
    "batch": "batch",
    "device": "device",
    "dtype": "dtype",
    "backend": "backend",
}
"""Options that keep some of the cases, and the field of a case that they look at."""


def fresh_plan(given: Mapping[str, Any]) -> Plan:
    """What the user asks, whatever an earlier baseline was asked; the suite ``exact`` by default.

    Args:
        given: fields of ``Options``.

    Raises:
        PlanError: it cannot be asked.
    """
    if "models" in given and "suite" not in given:
        return make_plan(replace(Options(), **given))
    return make_plan(replace(suite_options(given.get("suite", DEFAULT_SUITE)), **given))


def plan_for(baseline: Baseline, given: Mapping[str, Any], gone: list[str]) -> Plan:
    """What the baseline was asked, as far as the user asks nothing else.

    Args:
        given: fields of ``Options``, which go before what the baseline was asked.
        gone: takes a line for each model of the baseline that is no longer there.

    Raises:
        PlanError: it cannot be asked (any more).
    """
    if "suite" in given:
        return fresh_plan(given)
    if baseline.options is None:
        return _plan_of_rows(baseline, given, gone)
    options = replace(baseline.options, **given)
    if given:
        return make_plan(options, None if "models" in given else gone)
    try:
        return make_plan(options, gone)
    except PlanError as error:
        raise PlanError(f"{baseline.path}: what it was asked cannot be asked any more: {error}") from None


def asked_of(baseline: Baseline, given: Mapping[str, Any], plan: Plan) -> Callable[[Case], bool]:
    """Whether a row of the baseline is among what the user asked, be it there or not."""
    names = {(model.model, model.preset) for model in plan.models}
    narrowing = {field: set(_several(given[name])) for name, field in _NARROWING.items() if name in given}

    def asked(row: Case) -> bool:
        known = "models" not in given or (row.model, row.preset) in names
        return known and all(getattr(row, field) in kept for field, kept in narrowing.items())

    return asked


def _plan_of_rows(baseline: Baseline, given: Mapping[str, Any], gone: list[str]) -> Plan:
    """The cases of a file that states no plan, model by model."""
    if "models" in given:
        return fresh_plan(given)
    cases: list[CaseKey] = []
    models: dict[tuple[str, str], Model] = {}
    first: Measuring | None = None

    def where(row: Case) -> tuple[str, ...]:
        return row.model, row.preset, row.device, row.dtype, row.backend

    for (model, preset, device, dtype, backend), group in groupby(sorted(baseline.rows.values(), key=where), key=where):
        rows = list(group)
        options = Options(
            models=[f"{model}:{preset}"],
            device=device,
            dtype=dtype,
            backend=backend,
            methods=sorted({row.method for row in rows}),
            n=sorted({row.n for row in rows}),
            batch=sorted({row.batch for row in rows}),
        )
        plan = make_plan(replace(options, **given), gone)
        first = first or plan.options
        cases += [case for case in plan.cases if case.id in baseline.rows]
        models |= {(one.model, one.preset): one for one in plan.models}
    return Plan(first or Options(), cases, list(models.values()))


def _several(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)
