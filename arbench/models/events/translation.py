"""Shared parts of translation models: real sentence pairs as symbols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.border.shown import Shown, Text, read
from arbench.data import DataError, as_bytes, as_symbols, load_pairs, named, pairs
from arbench.models.base import Context, Piece
from arbench.models.events.sentences import END, Sentences, Symbols, divided

HELD_OUT = 0.1
"""Fraction of the sources that is held out, with their pairs."""


@lru_cache(maxsize=8)
def _sides(data: tuple[tuple[str, str], ...] | None, levels: int) -> tuple[list[Symbols], list[Symbols]]:
    """Return sources and targets as symbols 1 .. levels - 1 in one alphabet."""
    known = pairs() if data is None else data
    sentences = [as_bytes(text) for side in (0, 1) for text in (pair[side] for pair in known)]
    if levels < 256:
        ends = np.cumsum([0, *map(len, sentences)])
        renamed = as_symbols(np.concatenate(sentences), levels - 1) + 1
        sentences = [renamed[a:b] for a, b in pairwise(ends.tolist())]
    return sentences[: len(known)], sentences[len(known) :]


class TranslationSource:
    """Mixin of ``Source`` for sentences and their translations, by default English and German.

    An element is a byte; with fewer than 256 ``levels`` (at least 3) it is one of the commonest bytes or "any
    other". Symbol 0, a byte that no text contains, ends a sentence and pads an event.
    """

    element: ClassVar[str] = "symbol"
    levels: int

    def sentences(
        self, n: int, rows: Sequence[int], seed: int, data: Any = None, source: int | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return translations, int64 (B, n), and the sentences that they translate: ``source``, int64 (B, S).

        A row is a pair and the pairs that follow it in the catalogue, each sentence with its end, as many as
        fit on both sides. If the first pair does not fit, both sides are cut.

        Args:
            n: symbols of the target.
            rows: global row indices of the batch; a row is reproducible from (seed, row).
            seed: seed of the run.
            data: result of ``load_data``, or None for the pairs that ship.
            source: symbols S of the source; ``n`` by default.

        Raises:
            DataError: an event of more than ``PADDED`` symbols is longer than all sentences together.
        """
        lengths = (n if source is None else source, n)
        if isinstance(data, Sentences):
            target, sources = data.padded(data.drawn(lengths, rows, seed), lengths)
            return target, {"source": sources}
        sides = _sides(data, self.levels)
        for side, name, length in zip(sides, ("sources", "translations"), lengths, strict=True):
            have = sum(map(len, side)) + len(side)
            if length > max(have, PADDED):
                raise DataError(
                    Path(f"the {name}"), f"too short: {have} symbols with their ends; an event needs {length}"
                )
        fits = np.array([len(a) < lengths[0] and len(b) < lengths[1] for a, b in zip(*sides, strict=True)])
        starts = np.flatnonzero(fits) if fits.sum() >= ENOUGH else np.arange(len(fits))
        made = []
        for row in rows:
            start = int(starts[np.random.default_rng([seed, row]).integers(len(starts))])
            made.append(_filled(sides, start, lengths))
        sources, targets = (torch.from_numpy(np.stack(side)) for side in zip(*made, strict=True))
        return targets, {"source": sources}

    def divide(self, data: Any = None, share: float | None = None) -> tuple[Sentences, Sentences]:
        """Hold out some of the sources with their pairs; in both parts each pair is an event of its own."""
        pairs = data if isinstance(data, Sentences) else Sentences(*_sides(data, self.levels))
        rest, held = divided([source.tobytes() for source in pairs.sources], HELD_OUT if share is None else share)
        return pairs.chosen(rest), pairs.chosen(held)

    def pieces(self, data: Sentences, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield the pairs; those that are longer than the event are left out."""
        for number in data.fitting(self.lengths(n)):
            yield Piece(data.chosen([number]), n, 0, number)

    def natural(self, data: Any = None) -> int:
        """Return the number of elements of an event that the longest pair fits into."""
        pairs = data if isinstance(data, Sentences) else Sentences(*_sides(data, self.levels))
        longest = [max(map(len, side)) for side in (pairs.sources, pairs.targets)]
        n = 2
        while any(room <= length for room, length in zip(self.lengths(n), longest, strict=True)):
            n += 1
        return n

    def shown(self, x: Tensor) -> list[Text]:
        """Return each sentence up to its first end; with fewer than 256 levels, the numbers of its symbols."""
        return [read(row[: row.index(END)] if END in row else row, self.levels) for row in x.tolist()]

    def told(self, context: Context) -> dict[str, Sequence[Shown | int]]:
        """Return the sentences to translate."""
        return {"source": TranslationSource.shown(self, context["source"])}

    def lengths(self, n: int) -> tuple[int, int]:
        """Return the symbols of source and target in an event of ``n`` elements."""
        return n, n

    @property
    def unit(self) -> str:
        """Unit of quality: with fewer than 256 levels, bytes that are told apart no more cost nothing."""
        return "bits per symbol" if self.levels >= 256 else f"bits per symbol of {self.levels} levels"

    def counted(self, x: Tensor) -> Tensor:
        """Return the symbols of each translation, (B, N), up to its first end."""
        ends = (x == END).long().cumsum(1)
        return (ends == 0) | ((ends == 1) & (x == END))

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read named sentence pairs, or the user's own."""
        return tuple(named(path, "sentence pairs") or load_pairs(path))


ENOUGH = 100
"""Fewest pairs that must fit into an event; with fewer, longer pairs are cut instead of repeating these."""
PADDED = 1024
"""Most symbols of an event that may be longer than all sentences of the user's together."""


def _filled(
    sides: tuple[list[Symbols], list[Symbols]], start: int, lengths: tuple[int, int]
) -> tuple[Symbols, Symbols]:
    source, target = (np.full(length, END, dtype=np.int64) for length in lengths)
    filled = [0, 0]
    for pair in islice(zip(*sides, strict=True), start, None):
        ends = [at + len(sentence) for at, sentence in zip(filled, pair, strict=True)]
        if any(filled) and any(end >= length for end, length in zip(ends, lengths, strict=True)):
            break
        for out, at, sentence in zip((source, target), filled, pair, strict=True):
            out[at : at + len(sentence)] = sentence[: len(out) - at]
        filled = [end + 1 for end in ends]
    return source, target
