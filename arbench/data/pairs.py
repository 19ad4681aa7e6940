"""Sentence pairs: English and German messages that ship, and the user's own files."""

from __future__ import annotations

from pathlib import Path

from arbench.data.errors import DataError
from arbench.data.text import load_text


def pairs() -> list[tuple[str, str]]:
    """The 2,546 pairs (English, German) that ship: messages of two programs; see ``ORIGIN.md``."""
    return load_pairs(Path(__file__).with_name("pairs.tsv"))


def load_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Reads a UTF-8 file of one pair a line: source, a tab, target. Empty lines are left out.

    Args:
        path: the file.

    Raises:
        DataError: it is missing, a folder, empty or not UTF-8, or a line is not a pair.
    """
    path = Path(path)
    found = []
    for number, line in enumerate(load_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        source, _, target = (part.strip() for part in line.partition("\t"))
        if not (source and target) or "\t" in target:
            raise DataError(path, f"line {number} is not a pair; wanted source, a tab, target")
        found.append((source, target))
    return found
