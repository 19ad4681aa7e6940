"""Probes of a model's forward: seeded changes of a feed, which must change later parameters and no earlier ones.

A leak may depend on what is read: on one symbol of an alphabet, at one place. So a probe changes the elements from a
group on in many rows at once. Each row has a past of its own, and over the rows each changed element takes every symbol
of the alphabet, as far as the budget goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from arbench.bench.dtypes import as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, first_difference
from arbench.bench.models.leaks.leaking import MOST_NUMBERS, leaking, sweep
from arbench.models import Source

WORK = 300_000_000
"""Budget of a probe: weights of the model times elements of all rows, about one multiplication each."""
MOST_ROWS = 256
FEWEST = 2
"""Changes that a probe tries, whatever they cost: of a real event, and of a random one."""
USUAL = 16
"""Changes that a probe tries if it can pay for them, or as many as the alphabet has symbols."""
SPREAD = 64
"""Evenly spaced places from which on elements are changed once, where every place costs too much: of a model whose
forward is compared with no step."""
SPREAD_WORK = 6_000_000_000
"""Budget of all these places together, counted as ``WORK``."""


@dataclass(frozen=True)
class Probed:
    """The changes that were tried.

    Attributes:
        places: number of groups from which on elements were changed.
        changes: number of changes at each of them.
        symbols: number of different symbols that each changed element took; None for real elements.
        swept: number of groups from each of which on elements were changed once: all, or none where they cost too much.
        spread: number of evenly spaced ones for which it was done in place of all.
        reaches_back: whether the last parameters change with the first group, so that a longer event may show more.
    """

    places: int
    changes: int
    symbols: int | None
    swept: int = 0
    spread: int = 0
    reaches_back: bool = False


def levels_of(source: Source) -> int | None:
    """Return the size of the alphabet that a network reads; None where it reads real numbers."""
    if source.feeds == "z" or not source.distribution.finite:
        return None
    return int(getattr(source.distribution, "levels", 2))


def changes_for(source: Source, f: Tensor) -> int:
    """Return how many changes a probe of a feed (B, N) tries."""
    return max(FEWEST, min(max(levels_of(source) or 0, USUAL), MOST_ROWS, _affordable(source, f) // f.numel()))


def _affordable(source: Source, f: Tensor) -> int:
    """Return how many elements one forward of a probe may have."""
    numbers = source.distribution.params_width
    return min(WORK // _weights(source), MOST_NUMBERS // max(numbers, f.shape[1]))


def _weights(source: Source) -> int:
    return max(sum(one.numel() for one in source.parameters()), 1)


def probe_leaks(
    source: Source, f: Tensor, context: Mapping[str, Tensor], seed: int, twin: Source | None = None
) -> Probed:
    """Change elements from some groups on; parameters up to these groups must stay bit-equal, and later ones change.

    Where bits differ, what a mixture of experts computes may have been rounded in another order: its batches change
    with later elements. In float64 such differences are below 1e-10, and are no leak.

    Args:
        source: the model.
        f: a real feed (B, N).
        context: its conditioning.
        seed: seed of the changes.
        twin: the model in float64; without it every bit counts.

    Returns:
        What was tried.

    Raises:
        InexactError: the forward leaks, or ignores elements.
    """
    n, bounds = f.shape[1], source.schedule(f.shape[1])
    groups, count = len(bounds) - 1, changes_for(source, f)
    generator = torch.Generator().manual_seed(seed)
    pasts = torch.cat([f, _others(source, f, count - 1, generator)])
    code = source.encode({name: value.repeat(count, *[1] * (value.dim() - 1)) for name, value in context.items()}, n)
    params = source(pasts, code)
    middle = groups // 2  # probe its neighbours too: sub-pixels differ by colour
    places = sorted({0, *(min(middle + i, groups - 1) for i in range(3)), groups - 1})
    for g in places:
        begin, seen = bounds[g], bounds[g + 1]
        changed = pasts.clone()
        changed[:, begin:] = _changes(source, pasts[:, begin:], count, generator)
        after = source(changed, code)
        differs = _differs(after, params)
        if differs[:, :seen].any() and not (twin is not None and _rounded(twin, pasts, changed, context, seen)):
            leaks = differs[:, :seen].flatten(1).any(-1)
            row, at = first_difference(differs[:, :seen])
            own = {name: value[row % len(f)][None] for name, value in context.items()}
            raise InexactError(
                f"forward leaks: parameters of element {at} change with elements from {begin} on",
                first_difference=[row % len(f), at],
                leak_change=row // len(f),
                leak_share=float(leaks.double().mean()),
                leak_changes=len(leaks),
                **leaking(source, pasts[row][None], changed[row][None], own, begin),
            )
        if seen < n and not differs[:, seen:].any():
            raise InexactError(f"elements from {begin} on change no later parameter", check="inputs")
    swept = groups if groups * n <= _affordable(source, f) else 0
    other = _changes(source, f[:1], 1, generator, whole=True)[0]
    spread = 0 if swept or source.steps else min(SPREAD, groups, max(SPREAD_WORK // _weights(source) // n, 1))
    tried = range(groups) if swept else [round(at) for at in torch.linspace(0, groups - 1, spread).tolist()]
    rows = max(len(tried) if swept else _affordable(source, f) // n, 1)
    for start in range(0, len(tried), rows):
        some = tried[start : start + rows]
        found = sweep(source, f, context, other, groups=some)
        if found is not None and twin is not None:  # as above, rounding is no leak
            found = sweep(twin, as_float64(f), as_float64(dict(context)), as_float64(other), EXACT, some)
        if found is not None:
            raise InexactError(
                f"forward leaks: parameters of element {found[0]} change with elements from {found[1]} on",
                first_difference=[0, found[0]],
            )
    levels, first = levels_of(source), pasts.clone()
    first[:, : bounds[1]] = _changes(source, pasts[:, : bounds[1]], count, generator)
    reaches_back = groups > 1 and bool(_differs(source(first, code), params)[:, bounds[-2] :].any())
    return Probed(len(places), count, min(count, levels) if levels else None, swept, spread, reaches_back)


def _rounded(twin: Source, pasts: Tensor, changed: Tensor, context: Mapping[str, Tensor], seen: int) -> bool:
    """Return whether the first parameters are equal in float64, up to rounding."""
    count = len(pasts) // max(len(next(iter(context.values()))), 1) if context else 1
    own = as_float64({name: value.repeat(count, *[1] * (value.dim() - 1)) for name, value in context.items()})
    code = twin.encode(own, pasts.shape[1])
    before, after = (twin(as_float64(one), code)[:, :seen] for one in (pasts, changed))
    return bool(((after - before).abs() <= EXACT * (1 + before.abs().max())).all())


def _differs(a: Tensor, b: Tensor) -> Tensor:
    return (a != b) & ~(a.isnan() & b.isnan())


def _others(source: Source, f: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return other feeds (count B, N): of symbols, or the real one with noise of its own size."""
    levels, (batch, n) = levels_of(source), f.shape
    if levels is not None:
        return _symbols(levels, count, n, generator).repeat_interleave(batch, 0).to(f.device, f.dtype)
    noise = torch.randn(count * batch, n, generator=generator, dtype=torch.float64)
    return f.repeat(count, 1) + noise.to(f.device, f.dtype) * (f.std(unbiased=False) + 1)


