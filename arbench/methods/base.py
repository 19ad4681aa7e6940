"""Input and output of a method, the same for every model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from arbench.distributions import Distribution
from arbench.models import Claim, Context, Source
from arbench.models.base import Op

Exactness = Literal["pointwise", "distribution", "approximate"]
Feeds = Literal["x", "z", "layers"]
"""Input of a network: events, the noise that draws them, or either and what is between them, layer by layer."""


@dataclass(frozen=True)
class FreshNoise:
    """Noise of a draw that is made when it is needed, and equals the noise that is made beforehand.

    Args:
        distribution: distribution of an element.
        seed: seed of the noise.
        rows: global row indices of the batch.
        dtype: dtype of the noise.
        device: device of the noise.
    """

    distribution: Distribution
    seed: int
    rows: Sequence[int]
    dtype: torch.dtype
    device: torch.device | str = "cpu"

    def make(self, elements: range) -> Tensor:
        """Return the noise (B, len(elements), K) of some elements."""
        return self.distribution.noise(self.seed, self.rows, elements, self.dtype, self.device)


@dataclass(frozen=True)
class Task:
    """One job: sample from ``noise``, or score ``x``.

    Args:
        n: number of elements of an event, N.
        context: conditioning of the model.
        noise: standard noise (B, N, K) of the model's distribution, for sampling and for scoring the model's own
            samples.
        x: events (B, N), for scoring.
        chance: additional uniforms (B, N, 1 + K), for methods that need them.
        given: first elements (B, M) that sampling must keep, M at most N.
        record: if True, sampling also returns the parameters from which each element was drawn.
        fresh: makes the noise as a draw needs it, in place of ``noise``, for methods that draw chunk by chunk.
        made: receives each chunk (B, m) as soon as it is drawn, from methods that draw chunk by chunk.
    """

    n: int
    context: Context
    noise: Tensor | None = None
    x: Tensor | None = None
    chance: Tensor | None = None
    given: Tensor | None = None
    record: bool = False
    fresh: FreshNoise | None = None
    made: Callable[[Tensor], None] = lambda _: None

    @property
    def batch(self) -> int:
        """The batch size, B."""
        if self.fresh is not None:
            return len(self.fresh.rows)
        known = self.x if self.x is not None else self.noise
        assert known is not None, "a task needs noise or events"
        return known.shape[0]


@dataclass(frozen=True)
class Outcome:
    """The result of a method.

    Args:
        x: events (B, N).
        f: feed (B, N) that the network read: the events, or the noise that produces them.
        params: parameters (B, N, P) of each element, where they were kept.
        log_prob: log-probability (B, N) of each element in nats, for scoring; (B,) of events as a whole from a stack
            of layers.
        accepted: number of groups that each evaluation settled, for methods that guess ahead.
        step_bytes: bytes of weights that a step reads, for native loops, which can come near the time that it takes.
        exchanges: how often the threads of a native loop exchange partial sums in a step.
        evaluations: how often the network was evaluated, where a method does not call ``forward`` and ``extend``.
    """

    x: Tensor
    f: Tensor
    params: Tensor | None = None
    log_prob: Tensor | None = None
    accepted: Sequence[int] = ()
    step_bytes: int | None = None
    exchanges: int | None = None
    evaluations: int | None = None


@dataclass(frozen=True)
class Method:
    """An algorithm that runs any model with its kind of feed.

    Args:
        name: name for ``--method``. Results call a method that the user names by its place ``file.attribute``.
        op: operation that it performs.
        feeds: kind of feed of the models that it runs.
        run: the algorithm.
        summary: one line for the user; for naive methods it names the kind.
        exactness: exactness class.
        reference: True if speed-ups are relative to this method.
        data_dependent: True if its depth depends on the values.
        returning: True if it may evaluate an element twice, on a guess and again after rewinding a wrong guess.
        chance: True if it needs uniforms in addition to the noise.
        lacks: returns what keeps the method from running a model, or any model of a class, with its kind of feed; None
            if it can run.
        unable: returns what keeps this process from running it with any model, which ``lacks`` says too; a run that
            names the method is then refused. None if it can run.
        configure: returns the method with settings that the user appends to its name, by name; raises ValueError, with
            one line, where it does not take them. None if there are no settings.
        settings: names of the settings, for ``arbench list``.
        records: False if it cannot return the parameters that it drew from; then only its draws are verified.
        depth: returns the depth of a draw from N, the batch size and the model, where operations cannot be counted.
        flops: the same for the floating-point operations, a multiply-add counted as two.
        claim: what the method claims of its growth, for models that claim nothing of it.
        outside: True if it is not one of arbench's own; whoever finds it sets this.
        devices: kinds of devices that it runs on.
        rounds: dtype to which the model's weights are rounded before, for it and for what verifies it.
        backend: backend of the model's kernels for this method; None for that of the run.
        twin: method of the same steps on plain PyTorch, whose operations are counted for it.
        chunk: elements that it draws at a time and passes to ``Task.made``, with noise that it makes for them; None if
            it draws all before it returns.
        threads: threads that it uses whatever PyTorch may use; None where that decides.
        like: name of the method that performs the same operations, whose claims it shares; empty for none.
        on_request: True if only runs that name it have it.
        prepare: does once for a model what a first call would do, before that is counted: copying weights, say.
        remark: a caveat that a reader needs before comparing its figures; shown beside them. A function is called where
            the method ran, for a caveat that depends on the machine; it returns an empty text for none.
    """

    name: str
    op: Op
    feeds: Feeds
    run: Callable[[Source, Task], Outcome]
    summary: str
    exactness: Exactness = "pointwise"
    reference: bool = False
    data_dependent: bool = False
    returning: bool = False
    chance: bool = False
    lacks: Callable[[Source | type[Source]], str | None] = lambda _: None
    unable: Callable[[], str | None] = lambda: None
    configure: Callable[[Mapping[str, Any]], Method] | None = None
    settings: tuple[str, ...] = ()
    records: bool = True
    depth: Callable[[int, int, Source], int] | None = None
    flops: Callable[[int, int, Source], int] | None = None
    claim: Claim | None = None
    outside: bool = False
    devices: Sequence[str] = ("cpu", "cuda")
    rounds: torch.dtype | None = None
    backend: str | None = None
    twin: Method | None = None
    chunk: int | None = None
    threads: int | None = None
    like: str = ""
    on_request: bool = False
    prepare: Callable[[Source], Any] | None = None
    remark: str | Callable[[], str] = ""

    @property
    def variant(self) -> tuple[torch.dtype | None, str | None]:
        """The changes that it makes to the model that it runs: ``rounds`` and ``backend``."""
        return self.rounds, self.backend


def stepless(source: Source | type[Source]) -> str | None:
    """Return what keeps methods that need an incremental step from running a model; None if it has one."""
    return None if source.steps else "needs an incremental step, and the model has none: define extend in a Source"


class Unknown:
    """The unknown feed of a job that takes several passes, and the rule that computes the feed.

    Sampling a masked model, f = draw(parameters, noise), and scoring an inverse autoregressive model,
    f = invert(parameters, x), are the same loop with different rules.
    """

    def __init__(self, source: Source, task: Task) -> None:
        self.source, self.task = source, task
        self.bounds = source.schedule(task.n)
        self.groups = len(self.bounds) - 1
        known = (task.fresh or task.noise) if source.feeds == "x" else task.x
        assert known is not None
        dtype = torch.long if source.feeds == "x" and source.distribution.finite else known.dtype
        self.f = torch.zeros(task.batch, task.n, dtype=dtype, device=known.device)
        self.noise, self._noise_from = task.noise, 0
        self.first = 0
        """First group that is not given."""
        if task.given is not None:
            if source.feeds != "x":
                raise ValueError("elements cannot be given to a model that reads noise")
            length = task.given.shape[1]
            if length not in self.bounds:
                raise ValueError(f"given elements must end where a group ends, got {length}")
            self.first = list(self.bounds).index(length)
            self.f[:, :length] = task.given

    def prepare(self, lo: int, hi: int) -> None:
        """Make the noise of elements lo .. hi-1, which ``rule`` draws next, where the task makes it fresh."""
        if self.task.fresh is not None:
            self.noise, self._noise_from = self.task.fresh.make(range(lo, hi)), lo

    def noise_of(self, lo: int, hi: int) -> Tensor:
        """Return the noise (B, hi - lo, K) of elements lo .. hi-1, once it is prepared."""
        assert self.noise is not None
        return self.noise[:, lo - self._noise_from : hi - self._noise_from]

    def rule(self, params: Tensor, lo: int, hi: int) -> Tensor:
        """Return the feed (B, hi - lo) of elements lo .. hi-1 from their parameters."""
        if self.source.feeds == "x":
            return self.source.distribution.draw(params, self.noise_of(lo, hi))
        assert self.task.x is not None
        return self.source.distribution.invert(params, self.task.x[:, lo:hi])[0].squeeze(-1)

    def outcome(self, params: Tensor | None, accepted: Sequence[int] = ()) -> Outcome:
        """Return the result once the feed is known."""
        if self.source.feeds == "x":
            return Outcome(self.f, self.f, params, accepted=accepted)
        assert self.task.x is not None
        assert params is not None
        log_prob = self.source.distribution.log_prob(params, self.task.x)
        return Outcome(self.task.x, self.f, params, log_prob, accepted)
