"""One case in words: the columns of tables, and the text of their cells."""

from __future__ import annotations

from collections.abc import Callable

from arbench.report.labels import (
    COUNT_SOURCE,
    EXACTNESS,
    STATUS,
    SharedSettings,
    interval_of,
    model_label,
    rounded_weights,
)
from arbench.report.quantities import NONE, Cell, Column, Quantity
from arbench.report.rates.pace import streams
from arbench.report.rates.roofs import of_limit
from arbench.report.rates.speed import is_reference, speed_up
from arbench.results import Case, Ratio, Results, Slowdown
from arbench.stats import format_interval, format_ratio
from arbench.stats.digits import round_down


def largest_speed_up(case: Case, results: Results) -> tuple[int, Ratio] | None:
    """Return (N, ratio) for the case's method at the largest N with a speed-up, at most the case's N."""
    found = [
        (other.n, ratio)
        for other in results.cases.values()
        if other.key == case.key and other.n <= case.n and (ratio := speed_up(other, results)) is not None
    ]
    return max(found, key=lambda pair: pair[0], default=None)


def real_time(case: Case) -> float | None:
    """Return the seconds of audio per second of computing, for each stream of the batch."""
    return case.n / case.rate_hz / case.median_s if case.rate_hz and case.median_s else None


def seconds(case: Case, *shown: str) -> Cell:
    """Return the time of a call for a column of times: its value, its interval, or both."""
    interval = interval_of(case)
    if case.median_s is None or (interval is None and shown == ("interval",)):
        return NONE
    return Quantity(case.median_s, "s", interval, "[]" if case.ci95_s else "()", shown or ("value",))


def per_second(case: Case, amount: float | None, unit: str) -> Cell:
    """Return an amount over the time of a call, for a column of rates."""
    if case.median_s is None or amount is None:
        return NONE
    interval = interval_of(case)
    ends = None if interval is None else (amount / interval[1], amount / interval[0])
    return Quantity(amount / case.median_s, unit, ends)


def gap(value: float | None) -> Cell:
    """Return the seconds of a chunk or between two of them, to two or three digits."""
    return NONE if value is None else Quantity(value, "s", (value * 0.98, value * 1.02))


def _streams(case: Case, results: Results, at: int) -> str:
    found = streams(case, results)
    return NONE if found is None else round_down(found[at])


def exact(value: float | None, unit: str) -> Cell:
    """Return a count for a column of counts, to four digits."""
    return NONE if value is None else Quantity(value, unit, (value * 0.9999, value * 1.0001))


def _real_time(case: Case) -> str:
    if not case.rate_hz or case.median_s is None:
        return NONE
    audio, interval = case.n / case.rate_hz, interval_of(case)
    return format_ratio(audio / case.median_s, interval and (audio / interval[1], audio / interval[0]))


def _largest_n(case: Case, results: Results) -> str:
    """Return the largest N at which the case's method is ok."""
    sizes = [other.n for other in results.cases.values() if other.key == case.key and other.status == "ok"]
    return f"{max(sizes):,}" if sizes else NONE


def first_call(case: Case) -> float | None:
    """Return the seconds of the first call of all, where it compiled; None where nothing was compiled."""
    found = (case.verified or {}).get("first_call_s")
    return None if found is None else float(found)


def speed_up_label(case: Case, results: Results) -> str:
    """Return ``3.07x [3.01, 3.12]`` over the reference, or ``reference`` for the reference itself."""
    ratio = speed_up(case, results)
    if ratio is None:
        return "reference" if is_reference(case, results) else NONE
    return ratio_label(ratio)


def slowdown_label(case: Case, results: Results) -> str:
    """Return ``21.5x [20.9, 22.1]``: the time of sampling over that of scoring at the same N."""
    found = results.slowdown(case)
    return NONE if found is None else ratio_label(found)


def ratio_label(ratio: Ratio | Slowdown) -> str:
    """Return ``12.3x [12.1, 12.6]``: an interval in brackets, or a range over workers in parentheses."""
    interval = interval_of(ratio)
    text = format_ratio(ratio.ratio, interval)
    if interval is None:
        return text
    return f"{text} {format_interval(ratio.ratio, interval, 'x', '[]' if ratio.ci95 else '()')}"


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def status_label(case: Case) -> str:
    """Return the status in words: ``ok, unstable``."""
    return STATUS[case.status] + (", unstable" if case.unstable else "")


def exactness_label(case: Case) -> str:
    """Return the exactness in words: ``exact, rounded weights`` where it is that of the model with such weights."""
    return EXACTNESS[case.exactness] + (", rounded weights" if rounded_weights(case) else "")


