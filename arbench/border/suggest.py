"""Suggestions for error messages, for every room."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to an error: the closest known word, or the list of all."""
    import difflib  # only errors need it

    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else "available: " + (", ".join(known) or "none")
