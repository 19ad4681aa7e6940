"""Words and their pronunciations: graphemes and phonemes as symbols."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arbench.border.shown import Text
from arbench.data import DataError, load_pairs, named, phonemes
from arbench.models.base import Piece
from arbench.models.events.sentences import divided

Symbols = NDArray[np.int64]
_VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
_CONSONANTS = ("CH", "DH", "HH", "JH", "NG", "SH", "TH", "ZH", *"BDFGKLMNPRSTVWYZ")
PAD, UNKNOWN = 0, 1
"""Symbols of both alphabets: what follows an end, and what the alphabet does not have."""
GRAPHEMES = ("<pad>", "<unk>", "</s>", *ascii_lowercase)
"""Symbols of a word, in the order that g2p-en 2.1.0 numbers them: 29."""
PHONEMES = ("<pad>", "<unk>", "<s>", "</s>", *sorted([*(v + s for v in _VOWELS for s in "012"), "UW", *_CONSONANTS]))
"""Symbols of a pronunciation, in the order that g2p-en 2.1.0 numbers them: 74. A vowel ends with its stress."""
WORD_END = GRAPHEMES.index("</s>")
BEGIN, END = PHONEMES.index("<s>"), PHONEMES.index("</s>")
_GRAPHEME = {symbol: at for at, symbol in enumerate(GRAPHEMES)}
_PHONEME = {symbol: at for at, symbol in enumerate(PHONEMES)}
HELD_OUT = 0.1
"""Fraction of the words that is held out."""
ENOUGH = 100
"""Fewest pairs that must fit into an event; with fewer, longer pairs are cut instead of repeating these."""


def spelled(word: str) -> Symbols:
    """Return a word as symbols with their end: (letters + 1,)."""
    return np.array([*(_GRAPHEME.get(letter, UNKNOWN) for letter in word.lower()), WORD_END])


def pronounced(text: str) -> Symbols:
    """Return phonemes divided by blanks as symbols with their end: (phonemes + 1,)."""
    return np.array([*(_PHONEME.get(phoneme, UNKNOWN) for phoneme in text.split()), END])


def said(symbols: Iterable[int]) -> list[str]:
    """Return the phonemes before the first end."""
    found = []
    for symbol in symbols:
        if symbol == END:
            break
        found.append(PHONEMES[symbol])
    return found


def written(symbols: Iterable[int]) -> str:
    """Return the letters of a word before its first end; symbols of the alphabet that are no letters as they are."""
    found = [GRAPHEMES[symbol] for symbol in symbols]
    return "".join(found[: found.index("</s>")] if "</s>" in found else found)


def load(path: str) -> tuple[tuple[str, str], ...]:
    """Read named pairs of words and phonemes, or the user's own: a word, a tab, phonemes divided by blanks.

    Raises:
        DataError: the file is unusable, or a target is not made of ARPAbet phonemes.
    """
    found = tuple(named(path, "sentence pairs") or load_pairs(path))
    for word, text in found:
        for phoneme in text.split():
            if phoneme not in _PHONEME:
                raise DataError(
                    Path(path),
                    f"'{phoneme:.20}', for the word '{word:.20}', is no ARPAbet phoneme; wanted such as T AH0",
                )
    return found


@cache
def _dictionary() -> tuple[tuple[str, str], ...]:
    return tuple(phonemes())


@lru_cache(maxsize=4)
def _lengths(data: tuple[tuple[str, str], ...]) -> NDArray[np.int64]:
    """Return the symbols that each pair needs, on the side that needs more, with the end."""
    return np.array([max(len(word), len(text.split())) + 1 for word, text in data])


def words(n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
    """Return pronunciations, int64 (B, n), and the words that they belong to: ``source``, int64 (B, n).

    A row is one pair, each side with its end and padded. If fewer than 100 pairs fit, both sides are cut.

    Args:
        n: symbols of each side.
        rows: global row indices of the batch; a row is reproducible from (seed, row).
        seed: seed of the run.
        data: result of ``load``, or None for the CMU Pronouncing Dictionary.

    Raises:
        DataError: there are no data, and the package of the dictionary is not installed.
    """
    known = _dictionary() if data is None else data
    fitting = np.flatnonzero(_lengths(known) <= n)
    if len(fitting) < ENOUGH:
        fitting = np.arange(len(known))
    targets, sources = (np.full((len(rows), n), PAD) for _ in range(2))
    for at, row in enumerate(rows):
        word, text = known[int(fitting[np.random.default_rng([seed, row]).integers(len(fitting))])]
        for out, symbols in ((sources[at], spelled(word[: n - 1])), (targets[at], pronounced(text))):
            out[: len(symbols)] = symbols[:n]
    return torch.from_numpy(targets), {"source": torch.from_numpy(sources)}


def event(word: str, text: str) -> tuple[Tensor, dict[str, Tensor]]:
    """Return one pair without padding: phonemes (1, M) with their end, and the word (1, S) with its own."""
    return torch.from_numpy(pronounced(text)[None]), {"source": torch.from_numpy(spelled(word)[None])}


Pairs = tuple[tuple[str, str], ...]
"""Words and their phonemes, divided by blanks."""


def divide(data: Pairs | None, share: float | None) -> tuple[Pairs, Pairs]:
    """Hold out some of the words, each with all of its pronunciations; the choice is always the same.

    Raises:
        DataError: there are too few words, or no data, and the package of the dictionary is not installed.
    """
    known = _dictionary() if data is None else data
    rest, held = divided([word.lower() for word, _ in known], HELD_OUT if share is None else share)
    return tuple(known[i] for i in rest), tuple(known[i] for i in held)


def pieces(data: Pairs, n: int) -> Iterator[Piece]:
    """Yield the pairs that fit into an event of ``n`` symbols."""
    for number in np.flatnonzero(_lengths(data) <= n).tolist():
        yield Piece((data[number],), n, 0, number)


def counted(x: Tensor) -> Tensor:
    """Return the symbols of each pronunciation, (B, N), up to its first end."""
    ends = (x == END).long().cumsum(1)
    return (ends == 0) | ((ends == 1) & (x == END))


def natural(data: Any = None) -> int:
    """Return the number of symbols of the longest pair, with the end."""
    return int(_lengths(_dictionary() if data is None else data).max())


def pronunciations(x: Tensor) -> list[Text]:
    """Return pronunciations (B, N) up to their first end, as ARPAbet phonemes."""
    return [Text(" ".join(said(row))) for row in x.tolist()]


def spellings(x: Tensor) -> list[Text]:
    """Return words (B, S) up to their first end."""
    return [Text(written(row)) for row in x.tolist()]
