"""Quantities in the columns of a table: each column has one unit, which stands in its heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from arbench.stats.digits import Interval, format_at, format_interval_at, prefixed, shared_prefix

NONE = "—"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        unit: the unit of all its numbers, added to the heading.
        number: align cells to the right.
        wraps: a cell may take several lines on the page.
        like: what its numbers are compared with: all columns of a table that state the same have one unit.
    """

    title: str
    unit: str = ""
    number: bool = True
    wraps: bool = False
    like: str = ""

    @property
    def heading(self) -> str:
        """The title with its unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True)
class Quantity:
    """A number that a column shows in the unit of all its numbers.

    Attributes:
        value: the number, in ``unit``.
        unit: its unit, without a prefix.
        interval: its 95% interval or range; it decides how many digits are shown.
        brackets: the marks around the interval: '[]' for a 95% interval, '()' for a range.
        shown: the parts to show: the value, its interval, or both.
        until: a second value, shown after the first: ``3 to 5``.
        mark: text behind the number.
    """

    value: float
    unit: str
    interval: Interval | None = None
    brackets: str = "[]"
    shown: tuple[str, ...] = ("value",)
    until: float | None = None
    mark: str = ""

    @property
    def known(self) -> list[tuple[float, Interval | None]]:
        """Its numbers, each with the interval that decides its digits."""
        return [(self.value, self.interval), *([] if self.until is None else [(self.until, _to_four(self.until))])]

    def text(self, prefix: int) -> str:
        """Return the quantity without its unit, in units of ``10**prefix``."""
        parts = []
        if "value" in self.shown:
            nothing = self.interval == (0.0, 0.0)
            parts.append("0" if nothing else format_at(self.value, prefix, self.interval))
        if self.until is not None:
            parts.append(f"to {format_at(self.until, prefix, _to_four(self.until))}")
        if "interval" in self.shown and self.interval is not None:
            parts.append(format_interval_at(self.value, self.interval, prefix, self.brackets))
        return f"{' '.join(parts) or NONE} {self.mark}".rstrip()


Cell = str | Quantity


def _to_four(value: float) -> Interval:
    """Return an interval around an exact number of which four digits are shown."""
    return value * 0.9999, value * 1.0001


def in_one_unit(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> tuple[list[Column], list[list[str]]]:
    """Return the columns with their units, and the rows as text.

    The numbers of a column have the same unit, which its heading states; so have columns that are alike. Where their
    units are of different kinds, such as bytes and FLOPs per second, each kind has one prefix and each number states
    its unit.
    """
    shown = [[cell if isinstance(cell, str) else "" for cell in row] for row in rows]
    headings = list(columns)
    for at, column in enumerate(columns):
        found = [(row, cell) for row, cells in enumerate(rows) if isinstance(cell := cells[at], Quantity)]
        if not found:
            continue
        beside = [i for i, other in enumerate(columns) if i == at or (column.like and other.like == column.like)]
        compared = [cell for cells in rows for i in beside if isinstance(cell := cells[i], Quantity)]
        units = {
            cell.unit: [one for other in compared if other.unit == cell.unit for one in other.known]
            for _, cell in found
        }
        prefixes = {unit: shared_prefix(values, unit) for unit, values in units.items()}
        for row, cell in found:
            prefix = prefixes[cell.unit]
            shown[row][at] = cell.text(prefix) + (f" {prefixed(cell.unit, prefix)}" if len(units) > 1 else "")
        if len(units) == 1 and "value" in found[0][1].shown:
            headings[at] = replace(column, unit=prefixed(*next(iter(prefixes.items()))))
    return headings, shown
