"""Tables and text as markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arbench.border.printable import printable
from arbench.report.table import Table

_MARKUP = re.compile(r"[&<>@\\`*_|\[\]~#$]|(?<=[A-Za-z]):(?=//)|(?<=\bwww)\.", re.IGNORECASE)
_SPELLED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;", ".": "&#46;"}
"""Characters that make HTML, links and mentions, which a backslash does not prevent everywhere."""
_LIST = re.compile(r"^(\d*)([-+](?=\s|$)|(?<=\d)[.)](?=\s|$))")


def escape(text: object) -> str:
    """Return ``text`` on one line, escaped so that markdown shows it unchanged: no markup, HTML, link or new cell."""
    line = " ".join(printable(str(text)).split())
    line = _MARKUP.sub(lambda found: _SPELLED.get(found[0], f"\\{found[0]}"), line)
    return _LIST.sub(r"\1\\\2", line)


def grid(table: Table, level: int = 2) -> list[str]:
    """Return a table as lines of markdown, with its title above and its notes below.

    Args:
        table: what to show; one without rows is shown as title and notes alone.
        level: level of the heading.
    """
    lines = [f"{'#' * level} {escape(table.title)}", ""]
    if table.rows:
        lines.append(_row(escape(column.heading) for column in table.columns))
        lines.append(_row("---:" if column.number else "---" for column in table.columns))
        for number, row in enumerate(table.rows):
            if number in table.sections:
                lines.append(_row([f"**{escape(table.sections[number])}**", *[""] * (len(row) - 1)]))
            lines.append(_row(map(escape, row)))
        lines.append("")
    if table.notes:
        lines += [*(f"- {escape(note)}" for note in table.notes), ""]
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
