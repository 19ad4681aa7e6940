"""Sentence pairs: the shipped English and German messages, and the user's files."""

from __future__ import annotations

from pathlib import Path

from arbench.data.errors import DataError
from arbench.data.text import load_text


def pairs() -> list[tuple[str, str]]:
    """Return the 2,546 shipped pairs (English, German), messages of two programs; see ``ORIGIN.md``."""
    return load_pairs(Path(__file__).with_name("pairs.tsv"))


def load_pairs(path: str | Path) -> list[tuple[str, str]]:
    """Read a UTF-8 file with one pair per line: source, a tab, target. Empty lines are skipped.

    Args:
        path: file to read.

    Raises:
        DataError: the file is missing, a folder, empty or not UTF-8, or a line is not a pair.
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
