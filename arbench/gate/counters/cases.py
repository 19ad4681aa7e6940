"""Cases of a counter check: those of the baseline's own plan, or those that the user selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import Plan
from arbench.bench.progress import Progress
from arbench.bench.suite import suite_options
from arbench.bench.workers.planning import planned, planned_all
from arbench.border.naming import method_name
from arbench.gate.counters.baseline import Baseline
from arbench.results import Case, Model

DEFAULT_SUITE = "exact"
"""Suite of a first baseline, by default."""
_NARROWING = {
    "ops": "op",
    "methods": "method",
    "n": "n",
    "batch": "batch",
    "device": "device",
    "dtype": "dtype",
    "backend": "backend",
}
"""Options that keep some of the cases, and the field of a case that each one filters by."""


def fresh_plan(given: Mapping[str, Any], progress: Progress | None = None) -> Plan:
    """Return the plan of the user's options alone; by default the suite ``exact``.

    Args:
        given: fields of ``Options`` that the user set.
        progress: receives a stage if planning takes long.

    Raises:
        PlanError: the options make no plan.
    """
    if "models" in given and "suite" not in given:
        return planned(replace(Options(), **given), progress=progress)
    return planned(replace(suite_options(given.get("suite", DEFAULT_SUITE)), **given), progress=progress)


def plan_for(baseline: Baseline, given: Mapping[str, Any], gone: list[str], progress: Progress | None = None) -> Plan:
    """Return the plan of the baseline, with the user's options in place of its own.

    Args:
        baseline: the baseline.
        given: fields of ``Options`` that the user set.
        gone: receives a line for each model of the baseline that no longer exists.
        progress: receives a stage if planning takes long.

    Raises:
        PlanError: the options make no plan, or no longer do.
    """
    if "suite" in given:
        return fresh_plan(given, progress)
    if baseline.options is None:
        return _plan_of_rows(baseline, given, gone, progress)
    options = replace(baseline.options, **given)
    if given:
        return planned(options, None if "models" in given else gone, progress)
    try:
        return planned(options, gone, progress)
    except PlanError as error:
        raise PlanError(f"{baseline.path}: its options are no longer valid: {error}") from None


def selected_by(baseline: Baseline, given: Mapping[str, Any], plan: Plan) -> Callable[[Case], bool]:
    """Return a function that tells whether the user's options select a row of the baseline."""
    names = {(model.model, model.preset) for model in plan.models}
    narrowing = {field: set(_several(given[name])) for name, field in _NARROWING.items() if name in given}
    if "method" in narrowing:
        narrowing["method"] = set(map(method_name, narrowing["method"]))

    def selected(row: Case) -> bool:
        known = "models" not in given or (row.model, row.preset) in names
        return known and all(getattr(row, field) in kept for field, kept in narrowing.items())

    return selected


def _plan_of_rows(baseline: Baseline, given: Mapping[str, Any], gone: list[str], progress: Progress | None) -> Plan:
    """Return the cases of a file without a plan, model by model."""
    if "models" in given:
        return fresh_plan(given, progress)
    cases: list[CaseKey] = []
    models: dict[tuple[str, str], Model] = {}
    several: list[Options] = []

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
        several.append(replace(options, **given))
    for plan in planned_all(several, gone, progress):
        cases += [case for case in plan.cases if case.id in baseline.rows]
        models |= {(one.model, one.preset): one for one in plan.models}
    return Plan(several[0] if several else Options(), cases, list(models.values()))


def _several(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value)
