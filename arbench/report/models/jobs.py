"""The two jobs of a model, scoring and sampling, each by the method that a reader should see; by family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arbench.report.labels import Settings, model_label, of_models
from arbench.report.models.verdicts import best, depth_fits
from arbench.report.table import order
from arbench.results import Case, Fit, Op, Results

ELSEWHERE = "of no family"


@dataclass(frozen=True)
class Job:
    """Scoring or sampling of a model by its best exact method: see ``verdicts.best``.

    Args:
        cases: of that method and batch, N ascending.
        others: fits of depth of the op's other methods that are references.
    """

    op: Op
    method: str
    fit: Fit
    cases: Sequence[Case]
    others: Sequence[Fit]

    @property
    def known(self) -> list[Case]:
        """The cases whose work is known."""
        return [case for case in self.cases if case.flops is not None]

    @property
    def timed(self) -> Case | None:
        """The largest case that was timed."""
        return next((case for case in reversed(self.cases) if case.status == "ok" and case.median_s), None)


def families(results: Results) -> dict[str, list[str]]:
    """The labels of the models of each family, families in the order of the taxonomy."""
    found: dict[str, list[str]] = {}
    measured = dict.fromkeys(map(model_label, order(of_models(results))))
    for line in results.models.values():
        label = model_label(line)
        if label in measured:
            found.setdefault(line.family or ELSEWHERE, []).append(label)
    rest = [label for label in measured if not any(label in labels for labels in found.values())]
    if rest:
        found[ELSEWHERE] = found.pop(ELSEWHERE, []) + rest
    return found


def job(results: Results, model: str, op: Op) -> Job | None:
    """How ``op`` of ``model`` grows; None where no depth was fitted.

    Of samplers whose depth grows alike, one that keeps what it knows goes before the reference that does it
    all again, though the reference may be faster where N is small.
    """
    chosen = best(results, model, op)
    if chosen is None:
        return None
    fit, method = chosen.fit, chosen.method
    if op == "sample":
        kept = _kept(results, model, fit)
        fit, method = (kept, Settings(results).method(kept)) if kept else (fit, method)
    key = fit.key
    cases = sorted((case for case in results.cases.values() if case.key == key), key=lambda case: case.n)
    referred = {results.cases[r.reference].key for r in results.ratios.values() if r.reference in results.cases}
    others = [fit for fit in depth_fits(results, model, op) if fit.key in referred and fit.key != key]
    return Job(op, method, fit, cases, others)


def _kept(results: Results, model: str, fit: Fit) -> Fit | None:
    """The fit of another exact sampler that promises as much as the reference ``fit`` does."""
    referred = {ratio.reference for ratio in results.ratios.values()}
    ids = {case.id: case for case in results.cases.values() if case.op == fit.op and model_label(case) == model}
    if not any(case.key == fit.key and case.id in referred for case in ids.values()):
        return None
    sound = {case.key for case in ids.values() if case.status == "ok" and case.exactness == "pointwise"}
    firm = [
        one
        for one in depth_fits(results, model, fit.op)
        if one.key in sound and one.key != fit.key and not (one.claimed or "").startswith("<=")
    ]
    return next((one for one in firm if one.fitted == fit.fitted), None)
