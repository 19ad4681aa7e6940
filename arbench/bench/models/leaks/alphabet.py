"""Probe of a forward by every symbol of its alphabet: a leak may show for a few symbols alone, such as rare ones.

Events are short, so that large networks can afford many symbols, and once more long where nothing else shows what a
forward does there. Each row of a batch is another random event, in which one place, near the end, takes another symbol;
the parameters up to there must stay bit-equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT
from arbench.bench.models.leaks.leaking import MOST_NUMBERS
from arbench.bench.models.leaks.probes import levels_of
from arbench.bench.models.leaks.spent import Spent
from arbench.bench.models.leaks.symbols.named import named_symbols
from arbench.models import Source

WORK = 4_000_000_000
"""Budget: weights of the model times elements of all rows, about one multiplication each: about a second."""
STEPLESS = 8
"""How many times as much is spent on a model whose forward is compared with no step: all else that shows its leaks."""
SHORT = 6
"""Smallest number of elements of an event, where the model has one."""
ROUNDS = 4
"""Largest number of events in which each symbol is tried."""
MOST_ROWS = 256
"""Largest number of rows of one forward."""

LONG = 64
"""Elements from which on events are long."""
FARTHER = 4
"""How many times as long as before events are in which symbols are tried again."""
SECONDS = 2.0
"""Seconds after which no more symbols are tried in long events: attention takes more than its weights say."""

_found: WeakKeyDictionary[Source, dict[int, int | tuple[str, dict[str, object]]]] = WeakKeyDictionary()
"""Finding on each model in events of some numbers of elements: the number of symbols that were tried, or a fault."""


def probe_symbols(source: Source, n: int, seed: int, known: int, twin: Source | None = None) -> int:
    """Put every symbol of the alphabet, as far as the budget goes, at one place of short events.

    Args:
        source: the model.
        n: number of elements of an event that it takes.
        seed: seed of the events.
        known: symbols that other probes tried at each place: fewer are not tried again.
        twin: the model in float64, in which bits that differ must be more than rounding; without it every bit counts.

    Returns:
        How many symbols were tried; 0 for a network that reads real numbers, and where it would be no more than
        ``known``.

    Raises:
        InexactError: the forward leaks for a symbol; names it.
    """
    found = _found.setdefault(source, {})
    sizes = [_short(source, n)]
    if not source.steps and n >= max(LONG, FARTHER * max(found, default=sizes[0])):
        sizes.append(n)
    most = 0
    for size in dict.fromkeys([*found, *sizes]):
        if size not in found:
            found[size] = _probe(source, size, seed, known, twin)
        tried = found[size]
        if not isinstance(tried, int):
            raise InexactError(tried[0], **tried[1])
        most = max(most, tried)
    return most


def _probe(source: Source, n: int, seed: int, known: int, twin: Source | None) -> int | tuple[str, dict[str, object]]:
    levels = levels_of(source)
    work = WORK if source.steps else STEPLESS * WORK
    weights = sum(one.numel() for one in source.parameters())
    total = min(ROUNDS * (levels or 0), work // max(2 * weights * n, 1))
    if levels is None or known >= levels or total <= known:
        return 0
    generator = torch.Generator().manual_seed(seed)
    rounds = [torch.randperm(levels, generator=generator).tolist() for _ in range(ROUNDS)]
    rounds[0] = list(dict.fromkeys(named_symbols(source, levels) + rounds[0]))  # code that treats one has to name it
    symbols = torch.tensor([one for some in rounds for one in some][:total])
    pasts = torch.randint(levels, (total, n), generator=generator)
    bounds = source.schedule(n)
    group = max(len(bounds) - 3, 0)
    place = slice(bounds[group], bounds[group + 1])
    changed = pasts.clone()
    changed[:, place] = (symbols[:, None] + torch.arange(place.stop - place.start)) % levels
    rows = min(MOST_ROWS, max(MOST_NUMBERS // (n * max(n, source.distribution.params_width)), 1))
    context = source.observe(n, [0], seed)[1]
    differs, spent = pasts[:0, : place.stop] > 0, Spent()
    for some in zip(pasts.split(rows), changed.split(rows), strict=True):
        if n >= LONG and spent.seconds > SECONDS:
            break
        differs = torch.cat([differs, _differs(source, *some, context)[:, : place.stop]])
    total = len(differs)
    pasts, changed = pasts[:total], changed[:total]
    if twin is not None:
        _forget_rounding(differs, twin, pasts, changed, context, rows)
    leaks = differs.any(1)
    if not leaks.any():
        return min(total, levels)
    at, taken = int(differs.any(0).nonzero()[0]), torch.cat([pasts[leaks][:, place], changed[leaks][:, place]], dim=1)
    symbol = int(taken.flatten().bincount().argmax())
    share = float((taken == symbol).any(1).double().mean())
    said = f"; symbol {symbol} is or was there in {share:.0%} of these" if len(taken) > 1 and share > 0.5 else ""
    where = f"element {place.start}" if place.stop - place.start == 1 else f"elements {place.start} to {place.stop - 1}"
    return (
        f"forward leaks: parameters of element {at} change with {where}, in {len(taken):,} of {total:,} random events "
        f"of {n} elements{said}",
        {"first_difference": [0, at], "leak_share": float(leaks.double().mean()), "leak_symbol": symbol},
    )


def _forget_rounding(
    differs: Tensor, twin: Source, pasts: Tensor, changed: Tensor, context: Mapping[str, Tensor], rows: int
) -> None:
    """Clear what differs (B, N) by rounding alone, as in a mixture of experts, up to the first rows that do by more."""
    rounded = differs.any(1).nonzero()[:, 0]
    for at in rounded.split(rows) if len(rounded) else ():
        found = _differs(twin, pasts[at], changed[at], context, EXACT)[:, : differs.shape[1]]
        differs[at] &= found
        if found.any():
            return


def _differs(
    source: Source, pasts: Tensor, changed: Tensor, context: Mapping[str, Tensor], allowed: float = 0.0
) -> Tensor:
    """Return whose parameters (B, N) differ between two batches of events, with the conditioning of one event."""
    first = next((one for one in source.parameters() if one.is_floating_point()), torch.empty(0))
    kinds = {name: first.dtype if value.is_floating_point() else value.dtype for name, value in context.items()}
    repeated = {
        name: value.to(first.device, kinds[name]).repeat_interleave(len(pasts), 0) for name, value in context.items()
    }
    code = source.encode(repeated, pasts.shape[1])
    before, after = source(pasts.to(first.device), code), source(changed.to(first.device), code)
    near = (before - after).abs() <= allowed * (1 + before.abs().max()) if allowed else before == after
    return (~near & ~(before.isnan() & after.isnan())).any(-1).cpu()


def _short(source: Source, n: int) -> int:
    """Return a small number of elements that a model takes; ``n`` where none is known."""
    for size in sorted(source.count_ladder, key=lambda size: (size < SHORT, size)):
        try:
            source.schedule(size)
        except ValueError:
            continue
        return min(size, n)
    return n
