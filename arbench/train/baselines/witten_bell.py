"""The interpolated n-gram of Witten and Bell (1991) over bytes.

With c(h) the symbols seen after a history h and d(h) the distinct ones among them,
P(s | h) = (c(h s) + d(h) P(s | h without its first symbol)) / (c(h) + d(h)), and the empty history falls back on the
uniform distribution (Chen and Goodman 1999, section 2.5). A history that was never seen leaves its fallback as it is.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

ALPHABET = 256


class NGram:
    """Counts of symbols after the histories of 0 to ``order`` - 1 symbols before them.

    Args:
        order: 5 for a 5-gram.
    """

    def __init__(self, order: int) -> None:
        self.order = order
        self._after: dict[bytes, Counter[int]] = {}
        self._total: Counter[bytes] = Counter()

    def add(self, text: bytes, at: int) -> None:
        """Count the symbol at ``at`` after each of its histories."""
        for length in range(min(self.order, at + 1)):
            history = text[at - length : at]
            self._after.setdefault(history, Counter())[text[at]] += 1
            self._total[history] += 1

    def probability(self, symbol: int, before: bytes) -> float:
        """Return the probability of a symbol, 0 to 255, after the text before it; its end alone is read."""
        found = 1 / ALPHABET
        for length in range(min(self.order, len(before) + 1)):
            history = before[len(before) - length :]
            after = self._after.get(history)
            if after is None:  # no longer history was seen either
                break
            distinct = len(after)
            found = (after.get(symbol, 0) + distinct * found) / (self._total[history] + distinct)
        return found


def witten_bell(
    train: NDArray[np.integer], held_out: NDArray[np.integer], order: int = 5, *, adaptive: bool = False
) -> NDArray[np.float64]:
    """Return the bits of each held-out byte, (M,), given the text before it.

    Args:
        train: bytes (T,).
        held_out: the bytes that follow them, (M,).
        order: 5 for a 5-gram.
        adaptive: count held-out bytes too, each once it is coded.
    """
    text = np.concatenate([train, held_out]).astype(np.uint8).tobytes()
    grams, bits = NGram(order), []
    for at in range(len(train)):
        grams.add(text, at)
    for at in range(len(train), len(text)):
        bits.append(-np.log2(grams.probability(text[at], text[max(at - order + 1, 0) : at])))
        if adaptive:
            grams.add(text, at)
    return np.array(bits)
