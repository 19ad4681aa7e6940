"""Words of digits, for models that go from a word to its picture and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arbench.data.text import as_bytes, as_symbols

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""What the digits 0 to 9 are called."""
LONGEST_WORD = max(map(len, WORDS))
"""Letters of the longest of them."""
END = 0
"""The symbol behind a word: the byte that no text has."""


def word_symbols(label: int, length: int = LONGEST_WORD, levels: int = 256) -> NDArray[np.int64]:
    """A digit's word as ``length`` symbols: its letters, cut off where there is no room, then ``END``.

    Args:
        label: the digit, 0 to 9.
        length: how many symbols.
        levels: 256 for bytes; with fewer a letter is one of the commonest in ``WORDS``, or any other.

    Raises:
        ValueError: no such digit, or fewer than three levels.
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
