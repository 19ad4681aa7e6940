"""Tables of cases: as numbers for programs, as words for terminal, markdown and page."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from arbench.border.printable import on_one_line
from arbench.report.cells import CELLS, COLUMNS, OF_TOKENS, accepted, first_call, is_extrapolated, is_stated, real_time
from arbench.report.labels import (
    STATUS,
    SharedSettings,
    interval_of,
    listed,
    method_key,
    model_label,
    numbers,
    of_models,
)
from arbench.report.quantities import NONE, Column, in_one_unit
from arbench.report.rates.pace import streams
from arbench.report.rates.roofs import per_second, reached
from arbench.report.rates.speed import over, speed_up
from arbench.results import Case, Results

if TYPE_CHECKING:
    import pandas as pd

_FULL = tuple(name for name in COLUMNS if name not in ("time_with_interval", "marked_depth", "largest_n"))
_HEADLINE = (
    "op",
    "method",
    "n",
    "time_with_interval",
    "rate",
    "real_time",
    "slowdown",
    "speed_up",
    "first_chunk",
    "gap",
    "gap_worst",
    "streams",
    "streams_worst",
    "marked_depth",
    "largest_n",
)
_OPTIONAL = (
    "rate",
    "real_time",
    "speed_up",
    "largest_n",
    "gap_worst",
    "streams",
    "first_chunk",
    "op",
    "marked_depth",
    "gap",
)
"""Columns of the headline that a narrow terminal loses, the first one first."""
HIDDEN = "Not shown: "
"""Beginning of the note on columns that a narrow terminal loses."""
SHOWS = "--details or a wider terminal shows all"
OF_CHUNKS = ("first_chunk", "gap", "gap_worst", "noise")
"""Columns of methods that draw chunk by chunk."""
_NAMED = 80
"""Characters of the longest list of cases in a caption; longer ones are counted."""
_OP_ORDER = {"score": 0, "sample": 1, "forward": 2, "backward": 3}


@dataclass(frozen=True)
class Mark:
    """The method that a row of a table is about.

    Attributes:
        method: what a page's switch calls it.
        case: id of the case that the row leads to; empty where it leads to none.
    """

    method: str
    case: str = ""


@dataclass(frozen=True)
class Table:
    """Cells as text, with the notes that a reader needs beside them.

    Attributes:
        title: one line or several.
        columns: the headings.
        rows: the cells, a sequence for each row.
        notes: lines below the table.
        sections: headings within the table, by the number of the row below.
        marks: what each row is about, for a page that hides and explains rows; empty where rows are not about a method.
        gist: the notes in fewer words, for a caption; empty where the notes themselves are short.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())
    sections: Mapping[int, str] = field(default_factory=dict)
    marks: Sequence[Mark] = field(default=())
    gist: Sequence[str] = field(default=())

    def lines(self, width: int | None = None) -> list[str]:
        """Return the table as plain text: title, headings, rule, rows, notes; columns two spaces apart.

        Args:
            width: characters of a line of the notes; None for one line each.
        """
        cells = [[on_one_line(cell) for cell in row] for row in ([c.heading for c in self.columns], *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        aligned = [
            "  ".join(
                cell.rjust(width) if column.number else cell.ljust(width)
                for cell, width, column in zip(row, widths, self.columns, strict=True)
            ).rstrip()
            for row in cells
        ]
        rule = "  ".join("─" * width for width in widths)
        body = []
        for number, line in enumerate(aligned[1:]):
            if number in self.sections:
                body += ["", self.sections[number]] if number else [self.sections[number]]
            body.append(line)
        notes = self.notes
        if width is not None:
            notes = [line for note in notes for line in textwrap.wrap(note, width, subsequent_indent="  ")]
        return [*self.title.splitlines(), aligned[0], rule, *body, *notes]


def order(cases: Iterable[Case]) -> list[Case]:
    """Return the cases by model or kernel, scoring or forward first, methods as they first appear, then by N."""
    known = list(cases)
    first: dict[tuple[object, ...], int] = {}
    for i, case in enumerate(known):
        first.setdefault((case.model, case.preset), i)
        first.setdefault(case.key, i)
    return sorted(
        known,
        key=lambda c: (first[c.model, c.preset], _OP_ORDER[c.op], first[c.key], c.n),
    )


def frame(results: Results) -> pd.DataFrame:
    """Return one row per case, with every number as measured.

    The columns are the fields of `arbench.results.Case`, without ``verified``, ``ci95_s`` and ``range_s``, and:

    - ``low_s``, ``high_s``, ``interval``: the ends of the interval of the time, and what it is: 'ci95', or
      'range' over workers;
    - ``elements_per_s``: elements of the whole batch per second;
    - ``streams``, ``streams_worst``: for audio drawn chunk by chunk, how many streams one core holds in real time, by
      the median and by the longest gap between chunks (``arbench.report.rates.pace``);
    - ``first_call_s``: the first call of all, where it compiled: no part of any other time;
    - ``accepted``: groups accepted per evaluation on average, for methods that guess ahead;
    - ``real_time``: seconds of audio made or scored per second, for each stream;
    - ``speed_up``, ``speed_up_low``, ``speed_up_high``, ``reference``: the speed-up with its interval, and
      the id of the case it refers to: the most basic exact method where the reference was not measured;
    - ``slowdown``, ``slowdown_low``, ``slowdown_high``: for sampling, its time over that of scoring at the same N;
    - ``flops_per_element``, ``gb_per_s``, ``gflop_per_s``: work and rates, in 10^9 bytes or FLOPs per second;
    - ``bound``, ``fraction_of_limit``, ``fraction_low``, ``fraction_high``: for kernels and native loops, what limits
      them ('memory' or 'compute') and the fraction of this machine's measured limit they reach, 1 being all of it. A
      native loop with two threads, in a run with one, is compared with twice the limit of one. For one with fewer
      threads than the run the limit is unknown.

    Unknown values are missing, never 0.
    """
    import pandas as pd

    return pd.DataFrame([_record(case, results) for case in order(results.cases.values())])


def _record(case: Case, results: Results) -> dict[str, object]:
    record: dict[str, object] = {
        name: getattr(case, name) for name in case.__struct_fields__ if name not in ("verified", "ci95_s", "range_s")
    }
    low, high = interval_of(case) or (None, None)
    ratio = speed_up(case, results)
    ratio_low, ratio_high = (interval_of(ratio) if ratio else None) or (None, None)
    slowdown = results.slowdowns.get(case.id)
    slowdown_low, slowdown_high = (interval_of(slowdown) if slowdown else None) or (None, None)
    of_limit, held = reached(case, results), streams(case, results)
    fraction_low, fraction_high = (of_limit.ends if of_limit else None) or (None, None)
    return record | {
        "low_s": low,
        "high_s": high,
        "interval": "ci95" if case.ci95_s else "range" if case.range_s else None,
        "elements_per_s": case.batch * case.n / case.median_s if case.median_s else None,
        "real_time": real_time(case),
        "streams": held[0] if held else None,
        "streams_worst": held[1] if held else None,
        "accepted": accepted(case),
        "speed_up": ratio.ratio if ratio else None,
        "speed_up_low": ratio_low,
        "speed_up_high": ratio_high,
        "reference": ratio.reference if ratio else None,
        "slowdown": slowdown.ratio if slowdown else None,
        "slowdown_low": slowdown_low,
        "slowdown_high": slowdown_high,
        "flops_per_element": None if case.flops is None else case.flops / (case.batch * case.n),
        "gb_per_s": _giga(per_second(case, case.bytes)),
        "gflop_per_s": _giga(per_second(case, case.flops)),
        "first_call_s": first_call(case),
        "bound": of_limit.bound if of_limit else None,
        "fraction_of_limit": of_limit.fraction if of_limit else None,
        "fraction_low": fraction_low,
        "fraction_high": fraction_high,
    }


def _giga(value: float | None) -> float | None:
    return None if value is None else value * 1e-9


def rows(results: Results) -> Table:
    """Return every case of a model in words, with units and no digit that its interval does not support."""
    shared = SharedSettings(results)
    cases = order(of_models(results))
    notes = _remarks_on_counts(cases, lambda case: f"{model_label(case)} {case.op} {shared.method_label(case)}")
    notes += _remarks_on_methods(cases)
    return _table(shared.of_models, cases, results, shared, _FULL, notes)


def model_tables(results: Results, width: int) -> list[Table]:
    """Return one table per model, all of it at one N, with notes on the other sizes.

    The N is the largest of those at which the most methods are ok. A method that is not ok there shows its status in
    place of a time, and every method shows the largest N at which it is. Where a method has no case at that N, each
    row states its own.

    Args:
        results: what was measured.
        width: characters per line; optional columns are dropped until the table fits.
    """
    shared = SharedSettings(results)
    groups: dict[str, list[Case]] = {}
    for case in order(of_models(results)):
        groups.setdefault(model_label(case), []).append(case)
    tables = []
    for label, cases in groups.items():
        n, at_n = common_n(cases, {ratio.reference for ratio in results.ratios.values()}), []
        for same in _by_key(cases).values():
            at_n.append(min(same, key=lambda case: abs(case.n - n)))
        several = any(case.n != n for case in at_n)
        size = "" if several else f"N = {n:,}"
        words = " · ".join(filter(None, (label, size, f"element: {cases[0].element}", shared.of_models)))
        title = "\n  ".join(textwrap.wrap(words, width - 2))
        notes, gist = _notes(cases, shared), _notes(cases, shared, brief=True)
        kept = [name for name in _HEADLINE if name != "n" or several]
        marked = ["* extrapolated from counted sizes"] if any(map(is_extrapolated, at_n)) else []
        marked += ["+ stated by the method, not counted"] if any(map(is_stated, at_n)) else []
        whole = _table(title, at_n, results, shared, kept)
        for dropped in (None, *_OPTIONAL):
            kept = [name for name in kept if name != dropped]
            marks = "; ".join([*_legend(at_n), *(marked if "marked_depth" in kept else [])])
            speed = over(at_n, results, shared) if "speed_up" in kept else ""
            legend = _packed(filter(None, (marks, speed)), width)
            below = [*legend, *notes]
            table = _table(title, at_n, results, shared, kept, below)
            shown = {column.title for column in table.columns}
            if lost := [column.title for column in whole.columns if column.title not in shown]:
                table = replace(table, notes=[f"{HIDDEN}{listed(lost)}; {SHOWS}", *below])
                below = [*table.notes]
            if max(map(len, table.lines()[len(title.splitlines()) : -len(below) or None])) <= width:
                break
        tables.append(replace(table, gist=[*legend, *gist]))
    return tables


def _packed(parts: Iterable[str], width: int) -> list[str]:
    """Return parts of a legend on one line where they fit."""
    known = list(parts)
    return ["; ".join(known)] if known and sum(map(len, known)) + 2 <= width else known


def common_n(cases: Iterable[Case], referred: Container[str]) -> int:
    """Return the largest of the sizes at which the most methods are ok, if possible with one that is referred to."""
    ok: dict[int, list[str]] = {}
    for case in cases:
        ok.setdefault(case.n, []).extend([case.id] if case.status == "ok" else [])
    return max(ok, key=lambda n: (len(ok[n]), any(one in referred for one in ok[n]), n))


def _legend(cases: Iterable[Case]) -> list[str]:
    """Return what the marks around intervals mean, if there are any."""
    timed = [case for case in cases if case.status == "ok"]
    brackets = "[brackets] are 95% intervals over processes" if any(case.ci95_s for case in timed) else ""
    ranges = "(parentheses) are ranges over fewer than six processes" if any(case.range_s for case in timed) else ""
    return [text] if (text := ", ".join(filter(None, (brackets, ranges)))) else []


def _by_key(cases: Iterable[Case]) -> dict[tuple[object, ...], list[Case]]:
    found: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        found.setdefault(case.key, []).append(case)
    return found


def _notes(cases: list[Case], shared: SharedSettings, brief: bool = False) -> list[str]:
    """Return a note for each kind of what is not ok, such as ``over budget: sample naive at N = 4,096``, then remarks.

    Args:
        cases: those of one model.
        shared: the settings that are not named.
        brief: count cases where their names are too long for a caption.
    """

    def name(case: Case) -> str:
        return f"{case.op} {shared.method_label(case)}"

    unstable = [case for case in cases if case.status == "ok" and case.unstable]
    untimed = [case for case in cases if case.status != "ok"]
    notes = []
    if unstable:
        timed = sum(case.status == "ok" for case in cases)
        counted = f"Times of {len(unstable):,} of {timed:,} cases scatter (unstable)"
        named = f"unstable: {_where(unstable, name)}"
        notes.append(counted if brief and len(named) > _NAMED else named)
    statuses = list(dict.fromkeys(STATUS[case.status] for case in untimed))
    kinds = {kind: [case for case in untimed if STATUS[case.status] == kind] for kind in statuses}
    found = [f"{kind}: {_where(same, name)}" for kind, same in kinds.items()]
    if brief and sum(map(len, found)) > _NAMED:
        each = [kind if len(kinds) == 1 else f"{len(same):,} {kind}" for kind, same in kinds.items()]
        have = "has" if len(untimed) == 1 else "have"
        found = [f"{len(untimed):,} of {len(cases):,} cases {have} no time ({', '.join(each)})"]
    return [*notes, *found, *_remarks_on_counts(cases, name, brief), *_remarks_on_methods(cases)]


def _where(cases: Iterable[Case], name: Callable[[Case], str]) -> str:
    """Return ``score parallel and sample cached at N = 16 and 32; sample naive at N = 64``: all sizes of each name."""
    sizes: dict[str, list[int]] = {}
    for case in cases:
        sizes.setdefault(name(case), []).append(case.n)
    same: dict[str, list[str]] = {}
    for method, found in sizes.items():
        same.setdefault(numbers(found), []).append(method)
    return "; ".join(f"{listed(methods)} at N = {found}" for found, methods in same.items())


def _remarks_on_methods(cases: Iterable[Case]) -> list[str]:
    """Return what a reader must know before comparing a method with others, each once."""
    known = ((case.verified or {}).get("remark") for case in cases)
    return list(dict.fromkeys(str(remark) for remark in known if remark))


def _remarks_on_counts(cases: Iterable[Case], name: Callable[[Case], str], brief: bool = False) -> list[str]:
    """Return a note for each reason why counters are unknown and for each twin, with the cases that have it.

    Args:
        cases: the cases to look at; those from files without a reason are left out.
        name: returns what to call a case, without its N.
        brief: count cases where their names are too long for a caption.
    """
    known: dict[str, list[Case]] = {}
    for case in cases:
        for remark in _remarks(case):
            known.setdefault(remark, []).append(case)
    found = {remark: (_where(same, name), same) for remark, same in known.items()}
    return [
        f"{remark}: {f'{len(same):,} cases' if brief and len(where) > _NAMED else where}"
        for remark, (where, same) in found.items()
    ]


def _remarks(case: Case) -> Iterator[str]:
    if case.why_unknown:
        unknown = {"depth": case.depth, "work": case.flops, "peak memory": case.peak_bytes}
        first = next((name for name, value in unknown.items() if value is None), None)
        if first is not None:
            yield f"{first} unknown ({NONE}): {case.why_unknown}"
    if case.twin:
        yield f"counted in place of the call: {case.twin}"


def _table(
    title: str,
    cases: Sequence[Case],
    results: Results,
    shared: SharedSettings,
    names: Sequence[str],
    notes: Sequence[str] = (),
) -> Table:
    known = {
        "real_time": any(c.rate_hz for c in cases),
        "accepted": any(map(accepted, cases)),
        "slowdown": any(map(results.slowdown, cases)),
        "speed_up": any(speed_up(c, results) for c in cases),
        **dict.fromkeys(OF_CHUNKS, any(c.first_s for c in cases)),
        **dict.fromkeys(("streams", "streams_worst"), any(streams(c, results) for c in cases)),
        "gap_p99": any(c.gap_p99_s for c in cases),
        "of_limit": any(reached(c, results) for c in cases),
        "first_call": any(map(first_call, cases)),
        "cache": any(c.token_bytes is not None for c in cases),
    }
    titles = _titles(cases)
    kept = [name for name in names if known.get(name, True)]
    return Table(
        title,
        *in_one_unit(
            [replace(COLUMNS[name], title=titles.get(name, COLUMNS[name].title)) for name in kept],
            [[CELLS[name](case, results, shared) for name in kept] for case in cases],
        ),
        notes,
        marks=marks(cases),
    )


def _titles(cases: Iterable[Case]) -> dict[str, str]:
    """Return titles of columns in the words of language models, where all cases that were verified are of such."""
    right = [case for case in cases if case.status == "ok"]
    if not right or any(case.prompt is None for case in right):
        return {}
    chunks = () if all(case.chunk in (None, 1) for case in right) else (*OF_CHUNKS, "gap_p99")
    return {name: title for name, title in OF_TOKENS.items() if name not in chunks}


def marks(cases: Iterable[Case]) -> list[Mark]:
    """Return the marks of rows that show one case each."""
    return [Mark(method_key(case), case.id) for case in cases]
