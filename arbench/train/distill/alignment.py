"""Fertilities from a teacher's attention: each target symbol is copied from the source symbol most looked at."""

from __future__ import annotations

import numpy as np
import torch

from arbench.models.events.sentences import Aligned, Sentences, Symbols
from arbench.models.transformer import Transformer

BATCH = 256


@torch.no_grad()
def aligned(teacher: Transformer, data: Sentences, n: int, most: int) -> Aligned:
    """Return pairs with their fertilities under a teacher that reads both sides.

    A target symbol belongs to the source symbol that has the largest weight, on average over the heads of the last
    decoder layer's attention to the source, where the symbol is predicted. The ends belong together, and no symbol
    belongs to the source's end. The fertility of a source symbol is the number of symbols that belong to it.

    Source: Gu et al., *Non-Autoregressive Neural Machine Translation*, 2017, where the fertilities come from an
    external aligner or from the teacher's attention.

    Args:
        teacher: model with attention to its source.
        data: the pairs, all of which fit into the teacher's event.
        n: symbols of the teacher's event.
        most: largest fertility; see ``capped``.
    """
    teacher.eval()
    device, fertilities = next(teacher.parameters()).device, []
    for at in range(0, len(data), BATCH):
        numbers = range(at, min(at + BATCH, len(data)))
        targets, sources = (side.to(device) for side in data.padded(numbers, (n, n)))
        weights = teacher.attention(targets, teacher.encode({"source": sources}, n))[-1].mean(1).cpu().numpy()
        for one, i in zip(weights, numbers, strict=True):
            a, b = len(data.sources[i]), len(data.targets[i])
            counts = np.bincount(one[:b, :a].argmax(1), minlength=a) if a else np.zeros(0, dtype=np.int64)
            fertilities.append(np.append(capped(counts, most), 1))
    return Aligned(data.sources, data.targets, fertilities)


def capped(counts: Symbols, most: int) -> Symbols:
    """Move what is above ``most`` to the nearest symbols that have room, so that the sum remains if it can.

    Args:
        counts: fertilities (S,).
        most: largest fertility.
    """
    counts = counts.astype(np.int64)
    for i in np.flatnonzero(counts > most):
        spare, counts[i] = int(counts[i]) - most, most
        for j in sorted(range(len(counts)), key=lambda j, i=i: abs(j - i)):  # type: ignore[misc]
            moved = min(spare, max(most - int(counts[j]), 0))
            counts[j] += moved
            spare -= moved
    return counts
