"""Streams: how soon the first chunk is there, how evenly the others come, and how many streams a core holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from arbench.report.labels import SharedSettings, model_label, numbers, of_models
from arbench.report.pace import cores, duration_s, streams
from arbench.report.table import order
from arbench.results import Case, Results
from arbench.stats import format_seconds
from arbench.stats.digits import format_si


def streaming(results: Results, model: str, shared: SharedSettings) -> list[str]:
    """Return sentences on each method of a model that draws chunk by chunk, at its largest N with several chunks.

    Args:
        results: what was measured.
        model: label of the model.
        shared: settings that all cases share.
    """
    methods: dict[tuple[Any, ...], list[Case]] = {}
    for case in order(of_models(results)):
        if model_label(case) == model and case.status == "ok" and case.first_s is not None:
            methods.setdefault(case.key[:-1], []).append(case)
    return [line for cases in methods.values() for line in _of_method(cases, results, shared)]


def _of_method(cases: list[Case], results: Results, shared: SharedSettings) -> list[str]:
    several = [case.n for case in cases if case.gap_median_s is not None]
    n = max(several or [case.n for case in cases])
    same = sorted((case for case in cases if case.n == n), key=lambda case: case.batch)
    return [_latency(same[0], shared), *([_capacity(same, results)] if same[0].rate_hz and several else [])]


def _latency(case: Case, shared: SharedSettings) -> str:
    """Return how soon the chunks come, and what their noise costs."""
    sound = duration_s(case)
    what = f"{_count(case.chunk or 0, case.element)}{f' ({format_seconds(sound)} of sound)' if sound else ''}"
    text = f"{shared.method_label(case)} yields {what} at a time at N = {case.n:,}: first after {_s(case.first_s)}"
    if case.gap_median_s is None:
        return f"{text}; no second whole chunk, so no gap is known: choose a larger N or a smaller chunk."
    text += f", then every {_s(case.gap_median_s)} (median)"
    if case.gap_p99_s is not None:
        text += f", 99% within {_s(case.gap_p99_s)}"
    text += f", worst {_s(case.gap_worst_s)} of {case.gaps:,} gaps"
    if case.noise_s and case.median_s:
        text += f"; {case.noise_s / case.median_s:.1%} of the time makes noise, which other methods are given"
    return f"{text}."


def _capacity(same: list[Case], results: Results) -> str:
    """Return how many streams a core holds in real time, by rate and by the batches that were measured."""
    found = [(case, held) for case in same if (held := streams(case, results)) is not None]
    usual, by_usual = _most(found, lambda held: held[0])
    worst, by_worst = _most(found, lambda held: held[1])
    where = "the GPU" if same[0].device != "cpu" else "a core"
    text = f"In real time {where} holds {usual:.2g} streams by the median gap"
    batches = len(found) > 1
    text += f" (at batch {by_usual})" if batches else ""
    text += f" and {worst:.2g} by the worst" + (f" (at batch {by_worst})" if batches else "")
    if not batches:
        late = "even one falls behind" if usual < 1 else "even one needs a buffer for the longest gaps"
        return f"{text}: {late}." if worst < 1 else f"{text}."
    on = "" if cores(same[0], results) == 1 else f" on {cores(same[0], results)} threads"
    kept = [case.batch for case, _ in found if (case.gap_worst_s or 0.0) < (duration_s(case) or 0.0)]
    measured = numbers([case.batch for case, _ in found])
    if not kept:
        return f"{text}; of batches {measured} none had every gap below the chunk's own duration{on}."
    largest = f"the largest with every gap below the chunk's own duration{on} is {max(kept)}"
    return f"{text}; of batches {measured} {largest}."


def _most(
    found: list[tuple[Case, tuple[float, float]]], by: Callable[[tuple[float, float]], float]
) -> tuple[float, int]:
    case, held = max(found, key=lambda pair: by(pair[1]))
    return by(held), case.batch


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number > 1 else ''}"


def _s(seconds: float | None) -> str:
    """Return a duration to two digits."""
    value = seconds or 0.0
    return format_si(value, "s", (value * 0.95, value * 1.05))
