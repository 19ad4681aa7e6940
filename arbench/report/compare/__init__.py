"""Stored results side by side: what they share, and how far they differ."""

from arbench.report.compare.answer import answer
from arbench.report.compare.comparison import CompareError, Comparison, NothingSharedError, compare
from arbench.report.compare.document import NAMED, document, frame, write
from arbench.report.compare.table import CaseNames, alone, changed_table, counted, tables

__all__ = [
    "NAMED",
    "CaseNames",
    "CompareError",
    "Comparison",
    "NothingSharedError",
    "alone",
    "answer",
    "changed_table",
    "compare",
    "counted",
    "document",
    "frame",
    "tables",
    "write",
]
