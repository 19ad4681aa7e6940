"""Streams: how soon the first chunk is there, how evenly the others come, and how many streams a core holds."""

from __future__ import annotations

from typing import Any

from arbench.report.labels import SharedSettings, model_label, numbers, of_models
from arbench.report.models.language import is_by_token
from arbench.report.rates.pace import cores, duration_s
from arbench.report.table import order
from arbench.results import Case, Results
from arbench.stats import format_seconds
from arbench.stats.digits import Interval, format_apart, format_at, prefixed, shared_prefix


def streaming(results: Results, model: str, shared: SharedSettings) -> list[str]:
    """Return sentences on each method of a model that draws chunk by chunk, at its largest N with several chunks.

    A language model that passes each token has its own (``arbench.report.models.language``).

    Args:
        results: what was measured.
        model: label of the model.
        shared: settings that all cases share.
    """
    methods: dict[tuple[Any, ...], list[Case]] = {}
    for case in order(of_models(results)):
        if model_label(case) == model and case.status == "ok" and case.first_s is not None and not is_by_token(case):
            methods.setdefault(case.key[:-1], []).append(case)
    return [line for cases in methods.values() for line in _of_method(cases, results, shared)]


def _of_method(cases: list[Case], results: Results, shared: SharedSettings) -> list[str]:
    several = [case.n for case in cases if case.gap_median_s is not None]
    n = max(several or [case.n for case in cases])
    same = sorted((case for case in cases if case.n == n), key=lambda case: case.batch)
    return [_latency(same[0], shared), *(_capacity(same, results) if same[0].rate_hz and several else [])]


def _latency(case: Case, shared: SharedSettings) -> str:
    """Return how soon the chunks come, and what their noise costs."""
    count = min(case.chunk or 0, case.n)
    sound = count / case.rate_hz if case.rate_hz else None
    what = f"{_count(count, case.element)}{f' ({format_seconds(sound)} of sound)' if sound else ''}"
    times = (case.first_s, case.gap_median_s, case.gap_p99_s, case.gap_worst_s)
    unit = shared_prefix(((one, _about(one)) for one in times if one), "s")

    def shown(seconds: float | None) -> str:
        return f"{format_at(seconds or 0.0, unit, _about(seconds or 0.0))} {prefixed('s', unit)}"

    text = f"{shared.method_label(case)} yields {what} at a time at N = {case.n:,}: first after {shown(case.first_s)}"
    if case.gap_median_s is None:
        return f"{text}; no second whole chunk, so no gap is known: choose a larger N or a smaller chunk."
    text += f", then every {shown(case.gap_median_s)} (median)"
    if case.gap_p99_s is not None:
        text += f", 99% within {shown(case.gap_p99_s)}"
    text += f", worst {shown(case.gap_worst_s)} of {case.gaps:,} gaps"
    if case.noise_s and case.median_s:
        text += f"; {case.noise_s / case.median_s:.1%} of the time makes noise, which other methods are given"
    return f"{text}."


def _capacity(same: list[Case], results: Results) -> list[str]:
    """Return how many streams are held in real time, and the largest batch that is never late.

    A batch is late where a gap is longer than the sound in a chunk: then none of its streams is in real time. Where it
    is not, several batches may take turns.
    """
    sound = duration_s(same[0]) or 0.0
    number = cores(same[0], results)
    who = "the GPU" if same[0].device != "cpu" else "a core" if number == 1 else f"{number} cores"
    keep, do = ("keeps", "does") if number == 1 else ("keep", "do")
    usual, by_usual = max((_in_turns(case, case.gap_median_s, sound), -case.batch) for case in same)
    worst, by_worst = max((_in_turns(case, case.gap_worst_s, sound), -case.batch) for case in same)
    if not usual:
        best = min(same, key=lambda case: case.gap_median_s or 0.0)
        has, takes = format_apart(sound, best.gap_median_s or 0.0, "s")
        late = f"{has} of sound take {takes if takes != has else 'just longer'}{_at(best.batch)}"
        return [f"In real time {who} {do} not keep up with one stream: {late}.", *_never_late(same, sound)]
    text = f"In real time {who} {keep} up with {_count(usual, 'stream')} by the median gap{_at(-by_usual)}"
    if worst:
        text += f", and with {worst:,} by the worst{_at(-by_worst)}"
    else:
        text += ", and with none by the worst: readers need a buffer"
    return [f"{text}.", *_never_late(same, sound)]


def _never_late(same: list[Case], sound: float) -> list[str]:
    """Return which is the largest batch of which no chunk was late; nothing where there is one batch."""
    if len(same) == 1:
        return []
    kept = [case.batch for case in same if (case.gap_worst_s or 0.0) <= sound]
    measured = f"Of batches {numbers([case.batch for case in same])}"
    never = f"the largest of which no chunk was late is {max(kept)}" if kept else "none was without a late chunk"
    return [f"{measured} {never}."]


def _in_turns(case: Case, gap_s: float | None, sound: float) -> int:
    """Return how many streams are in real time where batches of the case take turns, each with this gap."""
    return case.batch * int(sound / gap_s) if gap_s else 0


def _at(batch: int) -> str:
    return f" at batch {batch}" if batch > 1 else ""


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number > 1 else ''}"


def _about(seconds: float) -> Interval:
    """Return an interval that supports two digits, or three of them below 2."""
    return seconds * 0.95, seconds * 1.05
