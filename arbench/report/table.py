"""The table: as numbers for programs, as words for terminal, markdown and page alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from arbench.report.cells import CELLS, COLUMNS, Column, accepted, interval_of, real_time, speed_up
from arbench.report.labels import STATUS, Settings, model_label, numbers, of_models
from arbench.report.roofs import per_second, reached
from arbench.results import Case, Results

_FULL = tuple(name for name in COLUMNS if name != "best_speed_up")
_HEADLINE = ("op", "method", "n", "time", "rate", "real_time", "best_speed_up", "depth")
_SPARED = ("rate", "real_time", "depth", "op")
_OP_ORDER = {"score": 0, "sample": 1, "forward": 2, "backward": 3}


@dataclass(frozen=True)
class Table:
    """Cells as text, with what a reader needs to know beside them; a title may have several lines.

    ``sections`` are headings within, by the number of the row they stand above.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())
    sections: Mapping[int, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Plain text: heading, rule, rows, notes; columns two spaces apart."""
        cells = [[column.heading for column in self.columns], *self.rows]
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
        return [*self.title.splitlines(), aligned[0], rule, *body, *self.notes]


def order(cases: Iterable[Case]) -> list[Case]:
    """Cases by model or kernel, scoring or forward first, methods as they first appear, then by N."""
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
    """One row a case, every number as it was measured.

    Columns are the fields of `arbench.results.Case`, without ``verified``, and:
    ``low_s``, ``high_s`` and ``interval`` ('ci95' or 'range' over workers); ``elements_per_s``
    (of the whole batch); ``accepted`` (groups that an evaluation settled on average, of methods that guess
    ahead); ``real_time`` (seconds of audio made or scored per second, each stream);
    ``speed_up``, ``speed_up_low``, ``speed_up_high`` and ``reference`` (a case's id);
    ``flops_per_element``; ``gb_per_s`` and ``gflop_per_s`` (10^9 bytes and FLOPs a second); and of
    kernels ``bound`` ('memory' or 'compute') and ``fraction_of_limit``, ``fraction_low``,
    ``fraction_high`` (of what this machine was measured to do at most: 1 is all of it). What is not
    known is missing, never 0.
    """
    return pd.DataFrame([_record(case, results) for case in order(results.cases.values())])


def _record(case: Case, results: Results) -> dict[str, object]:
    record: dict[str, object] = {
        name: getattr(case, name) for name in case.__struct_fields__ if name not in ("verified", "ci95_s", "range_s")
    }
    low, high = interval_of(case) or (None, None)
    ratio = speed_up(case, results)
    ratio_low, ratio_high = (interval_of(ratio) if ratio else None) or (None, None)
    of_limit = reached(case, results)
    fraction_low, fraction_high = (of_limit.ends if of_limit else None) or (None, None)
    return record | {
        "low_s": low,
        "high_s": high,
        "interval": "ci95" if case.ci95_s else "range" if case.range_s else None,
        "elements_per_s": case.batch * case.n / case.median_s if case.median_s else None,
        "real_time": real_time(case),
        "accepted": accepted(case),
        "speed_up": ratio.ratio if ratio else None,
        "speed_up_low": ratio_low,
        "speed_up_high": ratio_high,
        "reference": ratio.reference if ratio else None,
        "flops_per_element": None if case.flops is None else case.flops / (case.batch * case.n),
        "gb_per_s": _giga(per_second(case, case.bytes)),
        "gflop_per_s": _giga(per_second(case, case.flops)),
        "bound": of_limit.bound if of_limit else None,
        "fraction_of_limit": of_limit.fraction if of_limit else None,
        "fraction_low": fraction_low,
        "fraction_high": fraction_high,
    }


def _giga(value: float | None) -> float | None:
    return None if value is None else value * 1e-9


def rows(results: Results) -> Table:
    """Every case of a model in words, with units and no digit that its interval does not support."""
    settings = Settings(results)
    return _table(settings.of_models, order(of_models(results)), results, settings, _FULL)


def model_tables(results: Results, width: int) -> list[Table]:
    """One table a model: each method at the largest N that is ok, notes for sizes that are not.

    Args:
        results: what was measured.
        width: characters a line may have; columns that can be spared are left out to fit.
    """
    settings = Settings(results)
    groups: dict[str, list[Case]] = {}
    for case in order(of_models(results)):
        groups.setdefault(model_label(case), []).append(case)
    tables = []
    for label, cases in groups.items():
        title = " · ".join(filter(None, (label, f"element: {cases[0].element}", settings.of_models)))
        notes = _notes(cases, settings)
        kept = list(_HEADLINE)
        for spared in (None, *_SPARED):
            kept = [name for name in kept if name != spared]
            table = _table(title, _largest(cases), results, settings, kept, notes)
            if max(map(len, table.lines()[1 : -len(notes) or None])) <= width:
                break
        tables.append(table)
    return tables


def _largest(cases: list[Case]) -> list[Case]:
    """For each method the largest N that is ok; if none is, the smallest."""
    by_key: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        by_key.setdefault(case.key, []).append(case)
    return [max((c for c in same if c.status == "ok"), key=lambda c: c.n, default=same[0]) for same in by_key.values()]


def _notes(cases: list[Case], settings: Settings) -> list[str]:
    """``naive: over budget at N = 4,096``, for every method and status but ok."""
    where: dict[tuple[str, str, str], list[int]] = {}
    for case in cases:
        status = "unstable" if case.status == "ok" and case.unstable else STATUS[case.status]
        if status != "ok":
            where.setdefault((case.op, settings.method(case), status), []).append(case.n)
    return [f"{op} {method}: {status} at N = {numbers(sizes)}" for (op, method, status), sizes in where.items()]


def _table(
    title: str,
    cases: Sequence[Case],
    results: Results,
    settings: Settings,
    names: Sequence[str],
    notes: Sequence[str] = (),
) -> Table:
    said = {"real_time": any(c.rate_hz for c in cases), "accepted": any(map(accepted, cases))}
    kept = [name for name in names if said.get(name, True)]
    return Table(
        title,
        [COLUMNS[name] for name in kept],
        [[CELLS[name](case, results, settings) for name in kept] for case in cases],
        notes,
    )
