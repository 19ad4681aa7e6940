"""CSV for spreadsheets: texts that look like formulas are quoted, numbers stay numbers."""

from __future__ import annotations

import csv
import io

import pandas as pd

from arbench.border.spreadsheet import to_csv


def test_formulas_are_quoted_and_numbers_stay():
    texts = ["=1+1", "+1", "-1", "@sum(a1)", "\tx", "plain", "a=b", None]
    numbers = [-1.5, 2.0, float("nan"), 1e-300, -0.0, 4.0, 5.0, 6.0]
    frame = pd.DataFrame({"text": texts, "number": numbers, "count": range(-4, 4), "flag": [True, False] * 4})
    rows = list(csv.DictReader(io.StringIO(to_csv(frame))))
    assert [row["text"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@sum(a1)", "'\tx", "plain", "a=b", ""]
    assert [row["number"] for row in rows] == ["-1.5", "2.0", "", "1e-300", "-0.0", "4.0", "5.0", "6.0"]
    assert [row["count"] for row in rows] == [str(n) for n in range(-4, 4)]
    assert {row["flag"] for row in rows} == {"True", "False"}
    assert frame["text"][0] == "=1+1"  # the table itself stays


def test_spaces_and_ends_of_lines_hide_no_formula():
    texts = ["\n=1+1", "  +1", " \r\n@sum(a1)", "\u00a0-1", "\n plain", "a\n=b"]
    rows = list(csv.DictReader(io.StringIO(to_csv(pd.DataFrame({"text": texts})), newline="")))
    assert [row["text"] for row in rows] == [*(f"'{text}" for text in texts[:4]), *texts[4:]]
