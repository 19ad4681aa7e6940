"""Tables and text as markdown."""

from __future__ import annotations

import pytest

from arbench.report.markdown import escape, grid
from arbench.report.quantities import Column
from arbench.report.table import Table


def test_markdown_is_escaped() -> None:
    assert escape("a|b<c>_d_\n# e") == r"a\|b&lt;c&gt;\_d\_ \# e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![<script>x</script>](javascript:y)", r"!\[&lt;script&gt;x&lt;/script&gt;\](javascript:y)"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("https://a.b/c www.a.b", "https&#58;//a.b/c www&#46;a.b"),
        ("@all #1 $x$ `y` ~z~", r"&#64;all \#1 \$x\$ \`y\` \~z\~"),
        ("- a", r"\- a"),
        ("+", r"\+"),
        ("12. a", r"12\. a"),
        ("-5% of 1.5: a-b", "-5% of 1.5: a-b"),
        ("\x1b[31m\u202eid\udcff", r"\\u001b\[31m\\u202eid\\udcff"),
    ],
)
def test_markdown_shows_every_text_as_it_is(text: str, shown: str) -> None:
    assert escape(text) == shown


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
