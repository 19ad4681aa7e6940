"""Guessing ahead: a window of groups is evaluated at once on a guess, and what was guessed right is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from arbench.methods.base import Outcome, Task, Unknown
from arbench.models import Source


@dataclass
class Window:
    """Finds an unknown feed a window at a time, the state following what is certain.

    Parameters of a group are right once the feed of all groups before it is. So of a window's rules the
    first holds always, and each next one while the guess before it was what the rule made of it. A batch
    moves on together: with the row whose guess went wrong first.

    Args:
        source, task: what is run.
        width: groups a window.
    """

    source: Source
    task: Task
    width: int
    accepted: list[int] = field(default_factory=list)
    """How many groups each evaluation of a window settled."""

    def __post_init__(self) -> None:
        self.unknown = Unknown(self.source, self.task)
        self.bounds = self.unknown.bounds
        code = self.source.encode(self.task.context, self.task.n)
        self.state: Any = self.source.start(self.task.batch, self.task.n, code)
        self.at = self.unknown.first
        """The first group that is not settled."""
        self.kept: list[Tensor] = []
        self.keep = self.task.record or self.source.feeds == "z"
        if self.at:
            params, self.state = self.source.extend(self.state, self.f, 0, self.at)
            self.kept.append(params)

    @property
    def f(self) -> Tensor:
        """The feed (B, N), settled before group ``at``; guesses go behind."""
        return self.unknown.f

    @property
    def end(self) -> int:
        """The group behind the window."""
        return min(self.at + self.width, self.unknown.groups)

    @property
    def done(self) -> bool:
        return self.at >= self.unknown.groups

    def span(self, g0: int, g1: int) -> slice:
        """The elements of groups g0 .. g1-1."""
        return slice(self.bounds[g0], self.bounds[g1])

    def settled(self, same: Tensor, g1: int) -> int:
        """How many groups of the window at ``at`` are settled.

        Args:
            same: (B, elements of the window), whether the guess is what the rule made of it.
            g1: the group behind the window.
        """
        agreed = same.all(0).tolist()
        first = self.bounds[self.at]
        for g in range(self.at, g1):
            if not all(agreed[self.bounds[g] - first : self.bounds[g + 1] - first]):
                return g - self.at + 1
        return g1 - self.at

    def settle(self, same: Tensor, g1: int) -> int:
        """As ``settled``, noted among the accepted lengths."""
        found = self.settled(same, g1)
        self.accepted.append(found)
        return found

    def evaluate(self, mark: Any = None) -> tuple[Tensor, Tensor, Any]:
        """Parameters and rules of the window on the guess in ``f``, and a mark to go back by.

        Args:
            mark: of the window's beginning, where there is one already.
        """
        g0, g1 = self.at, self.end
        if mark is None:
            mark = self.source.mark(self.state, g0)
        params, self.state = self.source.extend(self.state, self.f, g0, g1)
        span = self.span(g0, g1)
        return params, self.unknown.rule(params, span.start, span.stop), mark

    def advance(self, params: Tensor, found: Tensor, settled: int, mark: Any) -> None:
        """Takes the first ``settled`` groups of a window as certain, and the rest as the next guess.

        Args:
            params, found: of the whole window, as ``evaluate`` gave them.
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
        """The result, once ``done``."""
        return self.unknown.outcome(torch.cat(self.kept, dim=1) if self.kept else None, self.accepted)
