"""Evaluation of the whole network for every group: the reference, which needs no state."""

from __future__ import annotations

import torch

from arbench.methods.base import Method, Outcome, Task, Unknown
from arbench.models import Source


def naive(source: Source, task: Task) -> Outcome:
    """Compute the unknown feed group by group, each from a forward pass over the *whole length* N.

    Elements that are not yet known are zeros, which no earlier parameter reads.
    """
    unknown = Unknown(source, task)
    code = source.encode(task.context, task.n)
    kept = []
    if unknown.first and task.record:
        kept.append(source(unknown.f, code)[:, : unknown.bounds[unknown.first]])
    for g in range(unknown.first, unknown.groups):
        lo, hi = unknown.bounds[g], unknown.bounds[g + 1]
        params = source(unknown.f, code)[:, lo:hi]
        unknown.f[:, lo:hi] = unknown.rule(params, lo, hi)
        if task.record:
            kept.append(params)
    return unknown.outcome(torch.cat(kept, dim=1) if kept else None)


NAIVE = Method(
    "naive",
    "sample",
    "x",
    naive,
    "the whole network over the whole length again for every element",
    reference=True,
)
