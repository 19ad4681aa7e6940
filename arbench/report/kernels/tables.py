"""Kernels in words: their implementations, how fast each is, and how close to the machine's limit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from arbench.report.cells import exact, per_second, seconds, speed_up_label, status_label
from arbench.report.labels import STATUS, SharedSettings, of_kernels, shorten
from arbench.report.quantities import NONE, Cell, Column, in_one_unit
from arbench.report.rates.roofs import of_limit, roof_of
from arbench.report.table import Table, marks, order
from arbench.results import Case, Results

_HEADLINE = ("configuration", "op", "implementation", "time", "rate", "of_limit", "outcome")
_FULL = (
    "kernel",
    "configuration",
    "op",
    "implementation",
    "status",
    "time",
    "interval",
    "bytes_rate",
    "flops_rate",
    "bound",
    "of_limit",
    "speed_up",
    "bytes",
    "flops",
)
_FEWEST_LETTERS = 12
"""Characters of an implementation's name that a narrow table keeps."""


def kernels(results: Results) -> dict[str, list[Case]]:
    """Return the cases of each kernel, in the order of its tables."""
    found: dict[str, list[Case]] = {}
    for case in order(of_kernels(results)):
        found.setdefault(case.model, []).append(case)
    return found


def kernel_tables(results: Results, width: int) -> list[Table]:
    """Return one table per kernel, or one per configuration where only that fits ``width``."""
    shared = SharedSettings(results)
    tables = []
    for kernel, cases in kernels(results).items():
        shown, only_checked = _timed_apart(cases)
        notes = _notes(shown, only_checked, shared)
        whole = _table(kernel, shown, results, shared, notes, width)
        if _fits(whole, width):
            tables.append(whole)
            continue
        for preset in dict.fromkeys(case.preset for case in shown):
            same = [case for case in shown if case.preset == preset]
            tables.append(_table(kernel, same, results, shared, (), width))
        tables[-1] = replace(tables[-1], notes=notes)
    return tables


def kernel_rows(results: Results) -> Table:
    """Return every case of a kernel in words."""
    shared = SharedSettings(results)
    cases = order(of_kernels(results))
    return Table(
        shared.of_kernels,
        *in_one_unit(
            [COLUMNS[name] for name in _FULL],
            [[CELLS[name](case, results, shared) for name in _FULL] for case in cases],
        ),
        marks=marks(cases),
    )


