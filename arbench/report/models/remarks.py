"""Sentences on a whole run: what was verified, what went wrong and why, and what the reader can do about it."""

from __future__ import annotations

import math
from typing import Any

from arbench.report.labels import STATUS, SharedSettings, is_kernel, listed, model_label, numbers, rounded_weights
from arbench.report.models.sizes import alike
from arbench.report.models.verdicts import sentences
from arbench.report.table import order
from arbench.results import Case, Results, Status

MARGIN = 1.2
"""Times may be longer in the next run: advice on a budget leaves a fifth more."""
_FAILED: tuple[Status, ...] = ("inexact", "error", "timeout", "oom")


def remarks(results: Results) -> list[str]:
    """Return what a reader must know about a run, each in one sentence or a few: the good news first."""
    lines = [
        _verified(results),
        *_caveats(results),
        _draws_alone(results),
        *_rounded(results),
        *failures(results),
        _claims(results),
        _over_budget(results),
        _unstable(results),
    ]
    return [line for line in lines if line]


def failures(results: Results) -> list[str]:
    """Return one line for each reason why cases failed, with the cases that it stopped."""
    shared = SharedSettings(results)
    groups: dict[tuple[str, Status, str], dict[str, list[int]]] = {}
    shown: dict[tuple[str, Status, str], str] = {}
    for case in order(results.cases.values()):
        if case.status in _FAILED:
            error = case.error or "no details are known"
            why = (model_label(case), case.status, alike(error) if case.status == "error" else error)
            shown.setdefault(why, error)
            sizes = groups.setdefault(why, {}).setdefault(f"{case.op} {shared.method_label(case)}", [])
            sizes.append(case.n)
    return [
        f"{STATUS[why[1]].capitalize()}: {why[0]}, {_where(methods)}: {shown[why].rstrip('.')}."
        for why, methods in groups.items()
    ]


def _where(methods: dict[str, list[int]]) -> str:
    """Return ``score parallel and sample cached at N = 64 and 128``, with sizes apart where they differ."""
    by_sizes: dict[tuple[int, ...], list[str]] = {}
    for name, sizes in methods.items():
        by_sizes.setdefault(tuple(sorted(set(sizes))), []).append(name)
    return "; ".join(f"{listed(names)} at N = {numbers(list(sizes))}" for sizes, names in by_sizes.items())


def _verified(results: Results) -> str:
    cases = results.cases.values()
    sound = [case for case in cases if case.status in ("ok", "checked")]
    if not cases:
        return ""
    if not sound:
        return "Nothing was measured."
    wrong = sum(case.status == "inexact" for case in cases)
    right = f"{_count(sound, 'case')} {'is' if len(sound) == 1 else 'are'} right"
    return f"Verified: {right}, {f'{wrong:,} wrong' if wrong else 'none is wrong'}."


def _caveats(results: Results) -> list[str]:
    """Return the remark of each model that has no family: those of others stand below the table of the families."""
    found: dict[str, list[str]] = {}
    for line in results.models.values():
        if not line.family and line.remark:
            found.setdefault(" ".join(line.remark.split()), []).append(model_label(line))
    return [f"{listed(labels)}: {remark}" for remark, labels in found.items()]


def _draws_alone(results: Results) -> str:
    """Return which samplers return only what they draw, so that nothing else of them was verified."""
    shared, cases = SharedSettings(results), order(results.cases.values())
    alone = [one for one in cases if one.status == "ok" and (one.verified or {}).get("recorded") is False]
    names = dict.fromkeys(f"{one.op} {shared.method_label(one)}" for one in alone)
    if not names:
        return ""
    return f"Verified by its draws alone: {listed(names)}; a sampler that records is compared in log-probability too."


def _rounded(results: Results) -> list[str]:
    """Return which methods give the result of another model: the one whose weights are rounded."""
    shared = SharedSettings(results)
    found: dict[tuple[str, str], list[str]] = {}
    for case in order(results.cases.values()):
        if case.status == "ok" and (rounding := rounded_weights(case)) is not None:
            names = found.setdefault((rounding, case.op), [])
            names += [name for name in [f"{case.op} {shared.method_label(case)}"] if name not in names]
    what = {"sample": "draws may differ", "score": "log-probabilities differ"}
    return [
        f"Verified against the model with weights rounded to {rounding}: {listed(names)}; "
        f"{what.get(op, 'results differ')} from those of its own weights."
        for (rounding, op), names in found.items()
    ]


def _claims(results: Results) -> str:
    """Return the number of claims by verdict: ``Claims: 17 hold, 1 FAILS``."""
    verdicts = [one.verdict for one in sentences(results) if one.verdict is not None]
    words = {"holds": ("holds", "hold"), "fails": ("FAILS", "FAIL"), "undecided": ("is undecided", "are undecided")}
    counts = [(verdicts.count(verdict), one, more) for verdict, (one, more) in words.items()]  # type: ignore[arg-type]
    parts = [f"{count} {one if count == 1 else more}" for count, one, more in counts if count]
    return f"Claims on depth and work: {', '.join(parts)}." if parts else ""


def _over_budget(results: Results) -> str:
    cases = [case for case in results.cases.values() if case.status == "over_budget"]
    if not cases:
        return ""
    text = f"Over budget: {_count(cases, 'case')} not timed"
    options = results.run.plan.get("options", {})
    if options.get("rounds") is not None:
        return f"{text}, since three calls take longer than --timeout; give a larger one, or smaller sizes with --n."
    needed = _needed_s(results, options)
    if needed is None:
        return f"{text}; give a larger --budget, or smaller sizes with --n."
    kernels = [is_kernel(case) for case in cases]
    whom = "for all kernels" if all(kernels) else "for all kernels, or a model" if any(kernels) else "a model"
    return f"{text}; --budget {needed:g} ({_duration(needed)} {whom}) would time all."


def _needed_s(results: Results, options: dict[str, Any]) -> float | None:
    """Return the budget that times every case, rounded up to two digits; None where a case's seconds are unknown.

    A process has an equal share of the budget. A call must take less than a third of the share, and a call of each case
    must fit it. All kernels share the budget that each model has alone.
    """
    workers = options.get("workers")
    shared: dict[tuple[str, ...], list[float]] = {}
    for case in results.cases.values():
        facts = case.verified or {}
        about = case.median_s or facts.get("call_s") or facts.get("predicted_s")
        if case.status not in ("ok", "over_budget"):
            continue
        if about is None:
            return None
        whose = "" if is_kernel(case) else model_label(case)
        shared.setdefault((whose, case.device, case.dtype), []).append(float(about))
    if not isinstance(workers, int) or not shared:
        return None
    needed = MARGIN * workers * max(max(sum(calls), 3 * max(calls)) for calls in shared.values())
    place = 10.0 ** (math.floor(math.log10(needed)) - 1)
    return math.ceil(needed / place) * place


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


def _unstable(results: Results) -> str:
    timed = [case for case in results.cases.values() if case.median_s is not None]
    cases = [case for case in timed if case.unstable]
    if not cases:
        return ""
    load = results.run.environment.get("load")
    busy = f" (load at the start: {load['1min']:.1f})" if isinstance(load, dict) and load.get("1min") else ""
    return f"Unstable: {len(cases):,} of {_count(timed, 'time')} scatter{busy}: stop other programs and repeat."


def _count(cases: list[Case], word: str) -> str:
    return f"{len(cases):,} {word}{'s' if len(cases) != 1 else ''}"
