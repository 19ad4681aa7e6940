"""The answer to the question of a run: how much longer sampling takes than scoring, at the same N."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from arbench.report.labels import DEPENDS_ON_WEIGHTS, SharedSettings, interval_of, model_label, of_models
from arbench.report.models.language import language
from arbench.report.models.passes import are_unknown, quality, trained_of
from arbench.report.models.streaming import streaming
from arbench.report.models.verdicts import headlines
from arbench.report.rates.speed import is_reference, speed_up
from arbench.report.table import order
from arbench.results import Case, Ratio, Results, Slowdown
from arbench.stats import format_interval, format_ratio


@dataclass(frozen=True)
class Answer:
    """Cost of sampling from one model beside that of scoring with it.

    Attributes:
        model: label of the model.
        sentences: the answer first, then the reference, the largest N, streams, a language model's tokens, and depth.
    """

    model: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Cost:
    """A case of sampling and the time it takes, in times of scoring."""

    case: Case
    slowdown: Slowdown


def answers(results: Results) -> list[Answer]:
    """Return one answer per model, in the order of the tables."""
    depths = {head.model: head.text for head in headlines(results)}
    shared = SharedSettings(results)
    return [
        Answer(
            model,
            (
                *_costs(results, model, shared),
                *streaming(results, model, shared),
                *language(results, model, shared),
                *([f"{text[0].upper()}{text[1:]}."] if text else []),
            ),
        )
        for model, text in depths.items()
    ]


def _costs(results: Results, model: str, shared: SharedSettings) -> list[str]:
    cases = [case for case in order(of_models(results)) if model_label(case) == model]
    found = _known(results, cases)
    if not found:
        beside = _beside_each_other(cases, results, shared)
        ok = [{case.n for case in cases if (case.op, case.status) == (op, "ok")} for op in ("score", "sample")]
        if all(ok) and not ok[0] & ok[1]:
            hint = "Scoring and sampling were not timed at the same N: give smaller sizes or a larger --budget."
            return [hint, *beside]
        return beside
    sizes: dict[int, list[_Cost]] = {}
    for one in found:
        sizes.setdefault(one.case.n, []).append(one)
    referred = {ratio.reference for ratio in results.ratios.values()}
    n = max(sizes, key=lambda n: (len(sizes[n]), any(one.case.id in referred for one in sizes[n]), n))
    best = min(sizes[n], key=_ratio)
    pair = _pair(best, results, shared)
    lines = [f"At N = {n:,} sampling takes {_times(best.slowdown)} as long as scoring: {pair}."]
    lines += _beside_reference(best, sizes[n], results, shared)
    named = [best]
    if (most := max(sizes)) != n:
        named.append(last := min(sizes[most], key=_ratio))
        lines.append(f"At N = {most:,} it takes {_times(last.slowdown)}: {_pair(last, results, shared)}.")
    return lines + _beside_trained(named, results)


def _beside_trained(named: list[_Cost], results: Results) -> list[str]:
    """Return the quality of trained weights, or a caveat where they are random and a sampler's gain depends on them."""
    if (trained := trained_of(named[0].case, results)) is not None:
        return [f"Weights are {quality(trained)}."]
    if are_unknown(named[0].case, results):
        return []
    gains = list(dict.fromkeys(one.case.method for one in named if one.case.method in DEPENDS_ON_WEIGHTS))
    some = "gains" if len(gains) > 1 else "gain"
    return [f"Weights are random: the {some} of {' and '.join(gains)} may not hold for trained ones."] if gains else []


def _known(results: Results, cases: list[Case]) -> list[_Cost]:
    """Return what exact samplers cost, at the model's smallest batch and its first settings that were timed."""
    found = [
        _Cost(case, slowdown)
        for case in cases
        if case.exactness != "approximate" and (slowdown := results.slowdown(case)) is not None
    ]
    if not found:
        return []
    settings = min((_settings(one.case) for one in found), key=lambda one: one[-1])
    return [one for one in found if _settings(one.case) == settings]


