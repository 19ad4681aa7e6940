"""What a results file lacks, said aloud."""

from __future__ import annotations

from arbench.report.labels import model_label, of_kernels, of_models
from arbench.report.roofs import roof_of
from arbench.results import Results
from arbench.stats.classes import FEWEST_SIZES


def gaps(results: Results) -> list[str]:
    """Sentences on what is missing or must be known before the rest is believed; [] if nothing."""
    cases = results.cases.values()
    said = []
    if not cases:
        said.append("No case was finished: there is nothing to show yet.")
    elif all(case.status == "checked" for case in cases):
        said.append("Every case was checked and none timed: the kernels' time says nothing here.")
    elif not any(case.status == "ok" for case in cases):
        said.append("No case is ok: nothing below was timed.")
    unfinished = len(results.verifications.keys() - results.cases.keys())
    if unfinished:
        said.append(f"{_cases(unfinished)} verified but without a row: the run goes on, or was stopped.")
    interrupted = sum(case.stopped_by == "interrupted" for case in cases)
    if interrupted:
        said.append(f"{_cases(interrupted)} interrupted, with fewer samples than planned.")
    if of_models(results) and not results.fits:
        said.append("No growth over N was fitted: no claim is judged, and the map is empty.")
    timed: dict[str, set[int]] = {}
    for case in of_models(results):
        timed.setdefault(model_label(case), set()).update([case.n] if case.status == "ok" else [])
    few = [model for model, sizes in timed.items() if 0 < len(sizes) < FEWEST_SIZES]
    if few:
        said.append(f"Timed at fewer than four sizes, so growth of time has no class: {', '.join(few)}.")
    if any(case.status == "ok" and roof_of(case, results) is None for case in of_kernels(results)):
        said.append("Some kernels have no limit to be held against: it was not measured, or not their cost.")
    unstable = sum(case.unstable for case in cases)
    if unstable:
        said.append(f"{_cases(unstable)} unstable: samples scatter more than they should.")
    for resume in results.resumes:
        changed = ", ".join(resume.changed)
        said.append(
            f"Resumed at {resume.started_at}; "
            + (f"the environment had changed: {changed}." if changed else "nothing had changed.")
        )
    return said


def _cases(count: int) -> str:
    return "1 case is" if count == 1 else f"{count:,} cases are"
