"""Where a leak comes from: which later element, with which value, and in how many of the changes that were tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from arbench.models import Source

MOST = 64
"""Largest number of later elements that are tried one at a time."""
MOST_NUMBERS = 1 << 24
"""Most parameters of a distribution, or entries of a matrix of attention, in one forward of a probe."""


def leaking(source: Source, before: Tensor, after: Tensor, context: Mapping[str, Tensor], first: int) -> dict[str, Any]:
    """Return facts about a leak: the first later element that changes earlier parameters alone.

    Args:
        source: the model.
        before: an event (1, N), or the noise of one.
        after: the same with other elements from some place on, which changed parameters before them.
        context: its conditioning (1, ...).
        first: the first element that differs.

    Returns:
        ``leak_from``, the element, and ``leak_values``, what it was and became; nothing where no element leaks alone.
    """
    places = (before != after)[0].nonzero()[:, 0]
    n = before.shape[1]
    rows = max(min(MOST, MOST_NUMBERS // (n * max(n, source.distribution.params_width))), 1)
    places = places[places >= first][:rows]
    rows = len(places)
    one = before.repeat(rows, 1)
    one[torch.arange(rows), places] = after[0, places]
    code = source.encode({name: value.repeat(rows, *[1] * (value.dim() - 1)) for name, value in context.items()}, n)
    moved = (source(one, code) != source(before.repeat(rows, 1), code)).flatten(2).any(-1)
    earlier = torch.arange(n, device=moved.device) <= places[:, None].to(moved.device)
    leaks = (moved & earlier).any(-1)
    if not leaks.any():
        return {}
    at = int(places[int(leaks.nonzero()[0, 0])])
    return {"leak_from": at, "leak_values": [before[0, at].item(), after[0, at].item()]}


def sweep(
    source: Source,
    f: Tensor,
    context: Mapping[str, Tensor],
    changed: Tensor,
    allowed: float = 0.0,
    groups: Sequence[int] | None = None,
) -> tuple[int, int] | None:
    """Change the first event from groups on, each time in a row of its own; return the first leak.

    Args:
        source: the model.
        f: a feed (B, N).
        context: its conditioning.
        changed: another feed (N,), no element of which is the same.
        allowed: largest difference of parameters that is no leak, over 1 + the largest parameter.
        groups: the groups; every one by default.

    Returns:
        The element whose parameters changed, and the element from which on the feed was changed; None for no leak.
    """
    n, bounds = f.shape[1], source.schedule(f.shape[1])
    groups = range(len(bounds) - 1) if groups is None else groups
    rows = len(groups)
    begins, seen = (torch.tensor([bounds[g + by] for g in groups], device=f.device)[:, None] for by in (0, 1))
    own = {name: value[:1].repeat(rows, *[1] * (value.dim() - 1)) for name, value in context.items()}
    code, places = source.encode(own, n), torch.arange(n, device=f.device)
    whole = f[:1].repeat(rows, 1)
    after = torch.where(places >= begins, changed.to(f), whole)
    before, found = source(whole, code), source(after, code)
    moved = ~((found - before).abs() <= allowed * (1 + before.abs().max())).flatten(2).all(-1) & (places < seen)
    if not moved.any():
        return None
    row, at = (int(one) for one in moved.nonzero()[0])
    return at, int(begins[row, 0])
