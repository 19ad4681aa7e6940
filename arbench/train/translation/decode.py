"""Decoding: the translation that a model holds for likely, without chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from arbench.models import Context, Source
from arbench.models.events.sentences import END, Sentences, Symbols
from arbench.models.events.translation import TranslationSource
from arbench.models.parallel_nmt import ParallelNMT

BATCH = 256
Decoding = Callable[[Source, Context, int], Tensor]
"""A function of a model, the sources (context of B rows) and N, the elements of an event; it returns the symbols of
translations (B, T)."""


def pairs_of(model: Source) -> TranslationSource | None:
    """Return the part of a model that makes events of sentence pairs; None if its events are others."""
    events = getattr(model, "events", model)
    if not isinstance(events, TranslationSource) or getattr(events, "kind", "") == "phonemes":  # words, no sentences
        return None
    return events


def greedy(model: Source, context: Context, n: int) -> Tensor:
    """Take the likeliest value of each element, given those before it; stop where all translations have ended."""
    return symbols(model, likeliest(model, context, n))


def average(model: Source, context: Context, n: int) -> Tensor:
    """Take the mean of each fertility, rounded, and the likeliest symbols for these fertilities.

    Source: Gu et al., *Non-Autoregressive Neural Machine Translation*, 2017.
    """
    found = fertilities(model, context, n).softmax(-1)
    mean = (found @ torch.arange(found.shape[-1], dtype=found.dtype, device=found.device)).round().long()
    return copied(model, context, n, mean)


def fertilities(model: Source, context: Context, n: int) -> Tensor:
    """Return the logits of fertilities (B, S, P) that a model of two groups, fertilities and symbols, begins with."""
    code = model.encode(context, n)
    nothing = torch.full((len(context["source"]), n), END, device=context["source"].device)
    return model.extend(model.start(len(nothing), n, code), nothing, 0, 1)[0]


def copied(model: Source, context: Context, n: int, fertility: Tensor) -> Tensor:
    """Return the likeliest symbols (B, T) for fertilities (B, S)."""
    code = model.encode(context, n)
    f = torch.cat([fertility, fertility.new_full((len(fertility), n - fertility.shape[1]), END)], dim=1)
    return model.extend(model.start(len(f), n, code), f, 1, 2)[0].argmax(-1)


def decodings(model: Source) -> Mapping[str, Decoding]:
    """Return the ways in which a model alone decodes, by name."""
    return {"argmax": greedy, "average": average} if isinstance(model, ParallelNMT) else {"greedy": greedy}


def symbols(model: Source, x: Tensor) -> Tensor:
    """Return the symbols of the translations (B, T) in events (B, N)."""
    events = pairs_of(model)
    assert events is not None
    return x[:, x.shape[1] - events.lengths(x.shape[1])[1] :]


@torch.no_grad()
def decoded(
    model: Source, data: Sentences, numbers: Sequence[int], n: int, decode: Decoding = greedy, batch: int = BATCH
) -> Iterator[Symbols]:
    """Yield the translations of pairs, each as symbols up to its end; without an end, all T of them.

    Args:
        model: model of sentence pairs; it is put into evaluation mode.
        data: the pairs.
        numbers: numbers of the pairs, which fit into an event.
        n: elements of an event.
        decode: the decoding.
        batch: pairs at once.
    """
    events = pairs_of(model)
    assert events is not None
    model.eval()
    for at in range(0, len(numbers), batch):
        _, sources = data.padded(numbers[at : at + batch], events.lengths(n))
        context = {"source": sources.to(next(model.parameters()).device)}
        for row in decode(model, context, n).cpu().numpy():
            yield until_end(row)


def until_end(row: Symbols) -> Symbols:
    """Return the symbols before the first end."""
    ends = (row == END).nonzero()[0]
    return row[: ends[0]] if len(ends) else row


def likeliest(model: Source, context: Context, n: int) -> Tensor:
    """Return events (B, N) of the likeliest value of each element, given those before it.

    Once all translations have ended, the rest is padding.

    Args:
        model: model of finite elements, whose padding is symbol 0.
        context: the sources, ``source`` (B, S).
        n: elements of an event.
    """
    bounds, code = model.schedule(n), model.encode(context, n)
    x = torch.full((len(context["source"]), n), END, device=context["source"].device)
    state = model.start(len(x), n, code)
    for g, (begin, end) in enumerate(pairwise(bounds)):
        params, state = model.extend(state, x, g, g + 1)
        x[:, begin:end] = params.argmax(-1)
        counted = model.counted(x)
        if counted is not None and end < n and not counted[:, end].any():
            break
    return x
