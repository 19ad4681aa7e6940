"""One incremental step per group, with the past kept in the model's state."""

from __future__ import annotations

import torch

from arbench.methods.base import Method, Outcome, Task, Unknown
from arbench.models import Source


def cached(source: Source, task: Task) -> Outcome:
    """Compute the unknown feed group by group, each from one extension of the state."""
    unknown = Unknown(source, task)
    state = source.start(task.batch, task.n, source.encode(task.context, task.n))
    kept = []
    keep = task.record or source.feeds == "z"
    if unknown.first:
        params, state = source.extend(state, unknown.f, 0, unknown.first)
        kept.append(params)
    for g in range(unknown.first, unknown.groups):
        lo, hi = unknown.bounds[g], unknown.bounds[g + 1]
        params, state = source.extend(state, unknown.f, g, g + 1)
        unknown.f[:, lo:hi] = unknown.rule(params, lo, hi)
        if keep:
            kept.append(params)
    return unknown.outcome(torch.cat(kept, dim=1) if keep else None)


def sequential(source: Source, task: Task) -> Outcome:
    """Compute log P(x) with teacher forcing, one group per step."""
    assert task.x is not None
    state = source.start(task.batch, task.n, source.encode(task.context, task.n))
    kept = []
    for g in range(len(source.schedule(task.n)) - 1):
        params, state = source.extend(state, task.x, g, g + 1)
        kept.append(params)
    params = torch.cat(kept, dim=1)
    return Outcome(task.x, task.x, params, source.distribution.log_prob(params, task.x))


CACHED = Method("cached", "sample", "x", cached, "one incremental step per element")
INVERSION = Method(
    "inversion",
    "score",
    "z",
    cached,
    "finds the noise step by step, one incremental step per element",
    reference=True,
)
SEQUENTIAL = Method("sequential", "score", "x", sequential, "one incremental step per element, teacher-forced")
