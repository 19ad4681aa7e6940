"""LaTeX says what the text said: no character of a name is a command, joins another, or is lost."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.report.paper import latex
from arbench.report.quantities import Column
from arbench.report.table import Table

NASTY = r"""a_b & 50% $x^2$ #1 {y} ~ \cmd <b> |q| "d" `t` x--y ,, '' --- ?`""" + " µ √N \u00d7 N² ≤ → … é ü"
MEANS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textquotedbl{}": '"',
    r"\textasciigrave{}": "`",
    r"\textquotesingle{}": "'",
    **{rf"\{one}": one for one in "&%$#_{}"},
}
"""The characters that LaTeX's commands print: *LaTeX2e: an unofficial reference manual*, Text symbols."""
JOINED = ("--", "''", "``", ",,", "<<", ">>", "?`", "!`")
"""Ligatures of fonts in the encoding T1."""
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).map(
    lambda text: " ".join(text.split())
)


def printed(markup: str) -> str:
    """Return what LaTeX prints; it must consist of known commands and plain characters alone."""
    said = ""
    for found in re.finditer(r"\\text[a-z]+\{\}|\\.|\{\}|.", markup):
        token = found[0]
        if token == "{}":
            continue
        assert token in MEANS or (len(token) == 1 and token not in '\\&%$#_{}~^<>|"`'), token
        said += MEANS.get(token, token)
    return said


@given(PLAIN)
def test_every_ascii_text_is_printed_as_it_is(text: str) -> None:
    markup = latex.escape(text)
    assert printed(markup) == text
    assert not any(pair in markup for pair in JOINED)


@given(PLAIN)
def test_code_is_printed_as_it_is(text: str) -> None:
    markup = latex.code(text)
    assert markup.startswith(r"\texttt{")
    assert printed(markup[len(r"\texttt{") : -1].replace(r"\allowbreak{}", "")) == text
    assert "'" not in markup


def test_text_of_others_stays_on_one_line_and_printable() -> None:
    assert latex.escape("a\nb\x1b[2J") == r"a b\textbackslash{}u001b[2J"


def test_a_table_has_the_rules_of_booktabs_and_no_bracket_behind_a_line_break() -> None:
    columns = [Column("method", number=False), Column("time", "ms")]
    rows = [["a_b", "[1, 2]"], ["[c]", "3"]]
    found = latex.table(Table("T", columns, rows, (), {1: "other_s"}), "C", "tab:x")
    assert found == [
        r"\begin{table*}",
        r"  \centering",
        r"  \caption{C}",
        r"  \label{tab:x}",
        r"  \footnotesize",
        r"  \begin{tabular}{lr}",
        r"    \toprule",
        r"    method & time (ms) \\",
        r"    \midrule",
        r"    a\_b & {}[1, 2] \\",
        r"    \multicolumn{2}{l}{\textit{other\_s}} \\",
        r"    {}[c] & 3 \\",
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
        "",
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdfLaTeX, with booktabs")
def test_pdflatex_accepts_it(tmp_path: Path) -> None:
    table = latex.table(Table("T", [Column(NASTY)], [[NASTY]]), latex.escape(NASTY) + latex.code(NASTY), "tab:x")
    text = ["\\documentclass{article}", latex.PACKAGES, "\\begin{document}", *table, "\\end{document}"]
    (tmp_path / "main.tex").write_text("\n".join(text))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