def _changes(source: Source, suffix: Tensor, count: int, generator: torch.Generator, whole: bool = False) -> Tensor:
    """Return other elements for a suffix (count B, M).

    No first element of a suffix stays as it is, so that there is a change to be seen; if ``whole``, no element does.
    """
    levels, (rows, length) = levels_of(source), suffix.shape
    if levels is None:
        size = 10.0 ** torch.randint(-1, 2, (rows, 1), generator=generator)
        noise = torch.randn(rows, length, generator=generator, dtype=torch.float64) * size
        return suffix + torch.where(noise == 0, 1.0, noise).to(suffix.device, suffix.dtype)
    found = _symbols(levels, count, length, generator).repeat_interleave(rows // count, 0)
    found = found.to(suffix.device, suffix.dtype)
    moved = slice(None) if whole else slice(1)
    same = found[:, moved] == suffix[:, moved]
    found[:, moved] = torch.where(same, (found[:, moved] + 1) % levels, found[:, moved])
    return found


def _symbols(levels: int, count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return symbols (count, length): over the rows each place takes ``count`` different ones, or all of them."""
    offset = torch.randint(levels, (length,), generator=generator)
    turns = torch.stack([torch.randperm(max(count, 1), generator=generator) for _ in range(min(length, 8))], dim=1)
    turns = turns[:, torch.arange(length) % turns.shape[1]]  # eight orders in turn: places do not move together
    return (offset + turns * max(levels // max(count, 1), 1)) % levels
