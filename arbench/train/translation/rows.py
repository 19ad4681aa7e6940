"""Translations to read: held-out sentences, their references and what a model makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arbench.models import Source
from arbench.models.events.sentences import Sentences, Symbols
from arbench.train.translation.decode import Decoding, decoded, greedy, pairs_of


@dataclass(frozen=True)
class Translated:
    """A sentence, its reference translation and a model's translation, as text."""

    source: str
    reference: str
    translation: str


def translated(
    model: Source, data: Sentences, n: int, count: int, *, seed: int = 0, decode: Decoding = greedy
) -> list[Translated]:
    """Return translations of a choice of pairs, in the order of the part.

    Args:
        model: model of sentence pairs.
        data: the part, as ``Source.divide`` returns it.
        n: elements of an event.
        count: number of pairs; all that fit, if they are fewer.
        seed: seed of the choice.
        decode: the decoding.

    Raises:
        ValueError: the model has other events.
    """
    events = pairs_of(model)
    if events is None:
        raise ValueError(f"{type(model).__name__} does not translate")
    fitting = data.fitting(events.lengths(n))
    order = np.random.default_rng(seed).permutation(len(fitting))[:count]
    numbers = sorted(fitting[i] for i in order)
    return [
        Translated(text(data.sources[i], events.levels), text(data.targets[i], events.levels), text(row, events.levels))
        for i, row in zip(numbers, decoded(model, data, numbers, n, decode), strict=True)
    ]


def text(symbols: Symbols, levels: int) -> str:
    """Return symbols as the text whose bytes they are; with fewer than 256 ``levels``, as their numbers."""
    if levels < 256:
        return " ".join(str(symbol) for symbol in symbols)
    return bytes(symbols.tolist()).decode("utf-8", errors="replace")