def split_configuration(presets: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Return the part that configurations share, and the rest of each.

    ``rows=4,width=8`` and ``rows=4,width=9`` share ``rows=4``. Configurations with different keys share
    nothing.
    """
    parts = {preset: re.split(r",\s*(?=\w+=)", preset) for preset in presets}
    keys = {tuple(part.partition("=")[0] for part in found) for found in parts.values()}
    shared = set.intersection(*map(set, parts.values())) if len(keys) == 1 and len(parts) > 1 else set()
    first = next(iter(parts.values()), [])
    own = {preset: [one for one in found if one not in shared] for preset, found in parts.items()}
    if len(parts) == 1:
        return ", ".join(first), dict.fromkeys(parts, "")
    return ", ".join(one for one in first if one in shared), {p: ", ".join(o) for p, o in own.items()}


def _timed_apart(cases: list[Case]) -> tuple[list[Case], list[Case]]:
    """Return the cases to list, and the cases of configurations in which nothing was timed."""
    timed = {case.preset for case in cases if case.status != "checked"}
    if not timed:
        return cases, []
    return [c for c in cases if c.preset in timed], [c for c in cases if c.preset not in timed]


def _notes(shown: list[Case], only_checked: list[Case], shared: SharedSettings) -> list[str]:
    """Return ``forward torch · eager: unstable in 1 of 3 cases``, and what was checked but never timed."""
    by_name: dict[tuple[str, str], list[Case]] = {}
    for case in shown:
        by_name.setdefault((case.op, shared.method_label(case)), []).append(case)
    notes = []
    for (op, name), cases in by_name.items():
        unstable = sum(case.unstable for case in cases)
        if unstable:
            where = f" in {unstable:,} of {len(cases):,} cases" if unstable < len(cases) else ""
            notes.append(f"{op} {name}: unstable{where}")
    if only_checked:
        names = ", ".join(dict.fromkeys(map(shared.method_label, only_checked)))
        notes.append(f"{names}: {STATUS['checked']} in {len(only_checked):,} more cases")
    return notes


def _table(
    kernel: str,
    cases: list[Case],
    results: Results,
    shared: SharedSettings,
    notes: Sequence[str],
    width: int,
) -> Table:
    common, own = split_configuration(dict.fromkeys(case.preset for case in cases))
    names = [name for name in _HEADLINE if name != "configuration" or len(own) > 1]
    rows = [
        [own[case.preset] if name == "configuration" else CELLS[name](case, results, shared) for name in names]
        for case in cases
    ]
    title = "\n  ".join(textwrap.wrap(" · ".join(filter(None, (kernel, common, shared.of_kernels))), width - 2))
    table = Table(title, *in_one_unit([COLUMNS[name] for name in names], rows), notes, marks=marks(cases))
    if len(own) == 1 and not _fits(table, width):
        return _narrowed(table, names, width)
    return table


def _narrowed(table: Table, names: list[str], width: int) -> Table:
    """Return the table without its rate and, if it is still too wide, with shortened names."""
    kept = [i for i, name in enumerate(names) if name != "rate"]
    rows = [[row[i] for i in kept] for row in table.rows]
    table = replace(table, columns=[table.columns[i] for i in kept], rows=rows)
    over = max(map(len, table.lines())) - width
    if over <= 0:
        return table
    at = [names[i] for i in kept].index("implementation")
    most = max(_FEWEST_LETTERS, max(len(row[at]) for row in rows) - over)
    rows = [[shorten(cell, most) if i == at else cell for i, cell in enumerate(row)] for row in rows]
    return replace(table, rows=rows)


def _fits(table: Table, width: int) -> bool:
    head = len(table.title.splitlines())
    return max(map(len, table.lines()[head : -len(table.notes) or None])) <= width


def _bound_rate(case: Case, results: Results) -> Cell:
    """Return the bytes moved per second, or the FLOPs where arithmetic is the limit."""
    top = roof_of(case, results)
    if top is not None and top.bound == "compute":
        return per_second(case, case.flops, "FLOP/s")
    return per_second(case, case.bytes, "B/s")


def _outcome(case: Case, results: Results) -> str:
    """Return the speed-up, or why there is no time."""
    return speed_up_label(case, results) if case.status == "ok" else STATUS[case.status]


def _bound(case: Case, results: Results) -> str:
    top = roof_of(case, results)
    return NONE if top is None else top.bound


CELLS: dict[str, Callable[[Case, Results, SharedSettings], Cell]] = {
    "kernel": lambda case, results, shared: case.model,
    "configuration": lambda case, results, shared: split_configuration([case.preset])[0],
    "op": lambda case, results, shared: case.op,
    "implementation": lambda case, results, shared: shared.method_label(case),
    "status": lambda case, results, shared: status_label(case),
    "time": lambda case, results, shared: seconds(case),
    "interval": lambda case, results, shared: seconds(case, "interval"),
    "rate": lambda case, results, shared: _bound_rate(case, results),
    "bytes_rate": lambda case, results, shared: per_second(case, case.bytes, "B/s"),
    "flops_rate": lambda case, results, shared: per_second(case, case.flops, "FLOP/s"),
    "bound": lambda case, results, shared: _bound(case, results),
    "of_limit": lambda case, results, shared: of_limit(case, results),
    "speed_up": lambda case, results, shared: speed_up_label(case, results),
    "outcome": lambda case, results, shared: _outcome(case, results),
    "bytes": lambda case, results, shared: exact(case.bytes, "B"),
    "flops": lambda case, results, shared: exact(case.flops, "FLOP"),
}
COLUMNS = {
    "kernel": Column("kernel", number=False),
    "configuration": Column("configuration", number=False, wraps=True),
    "op": Column("op", number=False),
    "implementation": Column("implementation", number=False),
    "status": Column("status", number=False),
    "time": Column("time"),
    "interval": Column("[95%] or (range)"),
    "rate": Column("rate"),
    "bytes_rate": Column("bytes"),
    "flops_rate": Column("FLOPs"),
    "bound": Column("bound by", number=False),
    "of_limit": Column("of limit"),
    "speed_up": Column("speed-up"),
    "outcome": Column("speed-up"),
    "bytes": Column("bytes"),
    "flops": Column("FLOPs"),
}
