"""Guessing ahead: a window of groups is evaluated at once on a guess, and the correct part of the guess is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from arbench.methods.base import Outcome, Task, Unknown
from arbench.models import Source


@dataclass
class Window:
    """Search for an unknown feed, one window at a time; the model's state covers the settled groups.

    The parameters of a group are correct once the feed of all earlier groups is. So the first result of the rule in a
    window is always correct, and each later one is as long as the guess before it equals the result of the rule. All
    rows of a batch advance together, as far as the row whose guess fails first.

    Args:
        source: model to run.
        task: job to do.
        width: number of groups per window.
    """

    source: Source
    task: Task
    width: int
    accepted: list[int] = field(default_factory=list)
    """Number of groups that each evaluation of a window settled."""

    def __post_init__(self) -> None:
        self.unknown = Unknown(self.source, self.task)
        self.bounds = self.unknown.bounds
        code = self.source.encode(self.task.context, self.task.n)
        self.state: Any = self.source.start(self.task.batch, self.task.n, code)
        self.at = self.unknown.first
        """First group that is not settled."""
        self.kept: list[Tensor] = []
        self.keep = self.task.record or self.source.feeds == "z"
        if self.at:
            params, self.state = self.source.extend(self.state, self.f, 0, self.at)
            self.kept.append(params)

    @property
    def f(self) -> Tensor:
        """The feed (B, N): settled before group ``at``, guessed from there on."""
        return self.unknown.f

    @property
    def end(self) -> int:
        """The group after the window."""
        return min(self.at + self.width, self.unknown.groups)

    @property
    def done(self) -> bool:
        """True once all groups are settled."""
        return self.at >= self.unknown.groups

    def span(self, g0: int, g1: int) -> slice:
        """Return the elements of groups g0 .. g1-1."""
        return slice(self.bounds[g0], self.bounds[g1])

    def settled(self, same: Tensor, g1: int) -> int:
        """Return how many groups of the window at ``at`` are settled.

        Args:
            same: (B, elements of the window), True where the guess equals the result of the rule.
            g1: group after the window.
        """
        agreed = same.all(0).tolist()
        first = self.bounds[self.at]
        for g in range(self.at, g1):
            if not all(agreed[self.bounds[g] - first : self.bounds[g + 1] - first]):
                return g - self.at + 1
        return g1 - self.at

    def settle(self, same: Tensor, g1: int) -> int:
        """Return ``settled``, and add it to the accepted lengths."""
        found = self.settled(same, g1)
        self.accepted.append(found)
        return found

    def evaluate(self, mark: Any = None) -> tuple[Tensor, Tensor, Any]:
        """Return the window's parameters and rule results for the guess in ``f``, and a mark to rewind to.

        Args:
            mark: existing mark at the start of the window, if any.
        """
        g0, g1 = self.at, self.end
        if mark is None:
            mark = self.source.mark(self.state, g0)
        params, self.state = self.source.extend(self.state, self.f, g0, g1)
        span = self.span(g0, g1)
        return params, self.unknown.rule(params, span.start, span.stop), mark

    def advance(self, params: Tensor, found: Tensor, settled: int, mark: Any) -> None:
        """Settle the first groups of a window, and keep the rest as the next guess.

        Args:
            params: parameters of the whole window, from ``evaluate``.
            found: rule results of the whole window, from ``evaluate``.
            settled: number of groups to settle.
            mark: mark at the start of the window, from ``evaluate``.
        """
        g0, g1 = self.at, self.end
        span = self.span(g0, g1)
        certain = self.bounds[g0 + settled] - span.start
        self.f[:, span] = torch.where(found.isfinite(), found, 0) if found.is_floating_point() else found
        self.f[:, span.start : span.start + certain] = found[:, :certain]
        if self.keep:
            self.kept.append(params[:, :certain])
        self.at += settled
        if self.at < g1:
            self.state = self.source.rewind(self.state, mark, self.f, self.at)

    def outcome(self) -> Outcome:
        """Return the result, once ``done``."""
        return self.unknown.outcome(torch.cat(self.kept, dim=1) if self.kept else None, self.accepted)