def accepted(case: Case) -> float | None:
    """Return the groups accepted per evaluation on average; None for a method that does not guess ahead."""
    found = (case.verified or {}).get("accepted")
    return float(found) if found is not None else None


def _accepted(case: Case) -> str:
    found = accepted(case)
    return NONE if found is None else f"{found:.1f}"


def is_extrapolated(case: Case) -> bool:
    """Return whether a case's depth was computed from smaller sizes, and not counted."""
    return case.depth is not None and case.count_source == "extrapolated"


def is_stated(case: Case) -> bool:
    """Return whether a case's depth is what the author of its method states, and was not counted."""
    return case.depth is not None and case.count_source == "formula"


def _marked(case: Case) -> str:
    return _count(case.depth) + "*" * is_extrapolated(case) + "+" * is_stated(case)


CELLS: dict[str, Callable[[Case, Results, SharedSettings], Cell]] = {
    "model": lambda case, results, shared: model_label(case),
    "op": lambda case, results, shared: case.op,
    "method": lambda case, results, shared: shared.method_label(case),
    "n": lambda case, results, shared: f"{case.n:,}",
    "time": lambda case, results, shared: seconds(case),
    "interval": lambda case, results, shared: seconds(case, "interval"),
    "time_with_interval": lambda case, results, shared: (
        seconds(case, "value", "interval") if case.status == "ok" else STATUS[case.status]
    ),
    "rate": lambda case, results, shared: per_second(case, case.batch * case.n, "/s"),
    "real_time": lambda case, results, shared: _real_time(case),
    "speed_up": lambda case, results, shared: speed_up_label(case, results),
    "slowdown": lambda case, results, shared: slowdown_label(case, results),
    "first_call": lambda case, results, shared: gap(first_call(case)),
    "of_limit": lambda case, results, shared: of_limit(case, results),
    "first_chunk": lambda case, results, shared: gap(case.first_s),
    "gap": lambda case, results, shared: gap(case.gap_median_s),
    "gap_p99": lambda case, results, shared: gap(case.gap_p99_s),
    "gap_worst": lambda case, results, shared: gap(case.gap_worst_s),
    "noise": lambda case, results, shared: gap(case.noise_s or None),
    "streams": lambda case, results, shared: _streams(case, results, 0),
    "streams_worst": lambda case, results, shared: _streams(case, results, 1),
    "largest_n": lambda case, results, shared: _largest_n(case, results),
    "depth": lambda case, results, shared: _count(case.depth),
    "marked_depth": lambda case, results, shared: _marked(case),
    "nfe": lambda case, results, shared: _count(case.nfe),
    "accepted": lambda case, results, shared: _accepted(case),
    "work": lambda case, results, shared: exact(
        None if case.flops is None else case.flops / (case.batch * case.n), "FLOP"
    ),
    "memory": lambda case, results, shared: exact(case.peak_bytes, "B"),
    "cache": lambda case, results, shared: exact(case.token_bytes, "B"),
    "counts": lambda case, results, shared: COUNT_SOURCE[case.count_source] + (", twin" if case.twin else ""),
    "exactness": lambda case, results, shared: exactness_label(case),
    "status": lambda case, results, shared: status_label(case),
}
OF_TOKENS = {
    "rate": "tokens",
    "first_chunk": "TTFT",
    "gap": "ITL",
    "gap_p99": "99% of ITL",
    "gap_worst": "worst ITL",
    "accepted": "acceptance",
}
"""Titles of columns where all cases are of language models: time to first token, inter-token latency."""
COLUMNS = {
    "model": Column("model", number=False),
    "op": Column("op", number=False),
    "method": Column("method", number=False),
    "n": Column("N"),
    "status": Column("status", number=False),
    "time": Column("time"),
    "interval": Column("[95%] or (range)"),
    "time_with_interval": Column("time"),
    "rate": Column("elements"),
    "real_time": Column("real time"),
    "speed_up": Column("speed-up"),
    "slowdown": Column("over scoring"),
    "of_limit": Column("of limit"),
    "first_call": Column("compiling call"),
    "first_chunk": Column("first chunk"),
    "gap": Column("gap", like="gap"),
    "gap_p99": Column("99% of gaps", like="gap"),
    "gap_worst": Column("worst gap", like="gap"),
    "noise": Column("of it noise"),
    "streams": Column("streams"),
    "streams_worst": Column("streams (worst gap)"),
    "largest_n": Column("ok up to N"),
    "depth": Column("depth"),
    "marked_depth": Column("depth"),
    "nfe": Column("nfe"),
    "accepted": Column("accepted"),
    "work": Column("work/element"),
    "memory": Column("peak memory"),
    "cache": Column("cache/token"),
    "counts": Column("counts", number=False),
    "exactness": Column("exactness", number=False),
}