def _settings(case: Case) -> tuple[Any, ...]:
    return case.backend, case.device, case.dtype, case.batch


def _ratio(one: _Cost) -> float:
    return one.slowdown.ratio


def _pair(one: _Cost, results: Results, shared: SharedSettings) -> str:
    score = results.cases[one.slowdown.score]
    return f"{shared.method_label(one.case)}/{shared.method_label(score)}"


def _beside_reference(best: _Cost, same: list[_Cost], results: Results, shared: SharedSettings) -> list[str]:
    """Return how far the best sampler is from the reference; nothing where only one sampler was timed."""
    reference = next((one for one in same if is_reference(one.case, results)), None)
    if reference is None or len(same) == 1:
        return []
    name = shared.method_label(reference.case)
    recorded = any(one.reference == reference.case.id for one in results.ratios.values())
    if reference is best:
        others = [one.case for one in same if one is not best]
        slower = speed_up(others[0], results) if len(others) == 1 else None
        text = f"No sampler is faster there than {name}{', the reference' if recorded else ''}"
        return [f"{text}: {shared.method_label(others[0])} is {_times(slower)} as fast." if slower else f"{text}."]
    speed = speed_up(best.case, results)
    if speed is not None and not _clear(speed):
        text = f"No sampler is clearly faster there than {name}{', the reference' if recorded else ''}"
        fast = f"{shared.method_label(best.case)} is {_times(speed)} as fast"
        return [f"{text}, which takes {_times(reference.slowdown)}: {fast}."]
    text = f"{f'The reference, {name},' if recorded else name} takes {_times(reference.slowdown)}"
    return [text + (f"; {shared.method_label(best.case)} is {_times(speed)} as fast." if speed else ".")]


def _beside_each_other(cases: list[Case], results: Results, shared: SharedSettings) -> list[str]:
    """Return how fast samplers are beside each other where no scoring was timed beside them, at the smallest batch.

    That is the fastest one at the largest N with a speed-up; the only other one where the reference is the fastest.
    """
    known = [
        (case, ratio)
        for case in cases
        if case.op == "sample" and case.exactness != "approximate" and (ratio := speed_up(case, results)) is not None
    ]
    if not known:
        return []
    settings = min((_settings(case) for case, _ in known), key=lambda one: one[-1])
    known = [(case, ratio) for case, ratio in known if _settings(case) == settings]
    n = max(case.n for case, _ in known)
    known = [(case, ratio) for case, ratio in known if case.n == n]
    case, ratio = max(known, key=lambda pair: pair[1].ratio)
    reference = shared.method_label(results.cases[ratio.reference])
    if ratio.ratio <= 1 and len(known) > 1:
        return [f"At N = {n:,} no sampler is faster than {reference}."]
    if not _clear(ratio):
        fast = f"{shared.method_label(case)} samples {_times(ratio)} as fast"
        return [f"At N = {n:,} no sampler is clearly faster than {reference}: {fast}."]
    return [f"At N = {n:,} {shared.method_label(case)} samples {_times(ratio)} as fast as {reference}."]


def _clear(speed: Ratio) -> bool:
    """Return whether a speed-up is told from none: its interval, or its range of few workers, does not include 1."""
    interval = interval_of(speed)
    return interval is None or not interval[0] <= 1 <= interval[1]


def _times(line: Slowdown | Ratio) -> str:
    """Return ``12x [11, 13]`` with a 95% interval, and ``12x (range 11 to 13)`` where there are too few workers."""
    interval = interval_of(line)
    text = format_ratio(line.ratio, interval)
    if interval is None:
        return text
    ends = format_interval(line.ratio, interval, "x")
    return f"{text} {ends}" if line.ci95 else f"{text} (range {ends[1:-1].replace(', ', ' to ')})"
