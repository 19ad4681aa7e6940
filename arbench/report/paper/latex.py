"""Text, tables and figures as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arbench.border.printable import printable
from arbench.report.table import Table

_SPELLED = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    **{one: f"\\{one}" for one in "&%$#_{}"},
    # beyond ASCII: what pdfLaTeX does not know by itself, or knows in some fonts only
    "µ": r"\textmu{}",
    "μ": r"\textmu{}",
    "√": r"$\surd$",
    "\u00d7": r"$\times$",  # a multiplication sign
    "·": r"\textperiodcentered{}",
    "²": r"$^2$",
    "³": r"$^3$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "\u2014": "---",
    "\u2013": "--",
    "…": r"\dots{}",
}
_SPECIAL = re.compile(rf"[{re.escape(''.join(_SPELLED))}]|([-',])(?=\1)")
"""Characters that are spelled, and those that would join with the next one: ``--`` is a dash."""
_BREAKS = re.compile(r"([/,=])")
PACKAGES = "\\usepackage[T1]{fontenc} \\usepackage{booktabs} \\usepackage{graphicx}"
"""Packages that a preamble loads; names beyond Latin need LuaLaTeX or XeLaTeX too, and a font that has them."""


def escape(text: object) -> str:
    """Return ``text`` on one line, escaped so that LaTeX sets it unchanged: no command, no mathematics, no ligature."""
    line = " ".join(printable(str(text)).split())
    return _SPECIAL.sub(lambda found: _SPELLED.get(found[0], f"{found[0]}{{}}"), line)


def code(text: object) -> str:
    """Return ``text`` as typewriter text that may break behind slashes, commas and signs of equality."""
    line = escape(text).replace("'", r"\textquotesingle{}")
    return rf"\texttt{{{_BREAKS.sub(lambda found: found[1] + chr(92) + 'allowbreak{}', line)}}}"


def table(shown: Table, caption: str, label: str) -> list[str]:
    r"""Return a floating table across both columns, with the rules of the package booktabs.

    Args:
        shown: the cells; its title and notes belong into the caption.
        caption: LaTeX.
        label: what ``\ref`` calls it.
    """
    layout = "".join("r" if column.number else "l" for column in shown.columns)
    lines = [
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \label{{{label}}}",
        r"  \footnotesize",
        rf"  \begin{{tabular}}{{{layout}}}",
        r"    \toprule",
        f"    {_row(column.heading for column in shown.columns)}",
        r"    \midrule",
    ]
    for number, row in enumerate(shown.rows):
        if number in shown.sections:
            heading = escape(shown.sections[number])
            lines.append(rf"    \multicolumn{{{len(layout)}}}{{l}}{{\textit{{{heading}}}}} \\")
        lines.append(f"    {_row(row)}")
    return [*lines, r"    \bottomrule", r"  \end{tabular}", r"\end{table*}", ""]


def figure(file: str, caption: str, label: str, wide: bool) -> list[str]:
    r"""Return a floating figure, in its own size in a column, or as wide as the page.

    Args:
        file: the image, as ``\includegraphics`` finds it.
        caption: LaTeX.
        label: what ``\ref`` calls it.
        wide: whether it needs both columns.
    """
    kind, size = ("figure*", r"[width=\textwidth]") if wide else ("figure", "")
    return [
        rf"\begin{{{kind}}}",
        r"  \centering",
        rf"  \includegraphics{size}{{{file}}}",
        rf"  \caption{{{caption}}}",
        rf"  \label{{{label}}}",
        rf"\end{{{kind}}}",
        "",
    ]


def _row(cells: Iterable[str]) -> str:
    # a cell that begins with a bracket would be an argument of the line break before it
    return " & ".join(f"{{}}{cell}" if cell.startswith(("[", "*")) else cell for cell in map(escape, cells)) + r" \\"
