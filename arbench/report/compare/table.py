"""A comparison as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable

from arbench.report.compare.comparison import Comparison, Value
from arbench.report.labels import STATUS, SharedSettings, is_kernel, method_key, model_label, shorten
from arbench.report.metrics import Metric
from arbench.report.quantities import NONE, Cell, Column, Quantity, in_one_unit
from arbench.report.table import Mark, Table
from arbench.results import COUNTERS, Case, Results
from arbench.stats import format_interval, format_ratio

_LONGEST = 60
"""Characters of the longest name of a foreign case."""
_HEADS = (Column("op", number=False), Column("method", number=False), Column("N"))


class CaseNames:
    """The names of compared cases, made of what tells them apart.

    Args:
        cases: every case of every file.
        results: any of the files.
    """

    def __init__(self, cases: Iterable[Case], results: Results) -> None:
        own = {case.id: case for case in cases if case.backend}
        self._shared = SharedSettings(Results(results.run, cases=own))

    def group(self, case: Case) -> str:
        """Return the heading above a case: its model, or its kernel with the configuration."""
        return model_label(case) if case.backend else "other suites"

    def cells(self, case: Case) -> list[str]:
        """Return op, method and N; for a case of a foreign suite, its name alone."""
        if not case.backend:
            return ["", shorten(case.id, _LONGEST), ""]
        return [case.op, self._shared.method_label(case), NONE if is_kernel(case) else f"{case.n:,}"]


def tables(found: Comparison, names: CaseNames, width: int) -> list[Table]:
    """Return the metric, a row per case: one table of all files, or one per file where that is too wide.

    Args:
        found: the comparison.
        names: the names of its cases.
        width: characters per line.
    """
    if not found.rows:
        return []
    first, *others = [label for label in found.labels if any(label in row.values for row in found.rows)]
    whole = _table(found, names, [first, *others])
    if len(others) == 1 or max(map(len, whole.lines())) <= width:
        return [whole]
    pairs = (_table(found, names, [first, other]) for other in others)
    return [table for table in pairs if table.rows]


def _table(found: Comparison, names: CaseNames, labels: list[str]) -> Table:
    first, others = labels[0], labels[1:]
    columns = [
        *_HEADS,
        *(Column(f"{label} / {first}", number=False) for label in others),
        *(Column(label, like="value") for label in labels),
    ]
    rows: list[list[Cell]] = []
    about: list[Mark] = []
    sections: dict[int, str] = {}
    group = None
    for row in found.rows:
        if not any(label in row.values for label in others):
            continue
        if names.group(row.case) != group:
            group = names.group(row.case)
            sections[len(rows)] = group
        ratios = [ratio_label(row.values.get(label), found.metric) for label in others]
        values = [value_cell(row.values.get(label), found.metric) for label in labels]
        rows.append([*names.cells(row.case), *ratios, *values])
        about.append(Mark(method_key(row.case)))
    title = found.metric.title
    above = f"{title[:1].upper()}{title[1:]}, {' and '.join(others)} over {first}"
    return Table(above, *in_one_unit(columns, rows), _legend(found), sections, about)


def _legend(found: Comparison) -> list[str]:
    ratios = [v.ratio for row in found.rows for v in row.values.values() if v.ratio is not None]
    if found.metric.exact or not ratios:
        return []
    lines = []
    if any(ratio.ci95 for ratio in ratios):
        lines.append("[95%]: interval of the ratio, workers as independent observations (Hodges-Lehmann, rank sums)")
    if any(ratio.range for ratio in ratios):
        lines.append("(range): smallest and largest ratio of two workers; too few workers for 95%")
    if any(ratio.observations == (1, 1) for ratio in ratios):
        lines.append("no brackets: one process on each side, so the scatter is unknown")
    if any(value.value and value.case.unstable for row in found.rows for value in row.values.values()):
        lines.append("*: unstable: its workers, or the samples within one, differ widely")
    return lines


def value_cell(value: Value | None, metric: Metric) -> Cell:
    """Return a time, for the one unit of its column, ``8,320``, or why there is no value: ``inexact``."""
    if value is None:
        return NONE
    if value.value is None:
        return STATUS[value.case.status] if value.case.status != "ok" else NONE
    if metric.exact:
        return f"{value.value:,}"
    return Quantity(value.value, "s", value.interval, mark="*" if value.case.unstable else "")


def ratio_label(value: Value | None, metric: Metric) -> str:
    """Return ``1.04x [1.01, 1.07]``, with a range in parentheses; ``same`` for an unchanged counter."""
    if value is None or value.ratio is None:
        return NONE
    ratio = value.ratio
    if metric.exact:
        return "same" if ratio.ratio == 1 else format_ratio(ratio.ratio, (ratio.ratio, ratio.ratio))
    ends = ratio.ci95 or ratio.range
    text = format_ratio(ratio.ratio, ends)
    if ends is None:
        return text
    return f"{text} {format_interval(ratio.ratio, ends, 'x', '[]' if ratio.ci95 else '()')}"


def changed_table(found: Comparison, names: CaseNames) -> Table | None:
    """Return the exact counters and statuses that differ from the first file; None where none does."""
    if not found.changed:
        return None
    several = len(found.labels) > 2
    columns = [
        Column("model", number=False),
        *_HEADS,
        Column("counter", number=False),
        Column(found.labels[0]),
        Column("now" if several else found.labels[1]),
        *([Column("in", number=False)] if several else []),
    ]
    rows = [
        [
            names.group(one.case),
            *names.cells(one.case),
            one.name,
            *(STATUS.get(str(v), f"{v:,}" if isinstance(v, int) else v) for v in (one.before, one.after)),
            *([one.label] if several else []),
        ]
        for one in found.changed
    ]
    about = [Mark(method_key(one.case)) for one in found.changed]
    return Table("Changed counters and statuses", columns, rows, marks=about)


def counted(found: Comparison) -> str:
    """Return a sentence on whether the exact counters agree."""
    names = f"{', '.join(COUNTERS[:-1])} and {COUNTERS[-1]}"
    if not found.counted:
        return f"{names}: no value is known on both sides."
    differ = sum(one.name != "status" for one in found.changed)
    result = f"{differ:,} differ{'s' if differ == 1 else ''}" if differ else "none differs"
    return f"{names}: {found.counted:,} values compared, {result}."


def alone(found: Comparison, most: int | None = None) -> list[str]:
    """Return a line for each file with cases that no other file contains.

    Args:
        found: the comparison.
        most: how many cases to name; all by default.
    """
    lines = []
    for label, cases in found.alone.items():
        shown = cases[:most]
        more = f" and {len(cases) - len(shown)} more" if len(cases) > len(shown) else ""
        word = "case" if len(cases) == 1 else "cases"
        lines.append(f"Only in {label}, {len(cases)} {word}: {', '.join(shown)}{more}")
    return lines
