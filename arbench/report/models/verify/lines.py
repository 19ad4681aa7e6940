"""Lines for a terminal, or for the message of an assertion: the answer first."""

from __future__ import annotations

import textwrap

from arbench.border.printable import printable
from arbench.report.models.verify.correctness import Correctness

MARKS = {True: "✓", False: "✗"}


def lines(found: Correctness, width: int, seconds: float | None = None) -> list[str]:
    """Return the lines on a model.

    Args:
        found: what is known of it.
        width: characters of a line.
        seconds: how long it took, for a model that is right.
    """
    took = f", in {seconds:.1f} s" if seconds is not None and found.outcome == "right" else ""
    parts = _filled(f"{found.answer}{took}", "", width)
    if found.means:
        parts += [*_filled(f"It means: {found.means}.", "  ", width), *_filled(f"Look at: {found.look}.", "  ", width)]
    if found.checked:
        parts.append("checked")
        for one in found.checked:
            parts += _filled(f"{MARKS[one.right]} {one.name}: {one.text}", "  ", width)
    if found.unchecked:
        parts.append("not checked")
        for other in found.unchecked:
            todo = f"; {other.todo}" if other.todo else ""
            parts += _filled(f"- {other.what}: {other.why}{todo}", "  ", width)
    if found.todo:
        parts += ["next", *(line for text in found.todo for line in _filled(text, "  ", width))]
    return parts


def _filled(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
