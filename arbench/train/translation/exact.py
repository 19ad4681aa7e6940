"""Exact match: how many translations of held-out pairs are the reference, symbol by symbol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from arbench.models import Source
from arbench.models.events.sentences import Sentences, Symbols
from arbench.train.translation.decode import Decoding, decoded, decodings, pairs_of

_Z = 1.959964
"""Quantile of the normal law for 95%."""


@dataclass(frozen=True)
class Exact:
    """Translations beside their references.

    Args:
        pairs: number of pairs.
        equal: pairs whose translation is the reference.
        errors: insertions, deletions and substitutions of symbols, the fewest.
        symbols: symbols of all references.
    """

    pairs: int
    equal: int
    errors: int
    symbols: int

    @property
    def fraction(self) -> float:
        """Fraction of the pairs whose translation is the reference."""
        return self.equal / self.pairs

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of 95% for the fraction (Wilson, 1927)."""
        n, p, z = self.pairs, self.fraction, _Z
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(middle - half, 0.0), min(middle + half, 1.0)

    @property
    def error_rate(self) -> float:
        """Errors per symbol of the references."""
        return self.errors / self.symbols

    def plain(self) -> dict[str, float | int | list[float]]:
        """Return the figures for a JSON file."""
        return {
            "exact": self.fraction,
            "interval": list(self.interval),
            "symbol_error_rate": self.error_rate,
            "pairs": self.pairs,
            "equal": self.equal,
            "errors": self.errors,
            "symbols": self.symbols,
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Exact:
        """Return what ``plain`` made a file of."""
        return cls(*(plain[name] for name in ("pairs", "equal", "errors", "symbols")))

    def said(self) -> str:
        """Return the figures in words."""
        low, high = self.interval
        return (
            f"{self.fraction:.2%} of {self.pairs:,} exact (95%: {low:.2%} to {high:.2%}), "
            f"{self.error_rate:.3%} of symbols wrong"
        )


def compared(references: Sequence[Symbols], translations: Iterable[Symbols]) -> Exact:
    """Compare translations with references, one by one."""
    both = [(a.tolist(), b.tolist()) for a, b in zip(references, translations, strict=True)]
    return Exact(
        len(both), sum(a == b for a, b in both), sum(edits(a, b) for a, b in both), sum(len(a) for a, _ in both)
    )


def edits(found: Sequence[object], wanted: Sequence[object]) -> int:
    """Return the fewest insertions, deletions and substitutions that turn one sequence into another."""
    if found == wanted:
        return 0
    row = list(range(len(wanted) + 1))
    for i, a in enumerate(found, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(wanted, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def exact_match(
    model: Source,
    data: Sentences,
    n: int,
    ways: Mapping[str, Decoding] | None = None,
    numbers: Sequence[int] | None = None,
) -> dict[str, Exact]:
    """Decode a held-out part in each way, and compare it with its references.

    Args:
        model: model of sentence pairs.
        data: the part.
        n: elements of an event.
        ways: decodings by name; by default those of the model alone.
        numbers: numbers of the pairs; by default all that fit into an event.

    Raises:
        ValueError: the model has other events, or no pair fits.
    """
    events = pairs_of(model)
    if events is None:
        raise ValueError(f"{type(model).__name__} does not translate")
    numbers = data.fitting(events.lengths(n)) if numbers is None else numbers
    if not numbers:
        raise ValueError(f"no pair fits into an event of {n} elements")
    references = [data.targets[i] for i in numbers]
    return {
        name: compared(references, decoded(model, data, numbers, n, way))
        for name, way in (ways or decodings(model)).items()
    }
