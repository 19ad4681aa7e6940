"""One case in words: the columns of tables, and the text of their cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from arbench.report.labels import COUNT_SOURCE, EXACTNESS, STATUS, SharedSettings, model_label
from arbench.results import Case, Ratio, Results
from arbench.stats import format_interval, format_ratio, format_seconds, format_si

NONE = "—"
Interval = tuple[float, float]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        unit: the unit of all its numbers, added to the heading.
        number: align cells to the right.
        wraps: a cell may take several lines on the page.
    """

    title: str
    unit: str = ""
    number: bool = True
    wraps: bool = False

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def interval_of(line: Case | Ratio) -> Interval | None:
    """Return the 95% interval, or without one the range over workers."""
    if isinstance(line, Ratio):
        return line.ci95 or line.range
    return line.ci95_s or line.range_s


def speed_up(case: Case, results: Results) -> Ratio | None:
    """Return the speed of the case over its reference."""
    return next((ratio for ratio in results.ratios.values() if ratio.case == case.id), None)


def largest_speed_up(case: Case, results: Results) -> tuple[int, Ratio] | None:
    """Return (N, ratio) for the case's method at the largest N with a reference, at most the case's N."""
    found = [
        (other.n, ratio)
        for ratio in results.ratios.values()
        if (other := results.cases.get(ratio.case)) and other.key == case.key and other.n <= case.n
    ]
    return max(found, key=lambda pair: pair[0], default=None)


def real_time(case: Case) -> float | None:
    """Return the seconds of audio per second of computing, for each stream of the batch."""
    return case.n / case.rate_hz / case.median_s if case.rate_hz and case.median_s else None


def time_label(case: Case) -> str:
    """Return ``12.3 ms``, with the digits its interval supports."""
    if case.median_s is None:
        return NONE
    return format_seconds(case.median_s, interval_of(case))


def time_interval_label(case: Case) -> str:
    """Return the interval ``[12.1, 12.6]``, or the range over workers in parentheses."""
    interval = interval_of(case)
    if case.median_s is None or interval is None:
        return NONE
    return format_interval(case.median_s, interval, "s", "[]" if case.ci95_s else "()")


def _per_second(case: Case, elements: float, unit: str) -> str:
    if case.median_s is None:
        return NONE
    interval = interval_of(case)
    ends = None if interval is None else (elements / interval[1], elements / interval[0])
    value = elements / case.median_s
    return format_ratio(value, ends) if unit == "x" else format_si(value, unit, ends)


def _real_time(case: Case) -> str:
    return _per_second(case, case.n / case.rate_hz, "x") if case.rate_hz else NONE


def _best_speed_up(case: Case, results: Results) -> str:
    """Return the speed-up, or the one at the largest N where the reference was timed too."""
    found = largest_speed_up(case, results)
    if found is None or found[0] == case.n:
        return speed_up_label(case, results)
    return f"{ratio_label(found[1])} at {found[0]:,}"


def speed_up_label(case: Case, results: Results) -> str:
    """Return ``3.07x [3.01, 3.12]`` over the reference, or ``reference`` for the reference itself."""
    ratio = speed_up(case, results)
    if ratio is None:
        referred = any(other.reference == case.id for other in results.ratios.values())
        return "reference" if referred else NONE
    return ratio_label(ratio)


def ratio_label(ratio: Ratio) -> str:
    """Return ``12.3x [12.1, 12.6]``: an interval in brackets, or a range over workers in parentheses."""
    interval = interval_of(ratio)
    text = format_ratio(ratio.ratio, interval)
    if interval is None:
        return text
    return f"{text} {format_interval(ratio.ratio, interval, 'x', '[]' if ratio.ci95 else '()')}"


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def exact_si(value: float | None, unit: str) -> str:
    """Return a count with its unit, to four digits."""
    return NONE if value is None else format_si(value, unit, (value * 0.9999, value * 1.0001))


def status_label(case: Case) -> str:
    """Return the status in words: ``ok, unstable``."""
    return STATUS[case.status] + (", unstable" if case.unstable else "")


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


Cell = Callable[[Case, Results, SharedSettings], str]
CELLS: dict[str, Cell] = {
    "model": lambda case, results, shared: model_label(case),
    "op": lambda case, results, shared: case.op,
    "method": lambda case, results, shared: shared.method_label(case),
    "n": lambda case, results, shared: f"{case.n:,}",
    "time": lambda case, results, shared: time_label(case),
    "interval": lambda case, results, shared: time_interval_label(case),
    "rate": lambda case, results, shared: _per_second(case, case.batch * case.n, ""),
    "real_time": lambda case, results, shared: _real_time(case),
    "speed_up": lambda case, results, shared: speed_up_label(case, results),
    "best_speed_up": lambda case, results, shared: _best_speed_up(case, results),
    "depth": lambda case, results, shared: _count(case.depth),
    "marked_depth": lambda case, results, shared: _count(case.depth) + "*" * is_extrapolated(case),
    "nfe": lambda case, results, shared: _count(case.nfe),
    "accepted": lambda case, results, shared: _accepted(case),
    "work": lambda case, results, shared: exact_si(
        None if case.flops is None else case.flops / (case.batch * case.n), "FLOP"
    ),
    "memory": lambda case, results, shared: exact_si(case.peak_bytes, "B"),
    "counts": lambda case, results, shared: COUNT_SOURCE[case.count_source] + (", twin" if case.twin else ""),
    "exactness": lambda case, results, shared: EXACTNESS[case.exactness],
    "status": lambda case, results, shared: status_label(case),
}
COLUMNS = {
    "model": Column("model", number=False),
    "op": Column("op", number=False),
    "method": Column("method", number=False),
    "n": Column("N"),
    "status": Column("status", number=False),
    "time": Column("time"),
    "interval": Column("[95%] or (range)"),
    "rate": Column("elements/s"),
    "real_time": Column("real time"),
    "speed_up": Column("speed-up"),
    "best_speed_up": Column("speed-up"),
    "depth": Column("depth"),
    "marked_depth": Column("depth"),
    "nfe": Column("nfe"),
    "accepted": Column("accepted"),
    "work": Column("work/element"),
    "memory": Column("peak memory"),
    "counts": Column("counts", number=False),
    "exactness": Column("exactness", number=False),
}
