"""A comparison in words and as numbers: for a terminal, as markdown, as a frame and as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from arbench.report.cells import NONE, Column
from arbench.report.compare.comparison import EXACT, Comparison, Row, Value
from arbench.report.labels import STATUS, Settings, is_kernel, model_label, shorten
from arbench.report.summary import escape
from arbench.report.table import Table
from arbench.results import Case, Results
from arbench.stats import format_ratio, format_seconds
from arbench.stats.digits import last_place
from arbench.stats.unpaired import UnpairedRatio

SCHEMA = 1
_LONGEST = 60


class Names:
    """How cases of a comparison are called: by what tells them apart."""

    def __init__(self, cases: Iterable[Case], results: Results) -> None:
        own = {case.id: case for case in cases if case.backend}
        self._settings = Settings(Results(results.run, cases=own))

    def group(self, case: Case) -> str:
        """What a case stands under: its model, or a kernel and its configuration."""
        return model_label(case) if case.backend else "other suites"

    def cells(self, case: Case) -> list[str]:
        """Op, method and N; of a case of a foreign suite its name alone."""
        if not case.backend:
            return ["", shorten(case.id, _LONGEST), ""]
        return [case.op, self._settings.method(case), NONE if is_kernel(case) else f"{case.n:,}"]


_HEADS = (Column("op", number=False), Column("method", number=False), Column("N"))


def tables(found: Comparison, names: Names, width: int) -> list[Table]:
    """The metric, a row a case: one table of all files where that is not too wide, else one for each.

    Args:
        found: the comparison.
        names: of its cases.
        width: characters a line may have.
    """
    if not found.rows:
        return []
    first, *others = [label for label in found.labels if any(label in row.values for row in found.rows)]
    whole = _table(found, names, [first, *others])
    if len(others) == 1 or max(map(len, whole.lines())) <= width:
        return [whole]
    pairs = (_table(found, names, [first, other]) for other in others)
    return [table for table in pairs if table.rows]


def _table(found: Comparison, names: Names, labels: list[str]) -> Table:
    first, others = labels[0], labels[1:]
    columns = [*_HEADS, Column(first)]
    for label in others:
        columns += [Column(label), Column(f"{label} / {first}", number=False)]
    rows: list[list[str]] = []
    sections: dict[int, str] = {}
    group = None
    for row in found.rows:
        if not any(label in row.values for label in others):
            continue
        if names.group(row.case) != group:
            group = names.group(row.case)
            sections[len(rows)] = group
        cells = [value_label(row.values.get(first), found.metric)]
        for label in others:
            value = row.values.get(label)
            cells += [value_label(value, found.metric), ratio_label(value, found.metric)]
        rows.append([*names.cells(row.case), *cells])
    title = f"{found.measure.title[:1].upper()}{found.measure.title[1:]}, {' and '.join(others)} over {first}"
    return Table(title, columns, rows, _legend(found), sections)


def _legend(found: Comparison) -> list[str]:
    ratios = [v.ratio for row in found.rows for v in row.values.values() if v.ratio is not None]
    if found.metric != "seconds" or not ratios:
        return []
    said = []
    if any(ratio.ci95 for ratio in ratios):
        said.append("[95%]: of the ratio, over workers as independent observations (Hodges-Lehmann, rank sums)")
    if any(ratio.range for ratio in ratios):
        said.append("(range): least and greatest ratio of two workers; too few for 95%")
    if any(ratio.observations == (1, 1) for ratio in ratios):
        said.append("no brackets: one process on each side, so nothing is known of its scatter")
    if any(value.value and value.case.unstable for row in found.rows for value in row.values.values()):
        said.append("*: unstable; its workers, or the samples within one, lie far apart")
    return said


def value_label(value: Value | None, metric: str) -> str:
    """``12.3 ms``, ``8,320``, or why there is none: ``inexact``."""
    if value is None:
        return NONE
    if value.value is None:
        return STATUS[value.case.status] if value.case.status != "ok" else NONE
    if metric != "seconds":
        return f"{value.value:,}"
    return format_seconds(value.value, value.interval) + ("*" if value.case.unstable else "")


def ratio_label(value: Value | None, metric: str) -> str:
    """``1.04x [1.01, 1.07]``; a range in parentheses; ``same`` of a counter that did not change."""
    if value is None or value.ratio is None:
        return NONE
    ratio = value.ratio
    if metric != "seconds":
        return "same" if ratio.ratio == 1 else format_ratio(ratio.ratio, (ratio.ratio, ratio.ratio))
    ends = ratio.ci95 or ratio.range
    text = format_ratio(ratio.ratio, ends)
    if ends is None:
        return text
    return f"{text} {_ends(ratio.ratio, ends, '[]' if ratio.ci95 else '()')}"


def _ends(ratio: float, ends: tuple[float, float], brackets: str) -> str:
    """The ends of a ratio's interval, rounded outward; with one digit at least, for no ratio is 0."""
    place = min(last_place(ratio, ends), math.floor(math.log10(ends[0])))
    low, high = math.floor(ends[0] / 10**place + 1e-9), math.ceil(ends[1] / 10**place - 1e-9)
    digits = max(0, -place)
    return f"{brackets[0]}{low * 10**place:,.{digits}f}, {high * 10**place:,.{digits}f}{brackets[1]}"


