"""Steps of a model: in any chunks they equal one pass, and going back leaves no trace."""

from __future__ import annotations

from itertools import pairwise

import torch

from arbench.models import Source

from .sources import EXACT, changed, feed


def chunks_agree(source: Source, n: int) -> None:
    """``extend`` in chunks that do not divide N equals ``forward``."""
    f, task = feed(source, n, range(3))
    code = source.encode(task.context, n)
    expected, groups = source(f, code), len(source.schedule(n)) - 1
    for chunk in {1, min(7, groups), max(groups - 2, 1), groups}:
        state, parts = source.start(3, n, code), []
        for g0, g1 in pairwise([*range(0, groups, chunk), groups]):
            params, state = source.extend(state, f, g0, g1)
            parts.append(params)
        assert (torch.cat(parts, 1) - expected).abs().max() <= EXACT, chunk


def rewinds(source: Source, n: int) -> None:
    """Going back from a wrong guess, twice, leaves no trace.

    A guess is right before the last group that going back keeps, whose feed it never read; a copy may even
    have been wrong there.
    """
    f, task = feed(source, n, range(2))
    code, bounds = source.encode(task.context, n), source.schedule(n)
    expected, groups = source(f, code), len(bounds) - 1
    g0, g2 = groups // 3, max(groups - 1, 1)
    state = source.start(2, n, code)
    if g0:
        _, state = source.extend(state, f, 0, g0)
    mark, moves = source.mark(state, g0), type(source).rewind is not Source.rewind
    for g1 in dict.fromkeys((g0, (g0 + g2) // 2, g2)):
        right = bounds[max(g1 - 1, g0) if moves else g0]
        wrong = torch.cat([f[:, :right], changed(source, f)[:, right:]], dim=1)
        _, state = source.extend(state, wrong, g0, groups)
        state = source.rewind(state, mark, f, g1)
        if g1 < groups:
            params, state = source.extend(state, f, g1, groups)
            assert (params - expected[:, bounds[g1] :]).abs().max() <= EXACT
        state = source.rewind(state, mark, f, g0)
