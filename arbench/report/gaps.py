"""Sentences on what a results file lacks."""

from __future__ import annotations

from arbench.report.labels import model_label, of_kernels, of_models
from arbench.report.models.sizes import size_hints
from arbench.report.rates.roofs import roof_of
from arbench.results import Results
from arbench.stats.classes import FEWEST_SIZES


def gaps(results: Results, unstable: bool = True) -> list[str]:
    """Return sentences on what is missing, or what a reader must know before trusting the rest.

    Args:
        results: what was measured; any part may be missing.
        unstable: whether to count the unstable cases; false where `remarks` says it beside.
    """
    return [
        *_untimed(results),
        *size_hints(results),
        *_unfinished(results),
        *_unfitted(results),
        *_uncompared(results),
        *(_unstable(results) if unstable else []),
        *_resumed(results),
    ]


def _untimed(results: Results) -> list[str]:
    cases = results.cases.values()
    if not cases:
        return ["No case has finished: there is nothing to show yet."]
    if all(case.status == "checked" for case in cases):
        return ["Every case was checked and none was timed: times in Triton's interpreter mean nothing."]
    if not any(case.status == "ok" for case in cases):
        return ["No case is ok: nothing below was timed."]
    return []


def _unfinished(results: Results) -> list[str]:
    lines = []
    unshown = results.run.plan.get("needed", {}).keys()  # counted for verdicts alone
    if unfinished := len(results.verifications.keys() - results.cases.keys() - unshown):
        lines.append(f"{_cases(unfinished)} verified but without a row: the run is unfinished.")
    if interrupted := sum(case.stopped_by == "interrupted" for case in results.cases.values()):
        lines.append(f"{_cases(interrupted)} interrupted, with fewer samples than planned.")
    return lines


def _unfitted(results: Results) -> list[str]:
    lines = []
    if of_models(results) and not results.fits:
        lines.append("No growth over N was fitted: no claim is judged, and the map is empty.")
    timed: dict[str, set[int]] = {}
    for case in of_models(results):
        timed.setdefault(model_label(case), set()).update([case.n] if case.status == "ok" else [])
    few = [model for model, sizes in timed.items() if 0 < len(sizes) < FEWEST_SIZES]
    if few:
        lines.append(f"Timed at fewer than four sizes, so growth of time has no class: {', '.join(few)}.")
    return lines


def _uncompared(results: Results) -> list[str]:
    if any(case.status == "ok" and roof_of(case, results) is None for case in of_kernels(results)):
        return ["Some kernels cannot be compared with the machine's limit: their cost or the limit is unknown."]
    return []


def _unstable(results: Results) -> list[str]:
    count = sum(case.unstable for case in results.cases.values())
    return [f"{_cases(count)} unstable: samples scatter more than they should."] if count else []


def _resumed(results: Results) -> list[str]:
    changes = [(resume.started_at, ", ".join(resume.changed)) for resume in results.resumes]
    return [
        f"Resumed at {time}; " + (f"the environment had changed: {changed}." if changed else "nothing had changed.")
        for time, changed in changes
    ]


def _cases(count: int) -> str:
    return "1 case is" if count == 1 else f"{count:,} cases are"
