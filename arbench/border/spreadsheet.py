"""Tables as CSV that a spreadsheet shows as they are."""

from __future__ import annotations

import pandas as pd

FORMULA = ("=", "+", "-", "@")
"""Beginnings of a cell that a spreadsheet takes for a formula; it drops spaces and ends of lines before them."""


def to_csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV; a text that a spreadsheet would take for a formula begins with ``'``.

    Numbers stay numbers, whatever their sign.
    """
    return str(frame.map(_quoted).to_csv(index=False))


def _quoted(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.startswith(("\t", "\r")) or cell.lstrip().startswith(FORMULA) else cell
