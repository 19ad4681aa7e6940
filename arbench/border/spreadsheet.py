"""Tables as CSV that a spreadsheet shows as they are."""

from __future__ import annotations

import pandas as pd

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that a spreadsheet takes for a formula."""


def to_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV; a text that a spreadsheet would take for a formula begins with ``'``.

    Numbers stay numbers, whatever their sign.
    """
    return str(frame.map(_quoted).to_csv(index=False))


def _quoted(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
