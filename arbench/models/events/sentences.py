"""Sentence pairs as symbols, each an event of its own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arbench.data import DataError

Symbols = NDArray[np.int64]
END = 0
"""Symbol that ends a sentence and pads the rest of an event."""


@dataclass(frozen=True, eq=False)
class Sentences:
    """Pairs of a part of the data: sources and targets as symbols, without their ends."""

    sources: list[Symbols]
    targets: list[Symbols]

    def __len__(self) -> int:
        return len(self.sources)

    def chosen(self, numbers: Sequence[int]) -> Sentences:
        """Return the pairs with these numbers."""
        return Sentences([self.sources[i] for i in numbers], [self.targets[i] for i in numbers])

    def fitting(self, lengths: tuple[int, int]) -> list[int]:
        """Return the numbers of the pairs that fit into so many symbols of source and target, with their ends."""
        return _fitting(self, lengths)

    def drawn(self, lengths: tuple[int, int], rows: Sequence[int], seed: int) -> list[int]:
        """Return the number of a pair that fits for each row; it is reproducible from (seed, row).

        Raises:
            DataError: no pair fits.
        """
        fitting = self.fitting(lengths)
        if not fitting:
            shortest = min(max(len(a), len(b)) for a, b in zip(self.sources, self.targets, strict=True)) + 1
            raise DataError(
                Path("the pairs"), f"none fits into an event of {lengths[1]} symbols; the shortest needs {shortest}"
            )
        return [fitting[int(np.random.default_rng([seed, row]).integers(len(fitting)))] for row in rows]

    def padded(self, numbers: Sequence[int], lengths: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Return targets (B, T) and sources (B, S) of pairs that fit, padded with ends."""
        sources, targets = (
            filled([side[i] for i in numbers], length)
            for side, length in zip((self.sources, self.targets), lengths, strict=True)
        )
        return targets, sources


@dataclass(frozen=True, eq=False)
class Aligned(Sentences):
    """Pairs with the fertility of each source symbol and of the source's end: arrays of one more entry."""

    fertilities: list[Symbols]

    def chosen(self, numbers: Sequence[int]) -> Aligned:
        """Return the pairs with these numbers."""
        part = super().chosen(numbers)
        return Aligned(part.sources, part.targets, [self.fertilities[i] for i in numbers])


def filled(rows: Sequence[Symbols], length: int) -> Tensor:
    """Return rows of at most ``length`` symbols as one tensor (B, length), padded with ends."""
    made = torch.full((len(rows), length), END)
    for out, row in zip(made, rows, strict=True):
        out[: len(row)] = torch.from_numpy(row)
    return made


def divided(sources: Sequence[Hashable], share: float) -> tuple[list[int], list[int]]:
    """Return the numbers of the pairs to train on, and of those to hold out: a share of the sources, at random.

    Pairs of one source stay together, so that no source that is held out was trained on. The choice is always the same.

    Args:
        sources: source of each pair.
        share: fraction of the different sources to hold out.

    Raises:
        DataError: one of the two would be empty.
    """
    pairs: dict[Hashable, list[int]] = {}
    for number, source in enumerate(sources):
        pairs.setdefault(source, []).append(number)
    same = list(pairs.values())
    held = round(len(same) * share)
    if not 0 < held < len(same):
        raise DataError(Path("the pairs"), f"too few to divide: {len(same)} different sources")
    order = np.random.default_rng(0).permutation(len(same)).tolist()
    rest, out = ([i for group in part for i in same[group]] for part in (order[held:], order[:held]))
    return rest, out


@lru_cache(maxsize=16)
def _fitting(pairs: Sentences, lengths: tuple[int, int]) -> list[int]:
    both = zip(pairs.sources, pairs.targets, strict=True)
    return [i for i, (a, b) in enumerate(both) if len(a) < lengths[0] and len(b) < lengths[1]]
