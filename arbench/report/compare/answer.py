"""The answer of a comparison: how many cases differ, which the most, and what changed status."""

from __future__ import annotations

from arbench.report.compare.comparison import Comparison, Row
from arbench.report.compare.table import CaseNames, ratio_label
from arbench.report.labels import listed

_LARGEST = 2
"""Cases that are named."""


def answer(found: Comparison, names: CaseNames) -> list[str]:
    """Return a sentence for each file on how it differs from the first one, then one on statuses.

    A time differs where the interval of its ratio, or the range of a few workers, does not include 1; times of one
    process on each side have none and are only counted.

    Args:
        found: the comparison.
        names: the names of its cases.
    """
    said = [line for label in found.labels[1:] if (line := _beside(label, found, names))]
    changed = [one for one in found.changed if one.name == "status"]
    if changed:
        has = "case has" if len(changed) == 1 else "cases have"
        said.append(f"{len(changed):,} {has} another status.")
    elif found.rows or found.counted:
        said.append("No status changed.")
    return said


def _beside(label: str, found: Comparison, names: CaseNames) -> str:
    first, title = found.labels[0], found.metric.title
    rows = [row for row in found.rows if label in row.values and row.values[label].ratio is not None]
    if not rows:
        return ""
    of = f"{len(rows):,} {'case' if len(rows) == 1 else 'cases'} with {title} in both"
    if not any(_ends(row, label) for row in rows) and not found.metric.exact:
        return f"{label} beside {first}: {of}, of one process each: whether they differ is unknown."
    apart = [row for row in rows if _differs(row, label, found.metric.exact)]
    if not apart:
        return f"{label} beside {first}: none of {of} differs{'' if found.metric.exact else ' clearly'}."
    largest = sorted(apart, key=lambda row: -_distance(row, label))[:_LARGEST]
    told = listed(f"{ratio_label(row.values[label], found.metric)} for {_name(row, names)}" for row in largest)
    differ = "differs" if len(apart) == 1 else "differ"
    most = "; the most: " if len(largest) < len(apart) else ": "
    return f"{label} beside {first}: {len(apart):,} of {of} {differ}{most}{told}."


def _ends(row: Row, label: str) -> tuple[float, float] | None:
    ratio = row.values[label].ratio
    return None if ratio is None else ratio.ci95 or ratio.range


def _differs(row: Row, label: str, exact: bool) -> bool:
    ratio, ends = row.values[label].ratio, _ends(row, label)
    assert ratio is not None
    return ratio.ratio != 1 if exact else ends is not None and not ends[0] <= 1 <= ends[1]


def _distance(row: Row, label: str) -> float:
    """Return the ratio or its inverse, whichever is above 1."""
    ratio = row.values[label].ratio
    assert ratio is not None
    return max(ratio.ratio, 1 / ratio.ratio) if ratio.ratio else float("inf")


def _name(row: Row, names: CaseNames) -> str:
    op, method, n = names.cells(row.case)
    words = f"{op} {method}".strip()
    return f"{names.group(row.case)} {words}" + (f" at N = {n}" if row.case.backend and n[:1].isdigit() else "")
