"""The two jobs of a model, scoring and sampling, each with the method that represents it; models by family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arbench.report.labels import SharedSettings, model_label, of_models
from arbench.report.models.verdicts import best, depth_fits
from arbench.report.table import order
from arbench.results import Case, Fit, Op, Results

NO_FAMILY = "of no family"


@dataclass(frozen=True)
class Job:
    """Scoring or sampling of a model by its best exact method, as `verdicts.best` finds it.

    Attributes:
        op: the job.
        method: the method with its varying settings.
        fit: the method's fit of depth.
        cases: the cases of that method and batch, N ascending.
        references: fits of depth of the op's other methods that speed-ups refer to.
    """

    op: Op
    method: str
    fit: Fit
    cases: Sequence[Case]
    references: Sequence[Fit]

    @property
    def known(self) -> list[Case]:
        """The cases whose work is known."""
        return [case for case in self.cases if case.flops is not None]

    @property
    def timed(self) -> Case | None:
        """The largest case that was timed."""
        return next((case for case in reversed(self.cases) if case.status == "ok" and case.median_s), None)


def families(results: Results) -> dict[str, list[str]]:
    """Return the labels of the models in each family, families in the order of the file."""
    found: dict[str, list[str]] = {}
    measured = dict.fromkeys(map(model_label, order(of_models(results))))
    for line in results.models.values():
        label = model_label(line)
        if label in measured:
            found.setdefault(line.family or NO_FAMILY, []).append(label)
    rest = [label for label in measured if not any(label in labels for labels in found.values())]
    if rest:
        found[NO_FAMILY] = found.pop(NO_FAMILY, []) + rest
    return found


def job(results: Results, model: str, op: Op) -> Job | None:
    """Return how ``op`` of ``model`` grows; None where no depth was fitted.

    Among samplers whose depth grows alike, one that keeps state is preferred to the reference, which
    recomputes everything, even where the reference is faster at small N.
    """
    chosen = best(results, model, op)
    if chosen is None:
        return None
    fit, method = chosen.fit, chosen.method
    if op == "sample":
        kept = _stateful(results, model, fit)
        fit, method = (kept, SharedSettings(results).method_label(kept)) if kept else (fit, method)
    key = fit.key
    cases = sorted((case for case in results.cases.values() if case.key == key), key=lambda case: case.n)
    referred = {results.cases[r.reference].key for r in results.ratios.values() if r.reference in results.cases}
    references = [fit for fit in depth_fits(results, model, op) if fit.key in referred and fit.key != key]
    return Job(op, method, fit, cases, references)


def _stateful(results: Results, model: str, fit: Fit) -> Fit | None:
    """Return the fit of another exact sampler that grows like the reference ``fit``; None without one."""
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
