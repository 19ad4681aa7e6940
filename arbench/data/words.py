"""Names of digits, for models that map a word to its image and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arbench.data.text import as_bytes, as_symbols

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""Names of the digits 0 to 9."""
LONGEST_WORD = max(map(len, WORDS))
"""Number of letters of the longest name."""
END = 0
"""Symbol after a word: a byte that does not occur in text."""


def word_symbols(label: int, length: int = LONGEST_WORD, levels: int = 256) -> NDArray[np.int64]:
    """Return a digit's name as ``length`` symbols: its letters, cropped to ``length``, then ``END``.

    Args:
        label: digit, 0 to 9.
        length: number of symbols.
        levels: 256 for bytes. With fewer levels, the most common letters in ``WORDS`` have a symbol each, and all other
            letters share one.

    Raises:
        ValueError: a label that is not 0 to 9, or fewer than three levels.
    """
    if not 0 <= label < len(WORDS):
        raise ValueError(f"digits are 0 to 9, got {label}")
    letters = as_bytes(WORDS[label])
    if levels < 256:
        before = sum(map(len, WORDS[:label]))
        renamed = 1 + as_symbols(as_bytes("".join(WORDS)), levels - 1)  # 0 is END
        letters = renamed[before : before + len(letters)]
    symbols = np.full(length, END, dtype=np.int64)
    symbols[: len(letters)] = letters[:length]
    return symbols
