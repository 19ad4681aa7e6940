"""What a method is given and gives back, whichever model it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from arbench.models import Context, Source
from arbench.models.base import Op

Exactness = Literal["pointwise", "distribution", "approximate"]


@dataclass(frozen=True)
class Task:
    """One job: sample from ``noise``, or score ``x``.

    Args:
        n: elements N of an event.
        context: what the model is conditioned on.
        noise: standard noise (B, N, K) of the model's distribution; of sampling, and of scoring
            a model's own samples.
        x: events (B, N), of scoring.
        chance: uniforms (B, N, 1 + K) beyond the noise, of methods that need them.
        given: first elements (B, M) that sampling must keep, M at most N.
        record: whether sampling also returns the parameters each element was drawn from.
    """

    n: int
    context: Context
    noise: Tensor | None = None
    x: Tensor | None = None
    chance: Tensor | None = None
    given: Tensor | None = None
    record: bool = False

    @property
    def batch(self) -> int:
        known = self.x if self.x is not None else self.noise
        assert known is not None, "a task has noise or events"
        return known.shape[0]


@dataclass(frozen=True)
class Outcome:
    """What a method found.

    Args:
        x: events (B, N).
        f: the feed (B, N) the network read: the events, or the noise behind them.
        params: (B, N, P) each element's parameters, where they were kept.
        log_prob: (B, N) of each element, in nats; of scoring.
        accepted: how many groups each evaluation settled; of methods that guess ahead.
    """

    x: Tensor
    f: Tensor
    params: Tensor | None = None
    log_prob: Tensor | None = None
    accepted: Sequence[int] = ()


@dataclass(frozen=True)
class Method:
    """An algorithm that runs any model of its kind of feed.

    Args:
        name: as in ``--method``.
        op: what it does.
        feeds: kind of model it is for.
        run: the algorithm.
        exactness: its class.
        summary: a line for the user; for naive methods it says which kind.
        reference: whether speed-ups are stated over it.
        data_dependent: whether its depth depends on the values.
        returning: whether it may evaluate an element twice: on a guess, and to go back once it was wrong.
        chance: whether it needs uniforms beyond the noise.
        fits: whether it can run a model, or any of a class, of its kind of feed.
    """

    name: str
    op: Op
    feeds: Literal["x", "z"]
    run: Callable[[Source, Task], Outcome]
    summary: str
    exactness: Exactness = "pointwise"
    reference: bool = False
    data_dependent: bool = False
    returning: bool = False
    chance: bool = False
    fits: Callable[[Source | type[Source]], bool] = lambda _: True


class Unknown:
    """The unknown feed of a job that a model cannot do in one pass, and the rule that finds it.

    Sampling a masked model, f = draw(parameters, noise), and scoring an inverse autoregressive one,
    f = invert(parameters, x), are the same loop with the rule exchanged.
    """

    def __init__(self, source: Source, task: Task) -> None:
        self.source, self.task = source, task
        self.bounds = source.schedule(task.n)
        self.groups = len(self.bounds) - 1
        known = task.noise if source.feeds == "x" else task.x
        assert known is not None
        dtype = torch.long if source.feeds == "x" and source.distribution.finite else known.dtype
        self.f = torch.zeros(task.batch, task.n, dtype=dtype, device=known.device)
        self.first = 0
        """The first group that is not given."""
        if task.given is not None:
            if source.feeds != "x":
                raise ValueError("elements cannot be given to a model that reads noise")
            length = task.given.shape[1]
            if length not in self.bounds:
                raise ValueError(f"given elements must end where a group ends, got {length}")
            self.first = list(self.bounds).index(length)
            self.f[:, :length] = task.given

    def rule(self, params: Tensor, lo: int, hi: int) -> Tensor:
        """Feed (B, hi - lo) of elements lo .. hi-1 from their parameters."""
        if self.source.feeds == "x":
            assert self.task.noise is not None
            return self.source.distribution.draw(params, self.task.noise[:, lo:hi])
        assert self.task.x is not None
        return self.source.distribution.invert(params, self.task.x[:, lo:hi])[0].squeeze(-1)

    def outcome(self, params: Tensor | None, accepted: Sequence[int] = ()) -> Outcome:
        """The result once the feed is known."""
        if self.source.feeds == "x":
            return Outcome(self.f, self.f, params, accepted=accepted)
        assert self.task.x is not None
        assert params is not None
        log_prob = self.source.distribution.log_prob(params, self.task.x)
        return Outcome(self.task.x, self.f, params, log_prob, accepted)
