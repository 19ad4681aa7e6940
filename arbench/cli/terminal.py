"""Text that fits the user's terminal."""

from __future__ import annotations

import shutil
import textwrap


def terminal_width() -> int:
    """Return the characters of a line: those of the terminal, at least 80 and at most 120."""
    return max(80, min(shutil.get_terminal_size().columns, 120))


def wrapped(text: str, first: str = "", then: str | None = None, width: int | None = None) -> str:
    """Return a text in lines of the terminal; words, names and paths stay whole.

    Args:
        text: one line.
        first: indent of the first line.
        then: indent of the others; by default two spaces more.
        width: characters of a line; by default those of the terminal.
    """
    return textwrap.fill(
        text,
        width or terminal_width(),
        initial_indent=first,
        subsequent_indent=f"{first}  " if then is None else then,
        break_on_hyphens=False,
        break_long_words=False,
    )
