"""Tables and text as markdown."""

from __future__ import annotations

from arbench.report.cells import Column
from arbench.report.markdown import escape, grid
from arbench.report.table import Table


def test_markdown_is_escaped() -> None:
    assert escape("a|b<c>_d_\n# e") == r"a\|b\<c\>\_d\_ \# e"


def test_a_table_has_its_title_sections_and_notes() -> None:
    columns = [Column("case", number=False), Column("time", "s")]
    table = Table("A|title", columns, [["x", "1"], ["y|", "2"]], ["a_note"], {1: "part *two*"})
    assert grid(table, level=3) == [
        r"### A\|title",
        "",
        "| case | time (s) |",
        "| --- | ---: |",
        "| x | 1 |",
        r"| **part \*two\*** |  |",
        r"| y\| | 2 |",
        "",
        r"- a\_note",
        "",
    ]


def test_a_table_without_rows_is_its_title_and_notes() -> None:
    assert grid(Table("Title", [Column("time")], [], ["nothing"])) == ["## Title", "", "- nothing", ""]
