"""One incremental step per group, with the past kept in the model's state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arbench.methods.base import Method, Outcome, Task, Unknown, stepless
from arbench.methods.finite import AT_ONCE, check_finite
from arbench.models import Source


class Steps:
    """The unknown feed of a job, computed step by step up to any group, and on from there.

    Args:
        source: the model.
        task: sampling, or scoring of a model that reads noise.
        check: whether to raise FloatingPointError where parameters or draws are not finite, once for each ``advance``.

    Attributes:
        unknown: the feed, known before group ``at``.
        at: first group that is not computed.
    """

    def __init__(self, source: Source, task: Task, check: bool = False) -> None:
        self.unknown = Unknown(source, task)
        self.at = self.unknown.first
        self._source, self._check = source, check
        self._keep = task.record or source.feeds == "z"
        self._kept: list[Tensor] = []
        self._state: Any = source.start(task.batch, task.n, source.encode(task.context, task.n))
        if self.at:
            params, self._state = source.extend(self._state, self.unknown.f, 0, self.at)
            self._kept.append(params)

    def advance(self, end: int) -> None:
        """Compute the groups before group ``end``, each from one extension of the state."""
        source, unknown, state = self._source, self.unknown, self._state
        bounds, f = unknown.bounds, unknown.f
        unknown.prepare(bounds[self.at], bounds[end])
        drawn: list[Tensor] = []
        for g in range(self.at, end):
            lo, hi = bounds[g], bounds[g + 1]
            params, state = source.extend(state, f, g, g + 1)
            f[:, lo:hi] = unknown.rule(params, lo, hi)
            if self._keep:
                self._kept.append(params)
            if self._check:
                drawn.append(params)
                if g + 1 == end or len(drawn) == AT_ONCE:
                    first = bounds[g + 1 - len(drawn)]
                    check_finite(source.distribution, f[:, first:hi], torch.cat(drawn, dim=1), first)
                    drawn = []
        self._state, self.at = state, end

    def outcome(self) -> Outcome:
        """Return the result, once all groups are computed."""
        return self.unknown.outcome(torch.cat(self._kept, dim=1) if self._keep else None)


def cached(source: Source, task: Task) -> Outcome:
    """Compute the unknown feed group by group, each from one extension of the state."""
    steps = Steps(source, task)
    steps.advance(steps.unknown.groups)
    return steps.outcome()


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


CACHED = Method("cached", "sample", "x", cached, "one incremental step per element", lacks=stepless)
INVERSION = Method(
    "inversion",
    "score",
    "z",
    cached,
    "finds the noise step by step, one incremental step per element",
    reference=True,
    lacks=stepless,
)
SEQUENTIAL = Method(
    "sequential", "score", "x", sequential, "one incremental step per element, teacher-forced", lacks=stepless
)
