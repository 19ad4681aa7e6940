"""Speculative sampling: a smaller model guesses a few steps, and the target checks them in one pass."""

from __future__ import annotations

from inspect import getattr_static
from typing import Any

import torch
from torch import Tensor

from arbench.distributions import Categorical, Distribution
from arbench.methods.ahead import Window
from arbench.methods.base import Method, Outcome, Task, stepless
from arbench.models import Source

AHEAD = 4
"""Number of groups that the draft guesses at once."""


class Draft:
    """The smaller model, with a state that follows the target's."""

    def __init__(self, window: Window) -> None:
        assert window.source.draft is not None, "the model has no draft"
        self.source, self.window = window.source.draft, window
        task = window.task
        code = self.source.encode(task.context, task.n)
        self.state: Any = self.source.start(task.batch, task.n, code)
        if window.at:
            _, self.state = self.source.extend(self.state, window.f, 0, window.at)

    def guess(self) -> Tensor:
        """Fill the target's window, step by step, with the draft's draws under the same noise.

        Returns:
            The draft's parameters (B, elements of the window, P).
        """
        window, noise = self.window, self.window.task.noise
        assert noise is not None
        self.mark = self.source.mark(self.state, window.at)
        kept = []
        for g in range(window.at, window.end):
            params, self.state = self.source.extend(self.state, window.f, g, g + 1)
            span = window.span(g, g + 1)
            window.f[:, span] = self.source.distribution.draw(params, noise[:, span])
            kept.append(params)
        return torch.cat(kept, dim=1)

    def follow(self, end: int) -> None:
        """Rewind to the position of the target after a window that ended at group ``end``."""
        if self.window.at < end:
            self.state = self.source.rewind(self.state, self.mark, self.window.f, self.window.at)


def speculative(source: Source, task: Task) -> Outcome:
    """Let the draft guess ``AHEAD`` groups under the target's noise, and keep the guesses that the target draws too.

    The target evaluates all guesses at once and replaces the first wrong one by its own draw. The method is pointwise
    exact for any draft, because target and draft share the noise of each element; a better draft only makes more of
    the guesses correct.

    Sources: Stern et al., *Blockwise Parallel Decoding*, 2018, section 3, for the scheme; Daliri et al.,
    *Coupling without Communication and Drafter-Invariant Speculative Decoding*, 2024, for the shared noise.
    """
    window = Window(source, task, AHEAD)
    draft = Draft(window)
    while not window.done:
        end = window.end
        draft.guess()
        guess = window.f[:, window.span(window.at, end)].clone()
        params, found, mark = window.evaluate()
        window.advance(params, found, window.settle(found == guess, end), mark)
        draft.follow(end)
    return window.outcome()


def accepts(law: Distribution, params: Tensor, guessed: Tensor, guess: Tensor, uniform: Tensor) -> Tensor:
    """Return where guesses x are kept: where u < p(x) / q(x), with p of ``params`` and q of ``guessed``."""
    ratio = (law.log_prob(params, guess) - law.log_prob(guessed, guess)).double()
    return uniform.log() < ratio


def residual(params: Tensor, guessed: Tensor) -> Tensor:
    """Return logits of the law, proportional to (p - q)+, from which a rejected guess is drawn again."""
    p, q = (logits.double().softmax(-1) for logits in (params, guessed))
    rest = (p - q).clamp_min(0)
    return torch.where(rest.sum(-1, keepdim=True) > 0, rest, p).log()  # p = q up to rounding


def rejection(source: Source, task: Task) -> Outcome:
    """Sample as ``speculative``, but keep a guess x of the draft q with probability min(1, p(x) / q(x)).

    The first guess that is not kept is drawn again from the part of p above q. The draws follow the target's
    distribution, but differ from those of the other methods.

    Source: Leviathan et al., *Fast Inference from Transformers via Speculative Decoding*, 2023, section
    2.3 and appendix A.1.
    """
    window = Window(source, task, AHEAD)
    draft = Draft(window)
    distribution = source.distribution
    assert task.chance is not None, "rejection needs uniforms in addition to the noise"
    while not window.done:
        end = window.end
        guessed = draft.guess()
        span = window.span(window.at, end)
        guess = window.f[:, span].clone()
        params, _, mark = window.evaluate()
        chance = task.chance[:, span]
        kept = accepts(distribution, params, guessed, guess, chance[..., 0])
        other = distribution.draw(residual(params, guessed), distribution.standard(chance[..., 1:]))
        window.advance(params, torch.where(kept, guess, other), window.settle(kept, end), mark)
        draft.follow(end)
    return window.outcome()


def _draft_lacking(source: Source | type[Source]) -> str | None:
    if (why := stepless(source)) is not None:
        return why
    cls = source if isinstance(source, type) else type(source)
    if getattr_static(cls, "drafting") is getattr_static(Source, "drafting"):
        return f"needs a draft: {cls.__name__} defines no drafting(config), the configuration of a smaller model"
    if isinstance(source, Source) and not source.distribution.finite:
        return f"needs elements that are symbols: the distribution is a {type(source.distribution).__name__}"
    if isinstance(source, Source) and source.draft is None:
        return "needs a draft: drafting(config) returns None for this preset"
    return None


def _rest_lacking(source: Source | type[Source]) -> str | None:
    if isinstance(source, Source) and not isinstance(source.distribution, Categorical):
        return f"needs a Categorical distribution: this one is a {type(source.distribution).__name__}"
    return _draft_lacking(source)


GUESSED_BY_DRAFT = ("speculative", "rejection")
"""Methods that a draft guesses for."""
SPECULATIVE = Method(
    "speculative",
    "sample",
    "x",
    speculative,
    "a smaller draft guesses 4 steps under the same noise",
    data_dependent=True,
    returning=True,
    lacks=_draft_lacking,
)
REJECTION = Method(
    "rejection",
    "sample",
    "x",
    rejection,
    "a smaller draft guesses 4 steps, kept by rejection sampling",
    exactness="distribution",
    data_dependent=True,
    returning=True,
    chance=True,
    lacks=_rest_lacking,
)
