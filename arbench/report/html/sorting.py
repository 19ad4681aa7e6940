"""Keys by which the rows of a table are sorted, from the text of its cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from arbench.report.labels import GROWTH
from arbench.report.quantities import NONE

_NUMBER = re.compile(r"([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)[x%]?(?![\w.:/-])")
"""A number at the beginning of a cell, and not the beginning of a date, a commit or a name."""
_PREFIXES = {"p": 1e-12, "n": 1e-9, "µ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_UNIT = re.compile(r"\s*([pnµmkMGTP])(?:s|B|FLOP|/s)")
_CLASSES = {name: rank for rank, name in enumerate(GROWTH.values())}
_CLASS = re.compile(r"O\([^)]*\)")


def sort_keys(cells: Sequence[str], number: bool = False) -> list[str | None]:
    """Return the key of each cell of a column: a number as text, or empty for a cell without one, which comes last.

    ``12.3 ms [12, 13]`` has the key 0.0123, ``1,024x`` 1024, and ``at most O(N)`` the rank of its class. A column whose
    cells are words has no keys, only empty ones where nothing is known.

    Args:
        cells: the text of the column's cells.
        number: whether the column is one of numbers, so that words among them are no keys.
    """
    known = [cell for cell in cells if cell not in ("", NONE)]
    for find in (_number, _class):
        keys = [find(cell) for cell in cells]
        numbers = sum(key is not None for key in keys)
        if numbers and (number or numbers == len(known)):
            return ["" if key is None else f"{key:.12g}" for key in keys]
    return ["" if cell in ("", NONE) else None for cell in cells]


def _number(cell: str) -> float | None:
    found = _NUMBER.match(cell)
    if found is None:
        return None
    unit = _UNIT.match(cell, found.end())
    return float(found[1].replace(",", "")) * (_PREFIXES[unit[1]] if unit else 1.0)


def _class(cell: str) -> float | None:
    found = _CLASS.search(cell)
    return None if found is None else _CLASSES.get(found[0])
