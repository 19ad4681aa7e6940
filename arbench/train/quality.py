"""Quality: bits per element of data that a model was not trained on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arbench.data import DataError
from arbench.methods.base import Task
from arbench.methods.stepwise import cached
from arbench.models import Context, Source
from arbench.models.base import Piece
from arbench.train.events import event
from arbench.train.translation import Exact


@dataclass(frozen=True)
class Quality:
    """Bits of held-out data.

    Args:
        bits: bits per element, over all parts.
        elements: number of elements that were scored.
        parts: bits and elements of each recording, image, passage or pair, by its number.
        translations: of sentence pairs, translations beside their references, by the name of the decoding.
        figures: terms that the bits are the sum of, by name, where they are one; each evaluation's are in the curve.
    """

    bits: float
    elements: int
    parts: dict[int, tuple[float, int]]
    translations: Mapping[str, Exact] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@torch.no_grad()
def measured(
    model: Source, data: Any, n: int, prefix: int = 0, batch: int = 32, seed: int = 0, before: Any = None
) -> Quality:
    """Score every element of a part of the data once, and return bits per element.

    A bit is -log2 of the probability; of a real element, of its density times the width of a level (``Source.cell``).

    Args:
        model: model to judge; it is put into evaluation mode.
        data: held-out part, as ``Source.divide`` returns it.
        n: elements of a window.
        prefix: elements of a window that are context alone, not scored.
        batch: windows at once.
        seed: seed of the dequantisation.
        before: part that the data continues, if any; its last elements are the context of the first window.

    Raises:
        DataError: no piece of the data fits.
    """
    model.eval()
    parts: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for x, context, pieces in batches(model, data, n, prefix, batch, seed, before):
        nats = -log_probs(model, x, context)
        scored = model.counted(x)
        for row, piece in enumerate(pieces):
            inside = nats[row, piece.first :]
            if scored is not None:
                inside = inside[scored[row, piece.first :]]
            parts[piece.part][0] += float(inside.double().sum()) / math.log(2)
            parts[piece.part][1] += inside.numel()
    elements = int(sum(count for _, count in parts.values()))
    if not elements:
        raise DataError(Path("the held-out data"), f"has no event of {n} elements; choose another --n")
    whole = {part: (bits, int(count)) for part, (bits, count) in parts.items()}
    return Quality(sum(bits for bits, _ in whole.values()) / elements, elements, whole)


def guessing(model: Source) -> float | None:
    """Return bits per element of the guess that all levels are equally likely; None where elements are real."""
    levels = getattr(model.distribution, "levels", None)
    return math.log2(levels) if model.distribution.finite and levels else None


def log_probs(model: Source, x: Tensor, context: Context) -> Tensor:
    """Return the log-probability of each element (B, N) in nats; of a real element, of its whole cell.

    A model that reads noise is inverted step by step, which has no gradient.
    """
    if model.feeds == "z":
        found = cached(model, Task(x.shape[1], context, x=x)).log_prob
        assert found is not None
    else:
        params = model(x, model.encode(context, x.shape[1]))
        found = model.distribution.log_prob(params, x)
    return found + math.log(model.cell) if model.cell else found


def batches(
    model: Source, data: Any, n: int, prefix: int, batch: int, seed: int, before: Any = None
) -> Iterator[tuple[Tensor, Context, list[Piece]]]:
    """Yield the pieces of a part of the data in batches of one length: events, their context and the pieces."""
    number = 0
    for _, same in groupby(covered(model, data, n, prefix, before), key=lambda piece: piece.n):
        while pieces := list(islice(same, batch)):
            made = []
            for piece in pieces:
                made.append(event(model, piece.n, [0], seed + number, piece.data))
                number += 1
            contexts = [context for _, context in made]
            joined = {key: torch.cat([one[key] for one in contexts]) for key in contexts[0]}
            yield torch.cat([x for x, _ in made]), joined, pieces


def covered(model: Source, data: Any, n: int, prefix: int, before: Any = None) -> Iterator[Piece]:
    """Yield the pieces of a part of the data; the first of each recording or text begins with the end of ``before``.

    Arguments as for ``measured``.
    """
    known: Sequence[int] = ()
    if before is not None and prefix:
        data, known = model.continued(before, data, prefix)
    begun: set[int] = set()
    for piece in model.pieces(data, n, prefix):
        fresh = piece.part < len(known) and piece.part not in begun
        begun.add(piece.part)
        yield replace(piece, first=known[piece.part]) if fresh else piece
