"""Alignment by attention and fertilities in turns, so that the fertilities can be predicted from the source.

The attention of a model of bytes is diffuse: the symbol most looked at, taken literally, gives fertilities that no
student can predict. An aligner of the kind that Gu et al. use (IBM models; Brown et al., *The Mathematics of
Statistical Machine Translation*, 1993) knows that the same word is copied in the same way everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from arbench.models.events.sentences import END, Aligned, Sentences, Symbols, filled
from arbench.models.transformer import Transformer

Floats = NDArray[np.floating[Any]]

BATCH, SAMPLE = 256, 4096
"""Pairs at once; most pairs that the law of fertilities is counted on."""
REACHES = (0, 1, 2, 4)
"""Symbols on either side that a fertility depends on, from the law that is surest to the one that is most precise."""
STRENGTH = 5.0
"""Pairs that the law of a shorter reach is worth in that of the next."""
WIDTH = 3.0
"""Standard deviation, in symbols, of the blur of attention over source and target."""
LEAST = 0.125
"""Least weight of attention beside the law of fertilities; it halves from 1 with each round."""


@dataclass(frozen=True)
class Law:
    """Law of the fertility of a symbol in its context: counts by the hash of the context, for each reach."""

    base: Floats
    keys: Sequence[Symbols]
    counts: Sequence[Floats]

    def __call__(self, sources: Symbols) -> Floats:
        """Return the probabilities (B, S, L) of the fertilities of symbols (B, S)."""
        p = np.broadcast_to(self.base, (*sources.shape, len(self.base)))
        for reach, keys, counts in zip(REACHES[: len(self.keys)], self.keys, self.counts, strict=True):
            wanted = contexts(sources, reach)
            at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
            found = np.where((keys[at] == wanted)[..., None], counts[at], 0.0)
            p = (found + STRENGTH * p) / (found.sum(-1, keepdims=True) + STRENGTH)
        return p


def begun(most: int) -> Law:
    """Return the law before any alignment: a fertility is near one, whatever the symbol."""
    base = np.exp(-np.abs(np.arange(most + 1.0) - 1))
    return Law(base / base.sum(), [], [])


def counted(sources: Symbols, fertilities: Symbols, most: int) -> Law:
    """Return the law of the fertilities of symbols, both (B, S); padding is skipped."""
    inside = sources != END
    keys, counts = [], []
    for reach in REACHES:
        found, number = np.unique(contexts(sources, reach)[inside], return_inverse=True)
        count = np.zeros((len(found), most + 1))
        np.add.at(count, (number, fertilities[inside]), 1)
        keys.append(found)
        counts.append(count)
    return Law(begun(most).base, keys, counts)


def contexts(sources: Symbols, reach: int) -> Symbols:
    """Return a hash (B, S) of each symbol with ``reach`` symbols on either side; ends lie beyond the sentence."""
    wide = np.pad(sources, ((0, 0), (reach, reach)), constant_values=END).astype(np.uint64)
    found = np.zeros(sources.shape, dtype=np.uint64)
    for i in range(2 * reach + 1):
        found = found * np.uint64(0x9E3779B97F4A7C15) + wide[:, i : i + sources.shape[1]]
    return found.view(np.int64)


def monotone(evidence: Floats, law: Floats, sizes: Sequence[tuple[int, int]]) -> Symbols:
    """Return the fertilities (B, S) of the likeliest alignments that keep the order of the source.

    Source symbol i with fertility f takes the next f symbols of the target; the sum over i of log p(f) and of the
    evidence of these symbols is the largest possible.

    Args:
        evidence: (B, T, S), what speaks for aligning a target symbol to a source symbol; zero where there is none.
        law: log-probabilities of fertilities, (B, S, L).
        sizes: symbols of source and target of each pair; a target of more than (L - 1) S symbols is cut.
    """
    b, t, s = evidence.shape
    most = law.shape[2] - 1
    total = np.concatenate([np.zeros((b, 1, s)), evidence.cumsum(1)], axis=1)
    length = np.array([a for a, _ in sizes])
    best = np.full((b, t + 1), -np.inf)
    best[:, 0] = 0
    taken = np.zeros((s, b, t + 1), dtype=np.int64)
    for i in range(s):
        options = np.full((most + 1, b, t + 1), -np.inf)
        options[0] = best + np.where(i < length, law[:, i, 0], 0.0)[:, None]
        for f in range(1, min(most, t) + 1):
            gain = total[:, f:, i] - total[:, : t + 1 - f, i] + law[:, i, f : f + 1]
            options[f, :, f:] = np.where((i < length)[:, None], best[:, : t + 1 - f] + gain, -np.inf)
        taken[i] = options.argmax(0)
        best = options.max(0)
    at = np.array([min(target, most * source) for source, target in sizes])
    found = np.zeros((b, s), dtype=np.int64)
    rows = np.arange(b)
    for i in reversed(range(s)):
        found[:, i] = taken[i, rows, at]
        at -= found[:, i]
    return found


@torch.no_grad()
def evidence(teacher: Transformer, data: Sentences, n: int) -> Iterator[tuple[range, Floats]]:
    """Yield numbers of pairs and the logarithm of the teacher's attention (B, n, n), blurred, from target to source.

    The attention is the mean over heads, summed over layers, within the sentences alone.
    """
    teacher.eval()
    device = next(teacher.parameters()).device
    place = torch.arange(n, dtype=torch.float32, device=device)
    blur = (-0.5 * ((place[:, None] - place) / WIDTH).square()).exp()
    for at in range(0, len(data), BATCH):
        numbers = range(at, min(at + BATCH, len(data)))
        targets, sources = (side.to(device) for side in data.padded(numbers, (n, n)))
        layers = teacher.attention(targets, teacher.encode({"source": sources}, n))
        inside = ((targets != END).unsqueeze(2) & (sources != END).unsqueeze(1)).float()
        weights = torch.stack([layer.mean(1) for layer in layers]).sum(0).float() * inside
        weights = (blur @ weights @ blur) / (blur @ inside @ blur).clamp_min(1e-9)
        yield numbers, ((weights + 1e-3).log() * inside).double().cpu().numpy()


def fitted(teacher: Transformer, data: Sentences, n: int, most: int, rounds: int) -> Law:
    """Return the law of fertilities after so many rounds, on the first ``SAMPLE`` pairs at most.

    A round aligns the pairs by attention and the law before, and counts the fertilities.
    """
    some = data.chosen(range(min(len(data), SAMPLE)))
    sources = filled(some.sources, n).numpy()
    shown = [(numbers, found.astype(np.float32)) for numbers, found in evidence(teacher, some, n)]
    law = begun(most)
    for number in range(rounds):
        rows = [_aligned(law, some, numbers, found, sources[numbers], number) for numbers, found in shown]
        law = counted(sources, np.concatenate(rows), most)
    return law


def reconciled(teacher: Transformer, data: Sentences, n: int, law: Law, rounds: int) -> Aligned:
    """Return pairs with the fertilities that a law of so many rounds and the attention lead to; ends belong together.

    Args:
        teacher: model with attention to its source.
        data: the pairs, all of which fit into the teacher's event.
        n: symbols of the teacher's event.
        law: result of ``fitted``.
        rounds: its rounds.
    """
    fertilities: list[Symbols] = []
    for numbers, found in evidence(teacher, data, n):
        sources = filled([data.sources[i] for i in numbers], n).numpy()
        rows = _aligned(law, data, numbers, found, sources, rounds)
        fertilities += [np.append(row[: len(data.sources[i])], 1) for row, i in zip(rows, numbers, strict=True)]
    return Aligned(data.sources, data.targets, fertilities)


def _aligned(law: Law, data: Sentences, numbers: range, found: Floats, sources: Symbols, number: int) -> Symbols:
    sizes = [(len(data.sources[i]), len(data.targets[i])) for i in numbers]
    return monotone(found * max(0.5**number, LEAST), np.log(law(sources)), sizes)
