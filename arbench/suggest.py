"""What a refusal suggests. Of no room: it needs nothing, and all of them refuse."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to an error, or the list of what there is."""
    import difflib  # only what is refused needs it

    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else "there is: " + (", ".join(known) or "none")