def changed_table(found: Comparison, names: Names) -> Table | None:
    """The exact counters and the statuses that are not what they are in the first file."""
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
    return Table("What changed, exactly", columns, rows)


def counted(found: Comparison) -> str:
    """Whether the exact counters agree, in a sentence."""
    what = f"{', '.join(EXACT[:-1])} and {EXACT[-1]}"
    if not found.counted:
        return f"Of {what}, nothing is known on both sides."
    differ = sum(one.name != "status" for one in found.changed)
    said = "none differs" if not differ else f"{differ:,} differ{'s' if differ == 1 else ''}"
    return f"{what}: {found.counted:,} values compared, {said}."


def alone(found: Comparison, most: int | None = None) -> list[str]:
    """A line for each file that has cases of its own.

    Args:
        most: how many to name; all by default.
    """
    lines = []
    for label, cases in found.alone.items():
        shown = cases[:most]
        more = f" and {len(cases) - len(shown)} more" if len(cases) > len(shown) else ""
        word = "case" if len(cases) == 1 else "cases"
        lines.append(f"Only in {label}, {len(cases)} {word}: {', '.join(shown)}{more}")
    return lines


def markdown(found: Comparison, names: Names, images: Iterable[tuple[str, str]] = ()) -> str:
    """Everything, as markdown.

    Args:
        images: caption and path of each figure.
    """
    parts = [f"# {escape(', '.join(found.labels))}", ""]
    parts += [f"> {escape(line)}\n" for line in found.warnings]
    for table in tables(found, names, 10_000):
        parts += _grid(table)
    parts += [f"![{escape(caption)}]({path})\n" for caption, path in images]
    if (changed := changed_table(found, names)) is not None:
        parts += _grid(changed)
    parts += [f"- {escape(line)}" for line in (counted(found), *found.notes, *alone(found))]
    return "\n".join([*parts, ""])


def _grid(table: Table) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    parts = [f"## {escape(table.title)}", ""]
    parts += [line(escape(column.heading) for column in table.columns)]
    parts += [line("---:" if column.number else "---" for column in table.columns)]
    for number, row in enumerate(table.rows):
        if number in table.sections:
            parts.append(line([f"**{escape(table.sections[number])}**", *[""] * (len(row) - 1)]))
        parts.append(line(map(escape, row)))
    return [*parts, "", *(f"- {escape(note)}" for note in table.notes), ""]


def frame(found: Comparison) -> pd.DataFrame:
    """One row a case and file, every number as it was measured.

    Columns: what names a case (``id``, ``model``, ``preset``, ``op``, ``method``, ``backend``, ``device``,
    ``dtype``, ``batch``, ``n``), ``file`` (its label), ``status``, ``unstable``, ``metric``, ``value``, of
    times ``low`` and ``high``, ``ratio`` (over the first file), ``ratio_low``, ``ratio_high``, ``interval``
    ('ci95' or 'range', of the ratio), ``observations`` and ``observations_first``. What is not known is
    missing.
    """
    return pd.DataFrame([_record(row, label, found) for row in found.rows for label in row.values])


def _record(row: Row, label: str, found: Comparison) -> dict[str, Any]:
    names = ("id", "model", "preset", "op", "method", "backend", "device", "dtype", "batch", "n")
    value = row.values[label]
    low, high = value.interval or (None, None)
    return {
        **{name: getattr(row.case, name) for name in names},
        "file": label,
        "status": value.case.status,
        "unstable": value.case.unstable,
        "metric": found.metric,
        "value": value.value,
        "low": low,
        "high": high,
        **_ratio(value.ratio),
    }


def _ratio(ratio: UnpairedRatio | None) -> dict[str, Any]:
    low, high = (ratio.ci95 or ratio.range if ratio else None) or (None, None)
    mine, first = ratio.observations if ratio else (None, None)
    return {
        "ratio": ratio.ratio if ratio else None,
        "ratio_low": low,
        "ratio_high": high,
        "interval": None if ratio is None or low is None else "ci95" if ratio.ci95 else "range",
        "observations": mine,
        "observations_first": first,
    }


def document(found: Comparison) -> dict[str, Any]:
    """The same as plain data: ``schema``, ``files``, ``metric``, ``rows`` (as `frame` has them), ``changed``,
    ``counted``, ``alone``, ``warnings`` and ``notes``."""
    return {
        "schema": SCHEMA,
        "files": found.labels,
        "metric": found.metric,
        "rows": [_record(row, label, found) for row in found.rows for label in row.values],
        "changed": [
            {"file": one.label, "id": one.case.id, "name": one.name, "before": one.before, "after": one.after}
            for one in found.changed
        ],
        "counted": found.counted,
        "alone": dict(found.alone),
        "warnings": found.warnings,
        "notes": found.notes,
    }
